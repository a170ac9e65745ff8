"""Weight file of the texture network: where a training starts, and what reconstructs photos before any training.

Unlike the regressor, the network fits one configuration only: its mesh levels, its inputs and the frozen networks whose
outputs it has learnt to read. The file holds those identifiers, `Pipeline.signature`, and the levels themselves.
"""

from collections.abc import Mapping
from pathlib import Path

from lib.errors import UserError
from lib.mesh_sampling import carried_arrays
from model.networks.identifiers import LEVELS, differing
from model.networks.texture_networks import TextureNetwork
from model.weights.pretrained import load_weights, read_metadata, save_weights

_MODE = "train"
_ADDED = ("camera", LEVELS)  # identifiers that files of earlier versions lack


def save_texture_network(
    path: Path, network: TextureNetwork, face_model: str, signature: Mapping[str, str], metadata: Mapping
) -> None:
    """Writes the weights of a texture network; `save_weights` describes their precision.

    Args:
      path: the .npz to (re)place.
      network: the network.
      face_model: fingerprint of its face model.
      signature: identifiers of everything else that the network fits.
      metadata: JSON values.
    """
    levels = carried_arrays(network.hierarchy)
    save_weights(path, network, face_model, {**metadata, "belongs_to": dict(signature)}, levels)


def load_texture_network(path: Path, network: TextureNetwork, face_model: str, signature: Mapping[str, str]) -> str:
    """Loads a file's weights if they belong to the configured network.

    Returns:
      Empty if the weights were loaded; otherwise why they do not belong to it.

    Raises:
      UserError: the file is missing or damaged, or holds another kind of network.
    """
    metadata = read_metadata(path, _MODE)
    belongs_to = metadata.get("belongs_to")
    if not isinstance(belongs_to, dict):
        raise UserError(
            f"{path}: must hold the weights of a texture network, got those of another kind "
            f"({metadata.get('network', 'unnamed')}; give another texture.weights)"
        )
    for key, wanted, found in differing(belongs_to, signature, _ADDED):
        where = ", those of the level files in data/params" if key == LEVELS else ""
        return f"made for {key} {found}, not {wanted}{where}"
    load_weights(path, network, face_model, _MODE)
    return ""
