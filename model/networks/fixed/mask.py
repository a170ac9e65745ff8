"""The mask decoder with fixed weights."""

from collections.abc import Sequence

import tensorflow as tf

from lib.face_mesh.features import MAPS
from model.networks.fixed.layers import FixedConvolution, FixedNorm, Take
from model.networks.mask_decoder import CHANNELS, KERNELS, LAST, NORM_EPSILON, decode

_NAME = "mask_decoder"


class FixedMaskDecoder:
    """`model.networks.mask_decoder.MaskDecoder` with fixed weights; `take` is the source of its arrays."""

    def __init__(self, take: Take):
        sides, counts = zip(*MAPS.values(), strict=True)
        self._norms = [
            FixedNorm(take, f"{_NAME}/norm_{side}", count, NORM_EPSILON)
            for side, count in zip(sides, counts, strict=True)
        ]
        self._reduce = [
            FixedConvolution(take, f"{_NAME}/reduce_{side}", count, channels, 1, bias=True)
            for side, count, channels in zip(sides[1:], counts[1:], CHANNELS[1:], strict=True)
        ]
        seen = (counts[0] + 3, *CHANNELS[1:])
        self._join = [
            _Join(take, side, CHANNELS[level + 1] + seen[level], CHANNELS[level], size)
            for level, (side, size) in enumerate(zip(sides[:-1], KERNELS, strict=True))
        ]
        self._last = FixedConvolution(take, f"{_NAME}/last", CHANNELS[0], LAST, 1, bias=True)
        self._log_odds = FixedConvolution(take, f"{_NAME}/log_odds", LAST, 1, 1, bias=True)

    def __call__(self, maps: Sequence[tf.Tensor], picture: tf.Tensor) -> tf.Tensor:
        """Log odds [B, 96, 96]; arguments as in `MaskDecoder.call`."""
        seen = [norm(x) for norm, x in zip(self._norms, maps, strict=True)]
        return decode(seen, picture, self._reduce, self._join, lambda x: self._log_odds(tf.nn.relu(self._last(x))))


class _Join:
    """Convolution and normalisation of a level together with the coarser ones."""

    def __init__(self, take: Take, side: int, inputs: int, filters: int, size: int):
        self._convolution = FixedConvolution(take, f"{_NAME}/join_{side}", inputs, filters, size)
        self._norm = FixedNorm(take, f"{_NAME}/join_norm_{side}", filters, NORM_EPSILON)

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        return self._norm(self._convolution(x))
