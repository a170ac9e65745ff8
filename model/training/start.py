"""Where a training run starts: from trained weights of the same networks, or from random ones."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from configs import schema
from configs.training_sections import EPOCHS, EPOCHS_FROM_WEIGHTS, RATE, RATE_FROM_WEIGHTS
from lib.errors import UserError
from model.pipeline import Pipeline, load_texture_weights
from model.runs import checkpoints
from model.runs.training_data import TrainingData, of_weights
from model.training.resuming import GIVEN, KEEPS_ALBEDO, check_unchanged
from model.weights.pretrained import check_replaceable, read_metadata

# Options of runs from trained weights, which need not learn to copy the coarse albedo first.
FROM_WEIGHTS = {
    "train.epochs": EPOCHS_FROM_WEIGHTS,
    "train.learning_rate": RATE_FROM_WEIGHTS,
    "schedule.coarse_fraction": 0.0,
}
_OVERRULED = "schedule.coarse_fraction"


@dataclasses.dataclass(frozen=True)
class Start:
    """Where a run starts.

    Attributes:
      from_weights: the texture network has trained weights now.
      given: options that the start overrules, as they were given.
      trained_on: the crops of the weights that the run started from, and those of the run if it is continued.
      keeps_albedo: the continued run keeps the albedo of the weights that it started from.
    """

    from_weights: bool = False
    given: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    trained_on: tuple[TrainingData, ...] = ()
    keeps_albedo: bool = False


def weights_at_start(config: schema.Config, latest: Path) -> Path:
    """The file of the texture network's weights when a run starts or continues; none if its weights are random."""
    return latest if config.train.restore and latest.is_file() else schema.asset_path(config.texture.weights)


def begin_from_weights(
    config: schema.Config, pipeline: Pipeline, latest: Path, say: bool = True
) -> tuple[schema.Config, Start]:
    """Loads texture.weights into the texture network if they belong to it, and settles the length of the run.

    Args:
      config: the effective configuration.
      pipeline: its components; the texture network has random weights.
      latest: the checkpoint that train.restore continues from; if it exists, no weights are loaded.
      say: print where the run starts.

    Returns:
      The configuration with train.epochs and train.learning_rate filled in where they are 0: from the run that is
      continued, or to suit the start. In runs that start from trained weights, schedule.coarse_fraction is 0.
      And the start.

    Raises:
      UserError: the weights are missing or damaged, or schedule.stages or train.stage would undo them; or train.weights
        names a file that the run must not replace; or schedule.coarse_fraction is not that of the continued run.
    """
    if config.train.weights:
        path = schema.asset_path(config.train.weights)
        network, face_model = pipeline.texture_network, pipeline.face_model.fingerprint
        check_replaceable(path, network, face_model, "train.weights=FILE.npz")
    given = {_OVERRULED: config.schedule.coarse_fraction}
    if weights_at_start(config, latest) == latest:
        options = checkpoints.read_options(latest) or {}
        before = options.get(GIVEN, {}).get(_OVERRULED)  # earlier versions have not kept it
        if before is not None:
            check_unchanged(_OVERRULED, before, given[_OVERRULED], latest)
        trained_on, keeps_albedo = checkpoints.read_training_data(latest), options.get(KEEPS_ALBEDO, False)
        return _settled(config, options), Start(False, given, trained_on, keeps_albedo)
    section = config.texture
    reason = load_texture_weights(pipeline) if section.weights else "texture.weights is empty"
    if not reason and config.schedule.stages == "published":
        raise UserError(
            f"schedule.stages: must be ramp in a run that starts from {section.weights}, got published, which first "
            "trains a copy of the coarse albedo (texture.weights= starts from random weights)"
        )
    if not reason and config.train.stage == "rec":
        raise UserError(
            f"train.stage: must be all or render in a run that starts from {section.weights}, got rec, which trains "
            "nothing but a copy of the coarse albedo (texture.weights= starts from random weights)"
        )
    config = _settled(config, {} if reason else FROM_WEIGHTS)
    if say and not config.train.restore:
        start = f"random weights ({section.weights}: {reason})" if section.weights and reason else "random weights"
        print(
            f"training starts from {start if reason else section.weights}: {config.train.epochs} epochs, learning rate "
            f"{config.train.learning_rate:g}"
        )
    if reason:
        return config, Start(False, given)
    path = schema.asset_path(section.weights)
    return config, Start(True, given, of_weights(read_metadata(path)))


def keeps_albedo(config: schema.Config, start: Start, albedo_known: bool, say: bool = True) -> bool:
    """Whether the run's target for the albedo is that of the weights that it started from, for want of a true one.

    Args:
      config: the configuration.
      start: where the run starts.
      albedo_known: the true albedos of the crops are known.
      say: print what the target is, if it is no true one.
    """
    if albedo_known or not config.texture.intrinsic or config.loss.albedo == 0:
        return False
    kept = start.from_weights or start.keeps_albedo
    if say:
        target = "keeps the albedo that it has" if kept else "takes the appearance, with shadows and highlights, for it"
        print(f"the true albedo of these crops is unknown: the network {target}")
    return kept


def _settled(config: schema.Config, options: Mapping[str, Any]) -> schema.Config:
    """The configuration, with what it leaves open filled in from the options of a run, or from the defaults."""
    train = dataclasses.replace(
        config.train,
        epochs=config.train.epochs or options.get("train.epochs", EPOCHS),
        learning_rate=config.train.learning_rate or options.get("train.learning_rate", RATE),
    )
    schedule = config.schedule
    if options.get("schedule.coarse_fraction") == 0:
        schedule = dataclasses.replace(schedule, coarse_fraction=0.0)
    return dataclasses.replace(config, train=train, schedule=schedule)
