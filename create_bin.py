"""Packs RGBA face crops into one binary file and splits them; without --input, renders synthetic crops first.

The crops are PNGs whose alpha is 255 on skin and 0 elsewhere.
"""

import argparse
import sys
import time
from pathlib import Path

from configs import flags, schema
from lib.files.locks import sole_user, sole_writer
from lib.records import packing
from lib.records.record_file import RecordReader
from lib.records.splits import save_split, split

EPILOG = """
data/<name>.manifest.json lists the crops packed into data/<name>.bin and those left out, with reasons. The split is
written to data/params/<name>/. Exit codes: 0 done; 1 --verify found damage; 2 an error in the command or its files,
explained in one line; 130, 143, 129 told to stop by Ctrl-C, SIGTERM or SIGHUP.
"""
OPTIONS = ("name", "root_dir", "img_size", "workers")


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    config = schema.load(args.config, args.overrides)
    if args.verify:
        return verify(Path(args.verify), config.data.image_size if args.img_size else None)
    output = Path(args.output) if args.output else config.records_path
    if output.resolve() != config.records_path.resolve():
        with sole_writer(output, f"packing {output.name}"):
            result = pack(config, args, output)
        print(f"{output}: {len(result.names)} crops, not split: train and evaluate read {config.records_path}")
        return 0
    with sole_user(config.params_dir, "packing"):
        result = pack(config, args, output)
        parts = split(result.names, {"val": config.data.validation, "test": config.data.test}, config.data.split_seed)
        save_split(config.params_dir, parts)
    print(f"{output}: {len(result.names)} crops, {', '.join(f'{len(v)} {k}' for k, v in parts.items())}")
    if args.input is None:
        packing.write_example_photos(Path(config.test.input), config.crops_dir, parts["test"])
    return 0


def pack(config: schema.Config, args: argparse.Namespace, output: Path) -> packing.Packed:
    """Packs the crops that the command line names, after rendering them if it names none."""
    started = time.monotonic()

    def write(source: packing.PngFolder | packing.RecordFile) -> packing.Packed:
        result = packing.pack(source, output, config.workers, args.strict, started)
        packing.report(result)
        return result

    if args.input is None:
        # Runs with other names or options share the folder and would replace its crops.
        with sole_user(config.crops_dir, "rendering crops"):
            return write(packing.PngFolder(config.crops_dir, render_synthetic(config), config.data.image_size))
    if Path(args.input).is_dir():
        folder = Path(args.input)
        return write(packing.PngFolder(folder, packing.file_names(folder), config.data.image_size))
    return write(packing.RecordFile(Path(args.input), config.data.image_size))


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Parses the command line; `overrides` holds all changes to the configuration."""
    parser = flags.Parser(prog="create_bin.py", description=__doc__, epilog=EPILOG)
    parser.add_argument("--config", help="YAML file of the values that differ from configs/default.yaml")
    parser.add_argument(
        "--input",
        help="folder of RGBA PNGs, or a record file to convert (this program's or the original's float32 file); "
        "without --input, synthetic crops are rendered to data/generated/faces",
    )
    parser.add_argument(
        "--output",
        help="binary file to write instead of data/<name>.bin in the root folder; only the latter is split, trained on "
        "and evaluated",
    )
    parser.add_argument("--strict", action="store_true", help="stop at the first bad image instead of leaving it out")
    parser.add_argument("--verify", metavar="FILE", help="only re-read a binary file and check every record")
    parser.add_options(OPTIONS)
    return parser.parse(argv)


def verify(path: Path, image_size: int | None) -> int:
    """Checks a record file and prints the damaged records; the original program's file needs an image size."""
    reader = RecordReader(path, image_size)
    damaged = packing.verify(reader)
    for index in damaged:
        print(f"{path}: record {index} ('{reader.names[index]}') is damaged", file=sys.stderr)
    good = "complete and intact" if not damaged else f"{len(damaged)} damaged"
    print(f"{path}: {len(reader)} records of {' x '.join(map(str, reader.shape))}, {good}")
    return 1 if damaged else 0


def render_synthetic(config: schema.Config) -> list[str]:
    """Renders crops with the configured face model to `crops_dir`; returns their names."""
    from lib.synthetic.dataset import render_dataset
    from model.face_model_source import load_face_model

    data = config.data
    return render_dataset(
        load_face_model(config),
        config.crops_dir, data.synthetic_count, data.image_size, data.synthetic_seed, config.workers,
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(flags.run(main, "run the same command again to continue: crops already rendered are kept"))
