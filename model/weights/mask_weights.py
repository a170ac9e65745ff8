"""Weight file of the mask decoder, which depends on the landmark network whose feature maps it reads."""

from collections.abc import Mapping
from pathlib import Path

from lib.errors import UserError
from lib.face_mesh.network import FILE, PACKAGE
from lib.files.atomic import file_sha256
from lib.network_files.tflite_network import packaged_network
from model.networks.fixed.mask import FixedMaskDecoder
from model.networks.mask_decoder import MaskDecoder
from model.weights.pretrained import MASK_FACES, check_replaceable, load_fixed, read_metadata, save_weights

# The decoder does not depend on the face model of its training faces, so its files name none.
_ANY_FACE_MODEL = "any"
_MODE = "masks"


def landmark_network() -> str:
    """Short hash of the installed landmark network."""
    return file_sha256(packaged_network(PACKAGE, FILE))[:16]


def save_mask_decoder(path: Path, network: MaskDecoder, metadata: Mapping) -> None:
    """Writes the decoder's weights; `metadata` holds `landmark_network`."""
    save_weights(path, network, _ANY_FACE_MODEL, metadata)


def check_mask_replaceable(path: Path) -> None:
    """Refuses to overwrite anything but a decoder's weights, for any landmark network; see `check_replaceable`."""
    check_replaceable(path, MaskDecoder(), _ANY_FACE_MODEL, "mask.weights=FILE.npz", _MODE)


def load_mask_decoder(path: Path) -> FixedMaskDecoder:
    """Loads a decoder for use.

    Raises:
      UserError: the file is missing, damaged, or holds another network's weights, or another landmark network is
        installed than the one that the decoder was trained with.
    """
    network = load_fixed(path, FixedMaskDecoder, _ANY_FACE_MODEL, _MODE)
    _check_landmark_network(path)
    return network


def _check_landmark_network(path: Path) -> None:
    trained_with = read_metadata(path).get("landmark_network")
    if trained_with != landmark_network():
        raise UserError(
            f"{path}: must belong to the installed landmark network {landmark_network()}, got weights for "
            f"{trained_with} (pip install -r requirements.txt, or python main.py --mode masks {MASK_FACES})"
        )
