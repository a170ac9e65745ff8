"""Third-party identity networks for evaluation, each described by a YAML file that refers to a .pb or ONNX file."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import tensorflow as tf
from skimage.transform import SimilarityTransform

from configs import plain_yaml
from lib.errors import UserError, one_line
from lib.network_files.frozen_graph import FrozenGraph
from lib.network_files.onnx_network import open_network
from model.networks.identity import central_square
from model.networks.regressor import resize_square

OPTION = "evaluate.networks"
COUNTS = {"rgb": 3, "bgr": 3, "grey": 1}


@dataclasses.dataclass(frozen=True)
class NetworkDescription:
    """An identity network and the input that it expects, read from YAML.

    Attributes:
      name: name of its column; by default the YAML file's name.
      file: the network, .pb (frozen TensorFlow 1 graph) or .onnx; relative to the YAML file.
      size: side of its input [px].
      channels: rgb, bgr or grey (ITU-R 601 luma).
      mean, std: the input is (value - mean) / std for values in [0, 1]; one number, or one per channel in their order.
      layout: nchw or nhwc; by default nchw for ONNX and nhwc for .pb files.
      crop_fraction: side of the central square of the crop that is used, as a share; not allowed with `points`.
      points: [5, 2] positions of eyes, nose and mouth corners in the input (x right, y down, 0 at the centre of the
        first pixel, as in OpenCV), image's left first; if empty, the central square is resized instead.
      input, output: names of the tensors of a .pb.
      settings: boolean inputs of a .pb and their values.
    """

    name: str
    file: str
    size: int
    channels: str = "rgb"
    mean: float | list[float] = 0.0
    std: float | list[float] = 1.0
    layout: str = ""
    crop_fraction: float = 1.0
    points: list[list[float]] = dataclasses.field(default_factory=list)
    input: str = ""
    output: str = ""
    settings: dict[str, bool] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        _require(isinstance(self.size, int) and self.size >= 8, "size", "a whole number from 8 on", self.size)
        _require(self.channels in COUNTS, "channels", "one of rgb, bgr, grey", self.channels)
        _require(self.layout in ("", "nchw", "nhwc"), "layout", "nchw or nhwc", self.layout)
        _require(Path(self.file).suffix in (".pb", ".onnx"), "file", "a .pb or .onnx file", self.file)
        for key in ("mean", "std"):
            values = np.atleast_1d(np.asarray(getattr(self, key), np.float32))
            _require(values.shape in ((1,), (COUNTS[self.channels],)), key, "one number, or one per channel", values)
            _require(key == "mean" or bool((values > 0).all()), key, "above 0", values)
        _require(0 < self.crop_fraction <= 1, "crop_fraction", "above 0 and at most 1", self.crop_fraction)
        _require(
            not self.points or self.crop_fraction == 1, "crop_fraction", "absent beside points", self.crop_fraction
        )
        _require(not self.points or np.shape(self.points) == (5, 2), "points", "five pairs x, y", self.points)
        if Path(self.file).suffix == ".pb":
            _require(bool(self.input and self.output), "input, output", "the names of the .pb's tensors", "none")


class OtherIdentity:
    """Network described by a YAML file: picture to embedding.

    Args:
      path: path of the YAML file.

    Raises:
      UserError: the YAML file or the network cannot be used, or they do not fit together.
    """

    def __init__(self, path: Path):
        self.path, self.description = Path(path), read_description(Path(path))
        file = self.path.parent / self.description.file
        self._run = _frozen(file, self.description) if file.suffix == ".pb" else _onnx(file)
        self._channels_first = (self.description.layout or ("nhwc" if file.suffix == ".pb" else "nchw")) == "nchw"
        # A wrong description must not wait for the first photo. Grey alone could lead to a division by its spread of 0.
        side = self.description.size
        noise = np.random.default_rng(0).uniform(size=(1, side, side, 3))
        self(tf.constant(noise, tf.float32), np.asarray(self.description.points) + 0.5)

    def __call__(self, picture: tf.Tensor, points: np.ndarray) -> tf.Tensor:
        """Computes the embedding [1, E] of a picture.

        Args:
          picture: [1, H, W, 3] RGB in [0, 1].
          points: [5, 2] five points of the face, pixels, with (0.5, 0.5) at the centre of the first pixel.

        Raises:
          UserError: the network does not accept the described input, or its output is not finite.
        """
        values = self.network_input(picture, points)
        try:
            embedding = np.asarray(self._run(values.transpose(0, 3, 1, 2) if self._channels_first else values))
        except Exception as error:  # onnxruntime's own exceptions share no public base class
            reason = one_line(error)
            raise UserError(f"{self.path}: must describe what the network takes, got: {reason}") from error
        if not np.isfinite(embedding).all():
            raise UserError(f"{self.path}: the network must give finite numbers, got others")
        return tf.constant(embedding.reshape(1, -1), tf.float32)

    def network_input(self, picture: tf.Tensor, points: np.ndarray) -> np.ndarray:
        """Prepares the network's input, float32 [1, size, size, channels]; arguments as in `__call__`."""
        description = self.description
        if description.points:
            # OpenCV's origin is the centre of the first pixel.
            fit = SimilarityTransform.from_estimate(points - 0.5, np.asarray(description.points, np.float64))
            image = cv2.warpAffine(np.asarray(picture)[0], fit.params[:2], (description.size, description.size))
        else:
            image = resize_square(central_square(picture, description.crop_fraction), description.size)[0].numpy()
        if description.channels == "grey":
            image = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None]
        elif description.channels == "bgr":
            image = image[..., ::-1]
        mean, std = np.asarray(description.mean, np.float32), np.asarray(description.std, np.float32)
        return ((image - mean) / std).astype(np.float32)[None]


def read_description(path: Path) -> NetworkDescription:
    """Reads and checks the description of a network.

    Raises:
      UserError: the file is missing or is not YAML, or has an unknown key or an invalid value.
    """
    if not path.is_file():
        raise UserError(f"{path}: must be a YAML file that describes an identity network, got none ({OPTION})")
    try:
        values = plain_yaml.parse(path.read_text(encoding="utf-8"))
    except (plain_yaml.BadYaml, UnicodeDecodeError) as error:
        raise UserError(f"{path}: must be YAML, got: {one_line(error)}") from error
    fields = {field.name for field in dataclasses.fields(NetworkDescription)}
    if not isinstance(values, dict) or not {"file", "size"} <= values.keys() <= fields:
        raise UserError(f"{path}: must hold file and size, and only keys among {', '.join(sorted(fields))}, got others")
    try:
        return NetworkDescription(**{"name": path.stem, **values})
    except (ValueError, TypeError, OverflowError) as error:
        raise UserError(f"{path}: {error}") from error


def _require(holds: bool, key: str, wanted: str, got: object) -> None:
    if not holds:
        raise UserError(f"{key} must be {wanted}, got {got}")


def _frozen(path: Path, description: NetworkDescription) -> Callable[[np.ndarray], tf.Tensor]:
    graph = FrozenGraph(path, [description.input], [description.output], description.settings)
    return lambda values: graph(tf.constant(values))[0]


def _onnx(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    session = open_network(path, OPTION)
    entry, result = session.get_inputs()[0].name, session.get_outputs()[0].name
    return lambda values: session.run([result], {entry: values})[0]
