"""Seeds of the synthetic people that the frozen networks were trained on, as their weight files give them."""

from configs import schema
from lib.errors import UserError
from lib.face_model.face_model import FaceModel
from model.weights.pretrained import is_frozen, read_metadata


def pretraining_seeds(config: schema.Config, face_model: str | None = None) -> dict[str, int]:
    """Seeds by the weight file's option; without published networks, which saw photos, and missing files.

    Args:
      config: the effective configuration.
      face_model: fingerprint of the face model whose people count; None for any.

    Raises:
      UserError: a file is damaged.
    """
    found = {}
    for option, weights in (
        ("regressor.weights", config.regressor.weights),
        ("identity.weights", config.identity.weights),
    ):
        path = schema.asset_path(weights)
        if is_frozen(path) or not path.is_file():
            continue
        metadata = read_metadata(path)
        faces = metadata.get("faces")
        if (
            isinstance(faces, dict)
            and isinstance(faces.get("seed"), int)
            and face_model in (None, metadata["face_model"])
        ):
            found[option] = faces["seed"]
    return found


def check_synthetic_seed(config: schema.Config, face_model: FaceModel) -> None:
    """Raises UserError if create_bin.py's crops would show the people that a frozen network was trained on."""
    for option, seed in pretraining_seeds(config, face_model.fingerprint).items():
        if seed == config.data.synthetic_seed:
            raise UserError(
                f"data.synthetic_seed: must differ from the seed of the faces that {option} was trained on, got {seed} "
                "for both (the networks would be measured on faces they were pre-trained on)"
            )
