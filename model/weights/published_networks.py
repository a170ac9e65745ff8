"""Published R-Net and FaceNet, which can replace this program's networks: frozen graphs or a PyTorch checkpoint.

R-Net: FaceReconModel.pb of Deep3DFaceReconstruction (Deng et al. 2019), or epoch_20.pth of its PyTorch version.
FaceNet: 20170512-110547.pb of davidsandberg/facenet, which the texture networks' authors call FaceNetModel.pb (Schroff
et al. 2015).
"""

from pathlib import Path

import numpy as np
import tensorflow as tf

from lib.errors import UserError
from lib.face_model.coefficients import CoefficientLayout
from lib.network_files.frozen_graph import FrozenGraph
from lib.network_files.torch_files import TorchCheckpoint
from model.networks.identity import central_square
from model.networks.regressor import resize_square
from model.networks.resnet import ResNet
from model.weights.resnet_weights import load_torch

REGRESSOR_SIZE, IDENTITY_SIZE = 224, 160  # px


def published_regressor(path: Path, layout: CoefficientLayout) -> "FrozenRegressor | TorchRegressor":
    """Loads R-Net from a frozen graph (.pb) or from a checkpoint of its PyTorch version (.pth)."""
    return (TorchRegressor if path.suffix == ".pth" else FrozenRegressor)(path, layout)


class FrozenRegressor:
    """R-Net as a frozen graph: input_imgs:0 (BGR, 0..255, 224 px) to coeff:0 and pooled features resnet_v1_50/pool5:0.

    Args:
      path: the .pb.
      layout: layout of the face model; the graph must predict as many coefficients.

    Raises:
      UserError: the file is missing, invalid, or belongs to another face model.
    """

    trainable = False

    def __init__(self, path: Path, layout: CoefficientLayout):
        self._graph = FrozenGraph(path, ["input_imgs:0"], ["coeff:0", "resnet_v1_50/pool5:0"])
        coefficients, features = self._graph(tf.zeros([1, REGRESSOR_SIZE, REGRESSOR_SIZE, 3]))
        found = int(tf.size(coefficients))
        if found != layout.size:
            raise UserError(f"{path}: must give the {layout.size} coefficients of the face model, got {found}")
        self.feature_size = int(tf.size(features))
        self._sizes = (found, self.feature_size)

    def __call__(self, crop, training: bool = False):
        """Predicts coefficients [B, K] and features [B, E1] of crops [B, H, W, 3], RGB in [0, 1]."""
        outputs = self._graph(resize_square(crop, REGRESSOR_SIZE)[..., ::-1] * 255.0)
        # Both outputs come from convolutions and have two spatial axes of size 1.
        return tuple(tf.reshape(output, [-1, size]) for output, size in zip(outputs, self._sizes, strict=True))


class TorchRegressor:
    """R-Net of Deep3DFaceRecon_pytorch (epoch_20.pth): a ResNet-50 on RGB in [0, 1] and seven linear layers.

    Its coefficients have the same meaning as in the TensorFlow version: same face model, camera, order of rotations,
    and light relative to the ambient 0.8 (models/bfm.py of its repository).

    Args:
      path: the .pth, with the network's state under "net_recon".
      layout: layout of the face model.

    Raises:
      UserError: the file is missing, holds more than tensors, or belongs to another face model.
    """

    trainable = False
    counts = (80, 64, 80, 3, 27, 2, 1)  # identity, expression, albedo, angles, light, translation in x and y, and in z

    def __init__(self, path: Path, layout: CoefficientLayout):
        if (layout.identity, layout.expression, layout.albedo) != self.counts[:3]:
            got = f"{layout.identity}, {layout.expression} and {layout.albedo}"
            raise UserError(f"{path}: must be used with a face model of 80, 64 and 80 coefficients, got one with {got}")
        arrays = TorchCheckpoint(path).arrays("net_recon")
        self._resnet = ResNet(50, 64, torchvision=True)
        self._resnet(tf.zeros([1, 32, 32, 3]))  # creates the weights so that they can be loaded
        load_torch(path, arrays, self._resnet, "backbone.")
        self._resnet.trainable = False
        self._maps = tf.function(
            lambda images: self._resnet(images, training=False), reduce_retracing=True, autograph=False
        )
        self.feature_size = self._resnet.channels
        heads = [(f"final_layers.{i}", count) for i, count in enumerate(self.counts)]
        for name, count in heads:
            for part, shape in (("weight", (count, self.feature_size, 1, 1)), ("bias", (count,))):
                _check_head(path, f"{name}.{part}", arrays.get(f"{name}.{part}"), shape)
        kernel = np.concatenate([arrays[f"{name}.weight"][:, :, 0, 0] for name, _ in heads])
        self._kernel = tf.constant(kernel.T, tf.float32)
        self._bias = tf.constant(np.concatenate([arrays[f"{name}.bias"] for name, _ in heads]), tf.float32)

    def __call__(self, crop, training: bool = False):
        """Coefficients [B, 257] and features [B, 2048] of crops [B, H, W, 3], RGB in [0, 1]."""
        maps = self._maps(resize_square(crop, REGRESSOR_SIZE))
        features = tf.reduce_mean(maps, axis=(1, 2))
        return tf.matmul(features, self._kernel) + self._bias, features


def _check_head(path: Path, name: str, array: np.ndarray | None, shape: tuple[int, ...]) -> None:
    """Raises UserError unless an array of a head is there, has this shape and is finite."""
    if array is None:
        raise UserError(f"{path}: must hold '{name}', got a file without it (another network?)")
    if array.shape != shape:
        raise UserError(f"{path}: '{name}' must be {list(shape)}, got {list(array.shape)}")
    if not np.isfinite(array).all():
        raise UserError(f"{path}: '{name}' must be finite, got NaN or infinity (a damaged file?)")


class FrozenIdentity:
    """FaceNet as a frozen graph: input:0 (RGB, (x - 127.5) / 128, 160 px) to the average pool of InceptionResnetV1.

    Args:
      path: the .pb.
      crop_fraction: as in `model.networks.identity`.

    Raises:
      UserError: the file is missing or invalid.
    """

    trainable = False

    def __init__(self, path: Path, crop_fraction: float = 1.0):
        self.crop_fraction = crop_fraction
        self._graph = FrozenGraph(
            path, ["input:0"], ["InceptionResnetV1/Logits/AvgPool_1a_8x8/AvgPool:0"], {"phase_train:0": False}
        )
        (output,) = self._graph(tf.zeros([1, IDENTITY_SIZE, IDENTITY_SIZE, 3]))
        self.embedding_size = int(tf.size(output))

    def __call__(self, image, training: bool = False):
        """Features [B, E2], not normalised, of images [B, H, W, 3], RGB in [0, 1]; differentiable."""
        x = resize_square(central_square(image, self.crop_fraction), IDENTITY_SIZE)
        (output,) = self._graph((x * 255.0 - 127.5) / 128.0)
        return tf.reshape(output, [-1, self.embedding_size])
