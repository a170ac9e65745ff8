"""Compares a training step with the published formulation of it: python -m benchmarks.training_step.

Both run at the paper's size on stand-in assets (`benchmarks.paper_scale`: 35,659 vertices, 224 px, batch 4, `normal`;
in place of FaceNet, an untrained ResNet-50 at 160 px with 1792 features). Each has its own process. They take turns, so
that a machine busy with other work slows both, and the ratio of their times holds. Ours reads the frozen networks'
outputs from the cache, as in every start but the first. Prints seconds per step and peak memory of both, their ratios,
and the loss of both in the last step of the first turn. With --steps 1 that is the first step, where they must agree;
later, Adam magnifies rounding, because its first steps follow little more than the signs of the gradients.
"""

import argparse
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.turns import Figures, Side, serve, take_turns
from configs import schema
from utils import seed_everything

SIDES = ("ours", "published")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=5, help="turns of each side after the first, which compiles")
    parser.add_argument("--steps", type=int, default=4, help="steps per turn")
    parser.add_argument("--side", choices=("prepare", *SIDES), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("overrides", nargs="*", help="section.key=value")
    args = parser.parse_args()
    if args.side == "prepare":
        prepare(args.folder, args.overrides)
    elif args.side:
        make_steps = {"ours": our_steps, "published": published_steps}[args.side]
        serve(lambda: figures_of(make_steps(configuration(args.folder, args.overrides))))
    else:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(compare(Path(folder), args.turns, args.steps, args.overrides), indent=2))


def compare(folder: Path, turns: int, steps: int, overrides: list[str]) -> dict[str, Any]:
    """Seconds per step (median over the turns) and GiB of both, and how many times ours the published ones are."""
    first, found = measure(folder, turns, steps, overrides)
    ours, published = (found[side] for side in SIDES)
    times = [theirs / mine for mine, theirs in zip(ours["seconds"], published["seconds"], strict=True)]
    peak = {side: max(found[side]["gib"]) for side in SIDES}
    return {
        **{f"{side}_loss": round(first[side]["loss"], 5) for side in SIDES},
        **{f"{side}_seconds": round(statistics.median(found[side]["seconds"]), 3) for side in SIDES},
        **{f"{side}_gib": round(peak[side], 2) for side in SIDES},
        "times_as_fast": round(statistics.median(times), 2),
        "times_as_fast_range": [round(min(times), 2), round(max(times), 2)],
        "times_less_memory": round(peak["published"] / peak["ours"], 2),
    }


def measure(
    folder: Path, turns: int, steps: int, overrides: list[str]
) -> tuple[dict[str, Figures], dict[str, dict[str, list[float]]]]:
    """Figures of each side's first turn, which compiles, and those of the turns after it.

    A turn's figures are seconds per step, peak memory so far in GiB, and the loss of its last step.
    """
    subprocess.run(_command("prepare", folder, overrides), check=True)
    sides = {side: Side(_command(side, folder, overrides)) for side in SIDES}
    first = {name: side.measure(steps) for name, side in sides.items()}
    found = take_turns(sides, turns, steps)
    for side in sides.values():
        side.close()
    return first, found


def _command(side: str, folder: Path, overrides: list[str]) -> list[str]:
    return [sys.executable, "-m", "benchmarks.training_step", "--side", side, "--folder", str(folder), *overrides]


def figures_of(make_steps: Callable[[int], float]) -> Callable[[int], Figures]:
    """Measures the seconds of a step, the peak memory and the loss while a function makes steps."""

    def measure_steps(count: int) -> Figures:
        started = time.perf_counter()
        loss = make_steps(count)
        seconds = (time.perf_counter() - started) / count
        return {
            "seconds": seconds,
            "gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
            "loss": loss,
        }

    return measure_steps


def configuration(folder: Path, overrides: list[str]) -> schema.Config:
    """configs/paper.yaml with the stand-ins in `folder`."""
    files = {
        "data.root_dir": folder,
        "face_model.source": folder / "face.npz",
        "regressor.weights": folder / "regressor.npz",
        "identity.weights": folder / "identity.npz",
    }
    return schema.load("configs/paper.yaml", [*(f"{key}={value}" for key, value in files.items()), *overrides])


def prepare(folder: Path, overrides: list[str]) -> None:
    """Writes the stand-ins, the mesh levels and the cached outputs of the frozen networks."""
    from benchmarks import paper_scale  # imports TensorFlow, which `our_steps` must do with the settings of the program

    model = paper_scale.stand_in(None)
    model.save(folder / "face.npz")
    config = configuration(folder, overrides)
    paper_scale.write_records(config)
    from model.networks.identity import build_identity_network
    from model.networks.regressor import build_regressor
    from model.weights.pretrained import save_weights

    save_weights(config.regressor.weights, build_regressor(config.regressor, model.layout), model.fingerprint, {})
    save_weights(config.identity.weights, build_identity_network(config.identity), model.fingerprint, {})
    our_steps(config)


def our_steps(config: schema.Config) -> Callable[[int], float]:
    """The steps of `--mode train`; the coarse faces are computed one batch ahead, all within the measured time."""
    from lib.runtime.quiet_tensorflow import import_tensorflow

    import_tensorflow(keep_memory=True)
    from lib.records.record_index import open_records
    from lib.runtime.prefetch import prefetch
    from model.input_pipeline.batches import batches
    from model.input_pipeline.frozen_outputs import encode_records
    from model.pipeline import load_pipeline
    from model.training.trainer import TextureTrainer

    seed_everything(config.train.seed)
    pipeline, records = load_pipeline(config), open_records(config.records_path, config.data.image_size)
    encoded = encode_records(records, pipeline.encode, config.generated_dir, pipeline.cache_key)
    trainer, weights = TextureTrainer(pipeline), _weights(config)
    del pipeline  # as `train` does
    size = config.train.batch_size

    def make_steps(count: int) -> float:
        loss = math.nan
        order = [i % len(records) for i in range(count * size)]
        for batch in prefetch(trainer.pose, batches(records, encoded, order, size)):
            loss = trainer.update(batch, weights, config.train.learning_rate, (0, 0))["total"]
        return loss

    return make_steps


def published_steps(config: schema.Config) -> Callable[[int], float]:
    """The steps of the published formulation, with TensorFlow as it starts by itself."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import numpy as np

    from benchmarks.published_step import PublishedStep
    from lib.records.record_index import open_records
    from model.pipeline import load_hierarchy, load_pipeline

    seed_everything(config.train.seed)
    pipeline, records = load_pipeline(config), open_records(config.records_path, config.data.image_size)
    step = PublishedStep(pipeline, load_hierarchy(config, pipeline.face_model), _weights(config))
    size = config.train.batch_size

    def make_steps(count: int) -> float:
        loss = math.nan
        for i in range(count):
            crops = records.batch([(i * size + k) % len(records) for k in range(size)])
            loss = float(step(crops.astype(np.float32) / 255))
        return loss

    return make_steps


def _weights(config: schema.Config) -> dict[str, float]:
    """Weights of the loss terms late in the published schedule, when all of them are in use."""
    from model.runs.checkpoints import Progress
    from model.training.plan import loss_weights

    return loss_weights(config, Progress(epoch=10, update=1000), 10_000)


if __name__ == "__main__":
    main()
