"""Adam with fused updates: the formula and the variables of Keras' Adam, in a fraction of its passes over memory."""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from lib.tensor_structure import TensorStructure
from model.networks.products.dense import squared_norm
from model.training.adam_kernel import update_matrix


@dataclass(frozen=True)
class ThinGradient(TensorStructure):
    """Gradient scale (x^T upstream + decay W) of a weight matrix [I, O].

    Attributes:
      x: [B, I].
      upstream: [B, O].
      decay: weight of the L2 term.
      scale: factor that clips the gradient's norm.
    """

    x: tf.Tensor
    upstream: tf.Tensor
    decay: tf.Tensor
    scale: tf.Tensor


class FusedAdam(keras.optimizers.Adam):
    """Keras' Adam with per-variable gradient clipping: TensorFlow's fused operation, and a kernel for thin gradients.

    Its variables have the names and contents of Keras' Adam, so checkpoints are interchangeable.

    Args:
      learning_rate: initial rate.
      clip_norm: maximum norm of each variable's gradient.
      epsilon: added to the root of each velocity.
    """

    def __init__(self, learning_rate: float, clip_norm: float, epsilon: float):
        super().__init__(learning_rate, clipnorm=clip_norm, epsilon=epsilon, name="adam")
        self._buffers = _OwnBuffers()

    def _clip_by_norm(self, values: tf.Tensor, axes=None) -> tf.Tensor:
        return values * self._clip_factor(2.0 * tf.nn.l2_loss(values))

    def _clip_factor(self, squared: tf.Tensor) -> tf.Tensor:
        """Factor that clips a gradient with this squared norm."""
        return self.clipnorm / tf.maximum(tf.sqrt(squared), self.clipnorm)

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable, learning_rate: tf.Tensor) -> None:
        """Updates one variable; the formula is the same as in Keras, including where epsilon is added."""
        index = self._get_variable_index(variable)
        step = tf.cast(self.iterations.value + 1, tf.float32)
        tf.raw_ops.ResourceApplyAdam(
            var=_handle(variable),
            m=_handle(self._momentums[index]),
            v=_handle(self._velocities[index]),
            beta1_power=tf.pow(self.beta_1, step),
            beta2_power=tf.pow(self.beta_2, step),
            lr=tf.convert_to_tensor(learning_rate),
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=gradient,
        )

    def thin_gradient(
        self, x: tf.Tensor, upstream: tf.Tensor, output: tf.Tensor, decay: tf.Tensor, kernel_squares: tf.Tensor
    ) -> ThinGradient:
        """Clipped gradient for `update_thin`; arguments as in `squared_norm`."""
        scale = self._clip_factor(squared_norm(x, upstream, output, decay, kernel_squares))
        return ThinGradient(x, upstream, decay, scale)

    def update_thin(self, kernels: Sequence[keras.Variable], gradients: Sequence[ThinGradient]) -> None:
        """Updates matrices in place, outside of graphs, after `apply` has updated all other variables of the step."""
        if not kernels:
            return
        step = int(self.iterations.numpy())  # `apply` has counted this step
        corrections = np.sqrt(1 - self.beta_2**step) / (1 - self.beta_1**step)
        rate = float(self.learning_rate.numpy()) * corrections
        for kernel, gradient in zip(kernels, gradients, strict=True):
            index = self._get_variable_index(kernel)
            variables = (kernel, self._momentums[index], self._velocities[index])
            tensors = [self._buffers.value(variable) for variable in variables]
            weights, momentum, velocity = map(_writable, tensors)
            shares = 1 - self.beta_1, 1 - self.beta_2
            numbers = (float(gradient.decay), float(gradient.scale), rate, *shares, self.epsilon)
            update_matrix(weights, momentum, velocity, gradient.x.numpy(), gradient.upstream.numpy(), numbers)


class _OwnBuffers:
    """Values of variables as tensors of the same buffers, which no other variable shares.

    `a.assign(b)` lets two variables share a buffer until TensorFlow writes to one of them. So a value is copied before
    its first update in place, and whenever something else was assigned since the last one.
    """

    def __init__(self) -> None:
        self._addresses: dict[int, int] = {}

    def value(self, variable: keras.Variable) -> tf.Tensor:
        """The variable's value, which keeps its buffer alive."""
        tensor = variable.value.read_value()
        if _address(tensor) != self._addresses.get(id(variable)):
            variable.value.assign(tf.raw_ops.DeepCopy(x=tensor))
            tensor = variable.value.read_value()
            self._addresses[id(variable)] = _address(tensor)
        return tensor


def _handle(variable: keras.Variable | tf.Variable) -> tf.Tensor:
    """Resource of a variable; Keras passes TensorFlow's own variables to `update_step`."""
    return (variable.value if isinstance(variable, keras.Variable) else variable).handle


def _address(tensor: tf.Tensor) -> int:
    return np.asarray(memoryview(tensor)).__array_interface__["data"][0]


def _writable(tensor: tf.Tensor) -> np.ndarray:
    """The buffer of a float32 tensor [I, O] as an array; NumPy's own view of it is read-only."""
    buffer = (ctypes.c_float * int(np.prod(tensor.shape))).from_address(_address(tensor))
    return np.ctypeslib.as_array(buffer).reshape(tensor.shape)
