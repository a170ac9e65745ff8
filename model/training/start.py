"""Where a training run starts: from trained weights of the same networks, or from random ones."""

import dataclasses
from pathlib import Path

from configs import schema
from configs.training_sections import EPOCHS, EPOCHS_FROM_WEIGHTS, RATE, RATE_FROM_WEIGHTS
from model.pipeline import Pipeline, load_texture_weights
from model.runs import checkpoints
from model.weights.pretrained import check_replaceable


def begin_from_weights(config: schema.Config, pipeline: Pipeline, latest: Path, say: bool = True) -> schema.Config:
    """Loads texture.weights into the texture network if they belong to it, and settles the length of the run.

    Args:
      config: the effective configuration.
      pipeline: its components; the texture network has random weights.
      latest: the checkpoint that train.restore continues from.
      say: print where the run starts.

    Returns:
      The configuration with numbers instead of 0 in train.epochs and train.learning_rate: those of the run that is
      continued, or those that suit the start. From trained weights, schedule.coarse_fraction is 0.

    Raises:
      UserError: the weights are missing or damaged; or train.weights names a file that the run must not replace.
    """
    if config.train.weights:
        path = schema.asset_path(config.train.weights)
        check_replaceable(path, pipeline.texture_network, pipeline.face_model.fingerprint)
    section = config.texture
    reason = load_texture_weights(pipeline) if section.weights else "texture.weights is empty"
    epochs, rate = (EPOCHS, RATE) if reason else (EPOCHS_FROM_WEIGHTS, RATE_FROM_WEIGHTS)
    earlier = (checkpoints.read_options(latest) or {}) if config.train.restore and latest.is_file() else {}
    train = dataclasses.replace(
        config.train,
        epochs=config.train.epochs or earlier.get("train.epochs", epochs),
        learning_rate=config.train.learning_rate or earlier.get("train.learning_rate", rate),
    )
    # Trained weights need not learn to copy the coarse albedo first.
    schedule = config.schedule if reason else dataclasses.replace(config.schedule, coarse_fraction=0.0)
    if say and not config.train.restore:
        start = f"random weights ({section.weights}: {reason})" if section.weights and reason else "random weights"
        print(
            f"training starts from {start if reason else section.weights}: {train.epochs} epochs, learning rate "
            f"{train.learning_rate:g}"
        )
    return dataclasses.replace(config, train=train, schedule=schedule)
