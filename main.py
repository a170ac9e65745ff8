"""Command line of the program: trains networks, reconstructs and tracks faces, serves a local page, measures."""

from configs import starting

if __name__ == "__main__":
    starting.begin()

import argparse
import os
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from configs import flags, schema
from lib.cluster.meeting import Cluster
from lib.cluster.ray_parts import Job, run_parts
from lib.errors import UserError
from lib.face_image.photo_io import input_photos, photo_paths
from lib.files.shards import user_of_all_shards, user_of_cluster, user_of_shard
from lib.records.record_index import open_records
from lib.records.splits import load_split
from lib.runtime.determinism import make_deterministic
from lib.runtime.leaving import leave
from lib.runtime.quiet_tensorflow import import_tensorflow, share_processors
from model.runs.processes import run_mirrored
from model.runs.set_aside import shipped_instead
from utils import seed_everything

PARTIAL_SUCCESS = 3
EPILOG = """
Any option of the configuration may follow as section.key=value, e.g. loss.symmetry=0.1: see configs/default.yaml.

Exit codes: 0 success; 2 an error in the command or its files, or not one photo was processed; 3 --mode test, prepare or
evaluate processed only some photos (the output lists the others); 130, 143, 129 stopped by Ctrl-C, SIGTERM, SIGHUP.
"""
# Modes that use the texture network without training it.
USES_NETWORK = ("test", "track", "evaluate", "serve")
# Modes with --input and --output, which set the options of their section.
FOLDERS = ("test", "track", "prepare", "evaluate")
# Photos per part on a cluster: about a minute of work, because a process takes seconds to start.
PHOTOS_PER_PART = {"prepare": 64, "test": 16}


def main(argv: list[str] | None = None) -> int:
    """Runs the mode that the command line names and returns its exit code."""
    args = parse(argv)
    flags.check_mode(args)
    config = schema.load(args.config, args.overrides)
    if args.mode in USES_NETWORK and not config.texture_path.is_relative_to(config.run_dir):
        print(shipped_instead(config.run_dir, config.texture.weights))
    return MODES[args.mode](config, args)


# TensorFlow takes seconds to import, so each mode first checks everything that can be wrong with its command.


def run_training(config: schema.Config, args: argparse.Namespace) -> int:
    """--mode train: trains a texture network on the packed crops, alone or together with other processes."""
    check_records(config)
    if args.distribute == "mirrored":
        command = [__file__, *args.arguments, "--distribute", "multi_worker"]
        if (code := run_mirrored(config, args.replicas, command)) is not None:
            return code
    cluster = Cluster.from_environment(os.environ) if args.distribute == "multi_worker" else None
    if cluster is not None:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # a lost process is reported in one line
    share_processors()
    start_tensorflow(config.train.seed, config.train.deterministic, keep_memory=True)
    from model.training.loop import train

    if cluster is None:
        train(config, config.run_dir)
    else:
        from model.training.workers import connect

        train(config, config.run_dir, workers=connect(cluster))
    return 0


def reconstruct(config: schema.Config, args: argparse.Namespace) -> int:
    """--mode test: reconstructs photos, or one part of them, several photos of each person, or a video."""
    source, section = Path(config.test.input), config.test
    if section.video and section.same_person:
        raise UserError("test.video and test.same_person must not both be true, got both")
    if section.video and not source.exists():
        raise UserError(f"{source}: must be a video or a folder of frames, got no such file or folder")
    if config.prepare.faces == "all" and (section.video or section.same_person):
        raise UserError("prepare.faces must be largest for a video or photos of the same person, got all")
    several = args.divided or (args.workers is not None and config.data.workers != 1)
    if (section.video or section.same_person) and several:
        flag, got = args.divided or "--workers", "--video" if section.video else "--same-person"
        raise UserError(f"{flag} must come with photos one by one, got {got} (run it as a whole, in one process)")
    if section.same_person:
        photo_paths(source, skip=section.output)
    elif not section.video:
        input_photos(source, skip=section.output)
    if args.divided:
        from model.reconstruction.folder import most_processes
        from model.reconstruction.shards.run import merge_shards, reconstruct_shard

        return run_divided(config, args, source, reconstruct_shard, merge_shards, most_processes(config))
    if section.video:
        start_tensorflow(config.train.seed)
        from model.video.track import reconstruct_video as run
    elif section.same_person:
        start_tensorflow(config.train.seed)
        from model.person.reconstruct import reconstruct_people as run
    else:
        # Starts TensorFlow itself, in each of its processes.
        from model.reconstruction.folder import reconstruct_folder as run

    with user_of_all_shards(Path(section.output), "a test"):
        return exit_code(run(config, source, Path(section.output)))


def track_face(config: schema.Config, _: argparse.Namespace) -> int:
    """--mode track: tracks the face of a video at the speed of a camera."""
    source, output = Path(config.track.input), Path(config.track.output)
    if not config.track.input or not source.exists():
        got = f"{source}, no such file or folder" if config.track.input else "none"
        raise UserError(f"--input must be a video or a folder of frames, got {got}")
    if not config.fit.landmarks:
        raise UserError("fit.landmarks must be true for --mode track, got false")
    start_tensorflow(config.train.seed)
    from model.video.live import track_video

    with user_of_all_shards(output, "tracking"):
        track_video(config, source, output)
    return 0


def prepare_crops(config: schema.Config, args: argparse.Namespace) -> int:
    """--mode prepare: turns a folder of photos, or one part of it, into RGBA crops for training."""
    source, output = Path(config.prepare.input), Path(config.prepare.output)
    input_photos(source, skip=output)
    if args.divided:
        from model.preparation.shards import merge_shards, prepare_shard

        return run_divided(config, args, source, prepare_shard, merge_shards, config.workers)
    from model.preparation.prepare import prepare_folder

    with user_of_all_shards(output, "preparing"):
        return exit_code(prepare_folder(config, source, output))


def run_divided(
    config: schema.Config, args: argparse.Namespace, source: Path, run: Callable, merge: Callable, cpus: int
) -> int:
    """--shard: runs one part; --merge: joins all; --cluster: both, on Ray (`local`: `cpus` parts at a time)."""
    output, count = Path(getattr(config, args.mode).output), None
    if args.shard:
        with user_of_shard(output, args.shard, f"shard {args.shard}"):
            run(config, source, output, args.shard)
        return 0  # even if photos failed, because a scheduler would repeat the part: merging reports them
    if args.cluster is not None:
        photos, each, paths = input_photos(source, skip=output)[1], PHOTOS_PER_PART[args.mode], (source, output)
        with user_of_cluster(output, "all parts"):
            job = Job("main", flags.for_parts(args.arguments), len(photos), each, paths, schema.REPOSITORY)
            count = run_parts(args.cluster, cpus, job)
    with user_of_all_shards(output, "merging"):
        return exit_code(merge(config, source, output, count))


def pretrain_networks(config: schema.Config, _: argparse.Namespace) -> int:
    """--mode pretrain: trains the identity network and the regressor on synthetic faces."""
    start_tensorflow(config.pretrain.seed, config.train.deterministic, keep_memory=True)
    from model.pretraining.loop import pretrain

    pretrain(config)
    return 0


def measure(config: schema.Config, _: argparse.Namespace) -> int:
    """--mode evaluate: measures the trained networks on a folder of photos or on held-out crops."""
    output = Path(config.evaluate.output)
    if config.evaluate.input:
        photo_paths(config.evaluate.input, skip=output)
        start_tensorflow(config.train.seed)
        from model.evaluation.folder import evaluate_folder

        with user_of_all_shards(output, "evaluating"):
            return exit_code(evaluate_folder(config, Path(config.evaluate.input), output))
    check_records(config)
    start_tensorflow(config.train.seed)
    from model.evaluation.records import evaluate

    with user_of_all_shards(output, "evaluating"):
        evaluate(config, output)
    return 0


def serve_page(config: schema.Config, _: argparse.Namespace) -> int:
    """--mode serve: a local page that reconstructs photos dropped on it, until the program is told to stop."""
    from model.serving import prepare_process

    prepare_process()
    start_tensorflow(config.train.seed)
    from model.serving.server import serve

    serve(config)
    return 0


def examine_assets(config: schema.Config, args: argparse.Namespace) -> int:
    """--mode doctor: lists the files a configuration needs, and which of them are missing."""
    import_tensorflow()
    from model.doctor import DEFAULT, diagnose, diagnose_file

    chosen = diagnose(config, args.config or DEFAULT)
    if args.config is None:
        diagnose_file("configs/paper.yaml", args.overrides)
    return 0 if chosen else 2


def calibrate_landmarks(config: schema.Config, _: argparse.Namespace) -> int:
    """--mode landmarks: locates the 468 landmarks on the face model's surface and stores them."""
    start_tensorflow(config.train.seed)
    from model.dense_landmarks.source import remake
    from model.face_model_source import load_face_model

    print(f"the 468 landmarks of {config.face_model.source}: {remake(config, load_face_model(config))}")
    return 0


def train_masks(config: schema.Config, _: argparse.Namespace) -> int:
    """--mode masks: trains the mask decoder on synthetic faces with occluders."""
    start_tensorflow(config.mask.seed, config.train.deterministic)
    from model.pretraining.mask_training import train_mask_decoder

    train_mask_decoder(config)
    return 0


MODES = {
    "train": run_training,
    "test": reconstruct,
    "track": track_face,
    "prepare": prepare_crops,
    "pretrain": pretrain_networks,
    "evaluate": measure,
    "serve": serve_page,
    "landmarks": calibrate_landmarks,
    "masks": train_masks,
    "doctor": examine_assets,
}


def check_records(config: schema.Config) -> None:
    """Raises UserError if the packed crops or their split are missing, or do not belong together."""
    load_split(config.params_dir, open_records(config.records_path, config.data.image_size).names)


def exit_code(failed: Collection[Any]) -> int:
    """Exit code of a run over a folder, given the photos that failed."""
    return PARTIAL_SUCCESS if failed else 0


def start_tensorflow(seed: int, deterministic: bool = False, keep_memory: bool = False) -> None:
    """Imports TensorFlow without its start-up messages and seeds all random number generators."""
    import_tensorflow(keep_memory)
    seed_everything(seed)
    if deterministic:
        make_deterministic()


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Parses the command line into mode, config, and `overrides` (all changes to the configuration)."""
    parser = flags.Parser(prog="main.py", description=__doc__, epilog=EPILOG)
    parser.add_argument("--mode", default="train", choices=tuple(MODES), help="what to run (default: %(default)s)")
    parser.add_argument("--config", help="YAML file of what differs from configs/default.yaml, e.g. configs/paper.yaml")
    defaults = schema.load()
    parser.add_argument(
        "--input",
        help=f"--mode test: folder of photos, or one photo (default: {defaults.test.input}); "
        "--mode track: a video, or a folder of frames; "
        f"--mode prepare: the same as test (default: {defaults.prepare.input}); "
        "--mode evaluate: folder of photos to measure on (default: the records' test split)",
    )
    outputs = "; ".join(f"--mode {mode}: {getattr(defaults, mode).output}" for mode in FOLDERS)
    parser.add_argument("--output", help=f"folder for the results (default: {outputs})")
    parser.add_argument("--video", help="--mode test: a video or a folder of frames, instead of --input")
    parser.add_distribution()
    parser.add_sharding(
        "--mode prepare, test: only part I of N of the photos", "--mode prepare, test: join all parts into one result"
    )
    parser.add_options(flags.OPTIONS)
    args = parser.parse(argv)
    if args.divided and args.mode not in PHOTOS_PER_PART:
        raise UserError(f"{args.divided} must come with --mode prepare or test, got --mode {args.mode}")
    if args.video is not None:
        if args.mode != "test" or args.input is not None or args.same_person:
            raise UserError("--video must come with --mode test, without --input and --same-person")
        args.input = args.video
        args.overrides.append("test.video=true")
    flags.set_folders(args, FOLDERS)
    return args


if __name__ == "__main__":
    leave(flags.run(main, "train resumes with --restore; prepare, pretrain and masks without it; others start again"))
