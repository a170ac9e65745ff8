"""Packs RGBA face crops into one binary file and splits them; without --input, renders synthetic crops first.

The crops are PNGs whose alpha is 255 on skin and 0 elsewhere. With --shard, many processes pack a part each, and
--merge or --index joins the parts; --cluster does both on Ray.
"""

from configs import starting

if __name__ == "__main__":
    starting.begin()

import argparse
import contextlib
import shlex
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from configs import flags, plain_yaml, schema
from lib.cluster.ray_parts import Job, run_parts
from lib.errors import UserError
from lib.files.locks import LOCK_FILE, check_unlocked, sole_user, sole_writer
from lib.messages import counted
from lib.records import packing
from lib.records.crop_files import file_names
from lib.records.example_photos import write_example_photos
from lib.records.packed_shards import CROPS_PER_PART, INDEX, PackedShards, pack_shard, shards_folder
from lib.records.record_index import SUFFIX, open_records, write_index
from lib.records.records import Records
from lib.records.splits import save_split, split
from lib.runtime.leaving import leave
from lib.runtime.quiet_tensorflow import import_tensorflow

EPILOG = """
data/<name>.manifest.json lists the crops packed into data/<name>.bin and those left out, with reasons. The split is
written to data/params/<name>/. Exit codes: 0 done; 1 --verify found damage; 2 an error in the command or its files,
explained in one line; 130, 143, 129 told to stop by Ctrl-C, SIGTERM or SIGHUP.
"""
OPTIONS = ("name", "root_dir", "img_size", "workers")


def main(argv: list[str] | None = None) -> int:
    """Packs or verifies what the command line names and returns the exit code."""
    args = parse(argv)
    config = schema.load(args.config, args.overrides)
    if args.verify is not None:
        return verify(Path(args.verify), config.data.image_size if size_given(args) else None)
    output = Path(args.output) if args.output is not None else config.packed_path
    if not output.suffix:  # its manifest would be that of the .bin beside it
        raise UserError(f"--output must have a suffix, such as .bin, got {output}")
    if output.suffix == SUFFIX:
        raise UserError(f"--output must not end in {SUFFIX}, which marks an index of record files, got {output}")
    if args.shard:
        return write_shard(config, args, output)
    if args.index:
        if config.packed_path.exists() and output.resolve() != config.packed_path.resolve():
            raise UserError(
                f"--index of {output} must come with a --name of its own, got {config.data.name}: the split is that of "
                f"{config.packed_path}, which would be replaced"
            )
        return index_shards(config, args, shards_folder(output))
    args.count = run_shards(config, args, output) if args.cluster is not None else None
    if output.resolve() != config.packed_path.resolve():
        with sole_writer(output, f"packing {output.name}"):
            result = pack(config, args, output)
        print(
            f"{output}: {counted(len(result.names), 'crop')}, not split: train and evaluate read {config.packed_path}"
        )
        return 0
    with sole_user(config.params_dir, "packing"):
        result = pack(config, args, output)
        parts = split_and_report(config, open_records(result.path))
    if args.input is None and not args.merge and config.test.input == schema.load().test.input:
        write_example_photos(Path(config.test.input), config.crops_dir, parts["test"])
    return 0


def split_and_report(config: schema.Config, records: Records) -> dict[str, list[str]]:
    """Splits the packed crops, repeats into one part, and prints the sizes of the parts and the number of repeats."""
    fractions = {"val": config.data.validation, "test": config.data.test}
    repeats = records.repeats()
    parts = split(records.names, fractions, config.data.split_seed, repeats)
    save_split(config.params_dir, parts)
    sizes = ", ".join(f"{len(names)} {part}" for part, names in parts.items())
    again = f"; {counted(len(repeats), 'repeated crop')}, in the part of the first" if repeats else ""
    print(f"{records.path}: {counted(len(records), 'crop')}, {sizes}{again}")
    return parts


def write_shard(config: schema.Config, args: argparse.Namespace, output: Path) -> int:
    """--shard: packs one part of a folder of crops into a record file of its own."""
    source, folder = crops_to_divide(config, args), shards_folder(output)
    with sole_writer(folder / args.shard.name, f"packing shard {args.shard}"):
        check_unlocked([folder / LOCK_FILE], folder)
        result = pack_shard(source, args.shard, folder, config.workers, args.strict)
    packing.report(result)
    print(
        f"{result.path}: {counted(len(result.names), 'crop')}, shard {args.shard}; --merge or --index joins all shards"
    )
    return 0


def crops_to_divide(config: schema.Config, args: argparse.Namespace) -> packing.PngFolder:
    """All crops of --shard or --cluster; raises UserError if --input is not such a folder."""
    if args.input is None or not Path(args.input).is_dir():
        flag = "--shard" if args.shard else "--cluster"
        raise UserError(f"{flag} must come with --input and a folder of RGBA PNGs, got {args.input or 'none'}")
    return packing.PngFolder(Path(args.input), file_names(Path(args.input)), config.data.image_size)


def run_shards(config: schema.Config, args: argparse.Namespace, output: Path) -> int:
    """--cluster: packs all parts on Ray; returns their number."""
    source, folder = crops_to_divide(config, args), shards_folder(output)
    with sole_writer(folder / "cluster", f"packing {output.name}"):
        paths = (source.folder, folder)
        job = Job(
            "create_bin", flags.for_parts(args.arguments), len(source.names), CROPS_PER_PART, paths, schema.REPOSITORY
        )
        return run_parts(args.cluster, config.workers, job)


@contextlib.contextmanager
def joining_shards(folder: Path) -> Iterator[None]:
    """Context manager that keeps the shards as they are; raises UserError while one is being packed."""
    with sole_user(folder, "joining shards"):
        check_unlocked((path for path in folder.glob(f"*{LOCK_FILE}") if path.name != LOCK_FILE), folder)
        yield


def index_shards(config: schema.Config, args: argparse.Namespace, folder: Path) -> int:
    """--index: writes the index of all shards, instead of merging them, and the split."""
    with sole_user(config.params_dir, "packing"), joining_shards(folder):
        index = folder / INDEX
        split_and_report(config, write_index(index, PackedShards(folder).files))
    given = {"--config": args.config, "--root_dir": args.root_dir, "--img_size": args.img_size}
    options = [word for flag, value in given.items() if value is not None for word in (flag, value)]
    shown = {"data.name", "data.records", *(flags.OPTIONS[name] for name in OPTIONS if getattr(args, name) is not None)}
    options += [text for text in args.overrides if text.partition("=")[0] not in shown]
    command = shlex.join(["python", "main.py", "--name", config.data.name, *options, f"data.records={index}"])
    print(f"train on the shards as they are: {command}")
    return 0


def pack(config: schema.Config, args: argparse.Namespace, output: Path) -> packing.Packed:
    """Packs the crops that the command line names, after rendering them if it names none."""
    started = time.monotonic()

    def write(source: packing.Source) -> packing.Packed:
        follow = args.output is not None
        result = packing.pack(source, output, config.workers, args.strict, started, follow=follow)
        packing.report(result)
        return result

    if args.merge or args.cluster is not None:
        with joining_shards(shards_folder(output)):
            return write(PackedShards(shards_folder(output), args.count))
    if args.input is None:
        # Runs with other names or options share the folder and would replace its crops.
        with sole_user(config.crops_dir, "rendering crops"):
            return write(packing.PngFolder(config.crops_dir, render_synthetic(config), config.data.image_size))
    if Path(args.input).is_dir():
        folder = Path(args.input)
        return write(packing.PngFolder(folder, file_names(folder), config.data.image_size))
    return write(packing.RecordFile(Path(args.input), config.data.image_size))


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Parses the command line; `overrides` holds all changes to the configuration."""
    parser = flags.Parser(prog="create_bin.py", description=__doc__, epilog=EPILOG)
    parser.add_argument("--config", help="YAML file of the values that differ from configs/default.yaml")
    parser.add_argument(
        "--input",
        help="folder of RGBA PNGs, or a record file to convert (this program's, an index of several, or the original's "
        "float32 file); without --input, synthetic crops are rendered to data/generated/faces, with another --name or "
        "face model to data/generated/faces_<name>",
    )
    parser.add_argument(
        "--output",
        help="binary file to write instead of data/<name>.bin in the root folder; unless --index joins its parts, it "
        "is not split, so training on it (data.records) needs the split of a data/<name>.bin with the same records",
    )
    parser.add_argument("--strict", action="store_true", help="stop at the first bad image instead of leaving it out")
    parser.add_argument(
        "--verify", metavar="FILE", help="only re-read a binary file, or the index of several, and check every record"
    )
    sharding = parser.add_sharding(
        "pack only part I of N of the folder to data/<name>.shards/",
        "join all shards into the file that one process packs",
    )
    sharding.add_argument(
        "--index", action="store_true", help="join all shards by an index, without copying them, for data.records"
    )
    parser.add_options(OPTIONS)
    args = parser.parse(argv)
    if (args.merge or args.index) and args.input is not None:
        raise UserError("--merge and --index must come without --input: the shards name their folder")
    if args.verify and (args.input or args.output or args.shard or args.merge or args.index or args.cluster):
        raise UserError("--verify must come alone: it re-reads the file that it names, and packs nothing")
    if args.strict and (args.verify or args.index):
        raise UserError("--strict must come with a command that packs, got --verify or --index, which pack nothing")
    return args


def size_given(args: argparse.Namespace) -> bool:
    """True if the command line or its --config gives data.image_size; files that are verified may have any other."""
    if any(text.startswith("data.image_size=") for text in args.overrides):
        return True
    return args.config is not None and "image_size" in plain_yaml.read_sections(Path(args.config)).get("data", {})


def verify(path: Path, image_size: int | None) -> int:
    """Checks records and prints the damaged ones; the original program's file needs an image size."""
    reader = open_records(path, image_size)
    damaged = packing.verify(reader)
    for index in damaged:
        print(f"{path}: record {index} ('{reader.names[index]}') is damaged", file=sys.stderr)
    good = "complete and intact" if not damaged else f"{len(damaged)} damaged"
    print(f"{path}: {len(reader)} records of {' x '.join(map(str, reader.shape))}, {good}")
    return 1 if damaged else 0


def render_synthetic(config: schema.Config) -> list[str]:
    """Renders crops with the configured face model to `crops_dir`; returns their names."""
    import_tensorflow()  # the modules below import it, too, but with its start-up messages
    from lib.synthetic.dataset import render_dataset
    from model.face_model_source import load_face_model
    from model.weights.pretraining_seeds import check_synthetic_seed

    config.camera.check_synthetic()
    data, face_model = config.data, load_face_model(config)
    check_synthetic_seed(config, face_model)
    return render_dataset(
        face_model,
        config.crops_dir, data.synthetic_count, data.image_size, data.synthetic_seed, config.workers,
    )  # fmt: skip


if __name__ == "__main__":
    leave(flags.run(main, "run the same command again to continue: crops already rendered are kept"))
