"""Comparison of a resumed run's options with those of its checkpoint."""

import dataclasses
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from configs import schema
from lib.errors import UserError

# Options that do not change a run: they name it, or select what is shown.
_FREE = ("train.restore", "train.suffix", "train.samples")
# Options that a resumed run may change, to train longer or to continue after a loss that was not finite; changes are
# printed. The others (seed, batch size, schedule, ...) determine the order of the crops or the meaning of the progress.
_CHANGEABLE = (
    "train.epochs", "train.eval_every", "train.learning_rate", "train.clip_norm", "train.epsilon", "gan.adversarial",
    "gan.penalty", "gan.learning_rate", "train.deterministic", "train.weights",
)  # fmt: skip
# Key of the options that the run's start has overruled, as they were given, among those of a checkpoint.
GIVEN = "given"
# Key of whether the run keeps the albedo of the weights that it started from (`TextureTrainer`), among the same.
KEEPS_ALBEDO = "keeps_albedo"
# What applied before there was an option for it, in runs whose checkpoints lack it.
_BEFORE = {"train.epsilon": 1e-7}


def run_options(config: schema.Config) -> dict[str, Any]:
    """The options that a checkpoint remembers: training, losses, schedule, critic and dropout."""
    options = {
        f"{section}.{name}": value
        for section in ("train", "loss", "schedule", "gan")
        for name, value in dataclasses.asdict(getattr(config, section)).items()
    }
    options["texture.drop_rate"] = config.texture.drop_rate
    return {key: value for key, value in options.items() if key not in _FREE}


def compare_options(config: schema.Config, earlier: Mapping[str, Any] | None, checkpoint: Path) -> None:
    """Prints the options that a resumed run changes.

    Args:
      config: the effective configuration.
      earlier: `run_options` of the checkpoint; None if an earlier version wrote it without them.
      checkpoint: the file, for messages.

    Raises:
      UserError: an option differs that a resumed run must not change.
    """
    if earlier is None:
        print(f"{checkpoint}: written by an earlier version without its options, so they cannot be compared")
        return
    earlier = _BEFORE | dict(earlier)
    differing = {key: value for key, value in run_options(config).items() if key in earlier and earlier[key] != value}
    for key, value in differing.items():
        if key not in _CHANGEABLE and not key.startswith("loss."):
            check_unchanged(key, earlier[key], value, checkpoint)
    for key, value in differing.items():
        print(f"continuing with {key} {value} (so far {earlier[key]})", file=sys.stderr)


def check_unchanged(key: str, earlier: Any, value: Any, checkpoint: Path) -> None:
    """Raises UserError if an option differs that a resumed run must not change."""
    if earlier != value:
        raise UserError(
            f"{key}: must be {earlier} as in the run that --restore continues, got {value} (give the earlier value, or "
            f"train without --restore; {checkpoint})"
        )
