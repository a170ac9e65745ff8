"""The published R-Net and FaceNet, frozen TensorFlow 1 graphs, in the places of this program's own networks.

R-Net: FaceReconModel.pb of Deep3DFaceReconstruction (Deng et al. 2019); FaceNet: 20170512-110547.pb of
davidsandberg/facenet, which the texture networks' authors call FaceNetModel.pb (Schroff et al. 2015).
"""

from pathlib import Path

import tensorflow as tf

from lib.coefficients import CoefficientLayout
from model.frozen_graph import FrozenGraph
from model.identity import central_square
from model.regressor import resize_square
from utils import UserError

REGRESSOR_SIZE, IDENTITY_SIZE = 224, 160  # px


def is_frozen(weights: str | Path) -> bool:
    """Whether a file of weights is a frozen graph, by its suffix."""
    return Path(weights).suffix == ".pb"


class FrozenRegressor:
    """R-Net from input_imgs:0 (BGR, 0..255, 224 px) to coeff:0, with the pooled features resnet_v1_50/pool5:0.

    Args:
      path: the .pb.
      layout: of the face model; the graph must give as many coefficients.

    Raises:
      UserError: no such graph, a refused one, or one for another face model.
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
        """Coefficients [B, K] and features [B, E1] of crops [B, H, W, 3], RGB in [0, 1]."""
        outputs = self._graph(resize_square(crop, REGRESSOR_SIZE)[..., ::-1] * 255.0)
        # The published convolutions leave both with two axes of one pixel.
        return tuple(tf.reshape(output, [-1, size]) for output, size in zip(outputs, self._sizes, strict=True))


class FrozenIdentity:
    """FaceNet from input:0 (RGB, (x - 127.5) / 128, 160 px) to the average pool of InceptionResnetV1, out of training.

    Args:
      path: the .pb.
      crop_fraction: as in model.identity.

    Raises:
      UserError: no such graph, or a refused one.
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
        """Features [B, E2], of any length, of images [B, H, W, 3], RGB in [0, 1]; differentiable."""
        x = resize_square(central_square(image, self.crop_fraction), IDENTITY_SIZE)
        (output,) = self._graph((x * 255.0 - 127.5) / 128.0)
        return tf.reshape(output, [-1, self.embedding_size])
