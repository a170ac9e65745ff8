"""Trains the networks, prepares and reconstructs photos, pre-trains, evaluates: flags in, one library call."""

import argparse
import sys
from pathlib import Path

from configs import flags, schema
from lib.errors import UserError
from lib.face_image.photo_io import photo_paths
from lib.records.record_file import RecordReader
from lib.records.splits import load_split
from lib.runtime.quiet_tensorflow import import_tensorflow
from utils import seed_everything

PARTIAL_SUCCESS = 3
EPILOG = """
Any option of the configuration may follow as section.key=value, e.g. loss.symmetry=0.1; configs/default.yaml lists them
with their meanings.

Exit codes: 0 done; 2 the command or its files are at fault, one line says how; 3 --mode test, prepare or evaluate did
some photos but not all, the output folder lists which failed and why; 130 interrupted.
"""
# What --input and --output stand for in each mode.
FOLDERS = {
    "test": {"input": "test.input", "output": "test.output"},
    "prepare": {"input": "prepare.input", "output": "prepare.output"},
    "evaluate": {"input": "evaluate.input", "output": "evaluate.output"},
}


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    config = schema.load(args.config, args.overrides)
    # TensorFlow takes seconds to import, so everything that can be wrong with the command is looked at before.
    if args.mode == "train":
        RecordReader(config.records_path, config.data.image_size)
        load_split(config.params_dir)
        start_tensorflow(config.train.seed)
        from model.training.loop import train

        train(config, config.run_dir)
    elif args.mode == "test":
        source = Path(config.test.input)
        if config.test.video and config.test.same_person:
            raise UserError("test.video and test.same_person must not both be true, got both")
        if config.test.video and not source.exists():
            raise UserError(f"{source}: must be a video or a folder of frames, got nothing there")
        if not config.test.video:
            photo_paths(source, skip=config.test.output)
        start_tensorflow(config.train.seed)
        if config.test.video:
            from model.video.track import reconstruct_video as reconstruct
        elif config.test.same_person:
            from model.person.reconstruct import reconstruct_people as reconstruct
        else:
            from model.reconstruction.reconstructor import reconstruct_folder as reconstruct

        failed = reconstruct(config, source, Path(config.test.output))
        return PARTIAL_SUCCESS if failed else 0
    elif args.mode == "doctor":
        from model.doctor import DEFAULT, diagnose

        chosen = diagnose(config, args.config or DEFAULT)
        if args.config is None:
            diagnose(schema.load(schema.REPOSITORY / "configs" / "paper.yaml", args.overrides), "configs/paper.yaml")
        return 0 if chosen else 2
    elif args.mode == "prepare":
        photo_paths(config.prepare.input, skip=config.prepare.output)
        from model.preparation.prepare import prepare_folder

        left_out = prepare_folder(config, Path(config.prepare.input), Path(config.prepare.output))
        return PARTIAL_SUCCESS if left_out else 0
    elif args.mode == "pretrain":
        start_tensorflow(config.pretrain.seed)
        from model.pretraining.loop import pretrain

        pretrain(config)
    elif config.evaluate.input:
        photo_paths(config.evaluate.input, skip=config.evaluate.output)
        start_tensorflow(config.train.seed)
        from model.evaluation.folder import evaluate_folder

        failed = evaluate_folder(config, Path(config.evaluate.input), Path(config.evaluate.output))
        return PARTIAL_SUCCESS if failed else 0
    else:
        RecordReader(config.records_path, config.data.image_size)
        load_split(config.params_dir)
        start_tensorflow(config.train.seed)
        from model.evaluation.records import evaluate

        evaluate(config, Path(config.evaluate.output))
    return 0


def start_tensorflow(seed: int) -> None:
    """Imports TensorFlow without its start-up notes and seeds all random numbers."""
    import_tensorflow()
    seed_everything(seed)


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The command line: mode, config, and as `overrides` all that changes the configuration."""
    parser = flags.Parser(prog="main.py", description=__doc__, epilog=EPILOG)
    parser.add_argument(
        "--mode",
        default="train",
        choices=("train", "test", "prepare", "pretrain", "evaluate", "doctor"),
        help="what to do (default: %(default)s)",
    )
    parser.add_argument("--config", help="YAML of what differs from configs/default.yaml, e.g. configs/paper.yaml")
    defaults = schema.load()
    parser.add_argument(
        "--input",
        help=f"--mode test: folder of photos (default: {defaults.test.input}); "
        f"--mode prepare: the same (default: {defaults.prepare.input}); "
        "--mode evaluate: the same, to measure on (default: the records' test split)",
    )
    parser.add_argument(
        "--output",
        help=f"folder of the results (default: --mode test: {defaults.test.output}; "
        f"--mode prepare: {defaults.prepare.output}; "
        f"--mode evaluate: {defaults.evaluate.output})",
    )
    parser.add_argument("--video", help="--mode test: a video, or a folder of frames, in place of --input")
    parser.add_options(flags.OPTIONS)
    args = parser.parse(argv)
    if args.video is not None:
        if args.mode != "test" or args.input is not None or args.same_person:
            raise UserError("--video must come with --mode test, without --input and --same-person")
        args.input = args.video
        args.overrides.append("test.video=true")
    for flag in ("input", "output"):
        if (value := getattr(args, flag)) is not None:
            if args.mode not in FOLDERS:
                raise UserError(f"--{flag} must come with --mode test, prepare or evaluate, got --mode {args.mode}")
            args.overrides.append(f"{FOLDERS[args.mode][flag]}={value}")
    return args


if __name__ == "__main__":
    sys.exit(flags.run(main, "--mode train goes on with --restore, --mode prepare and pretrain with the same command"))
