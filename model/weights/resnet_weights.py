"""Loads published ResNet-50 weights by their published names: TF-Slim checkpoints and PyTorch state dictionaries.

Names are mapped to variables, and all shapes are checked before the first assignment.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

from configs import schema
from lib.errors import UserError, one_line
from model.networks.resnet import ConvolutionNorm, ResNet

SLIM_SCOPE = "resnet_v1_50"
_NORM = ("gamma", "beta", "moving_mean", "moving_variance")
_TORCH_NORM = ("weight", "bias", "running_mean", "running_var")


def load_slim(path: Path, network: ResNet) -> list[str]:
    """Loads a TF-Slim checkpoint (format V1 or V2 of TensorFlow 1) into a ResNet-50.

    Args:
      path: the file (resnet_v1_50.ckpt), or the common prefix of .index and .data-*.
      network: a built network of depth 50 and width 64, with the strides of TF-Slim.

    Returns:
      Names of the checkpoint's variables that the network does not have (classifier, optimizer states).

    Raises:
      UserError: the file is not a checkpoint, or belongs to another network, or shapes differ.
    """
    path = Path(path)
    if not path.is_file() and not path.with_name(f"{path.name}.index").is_file():
        raise UserError(f"{path}: must be a TF-Slim checkpoint of {SLIM_SCOPE}, got no such file")
    try:
        reader = tf.train.load_checkpoint(str(path))
        shapes = reader.get_variable_to_shape_map()
    except (tf.errors.OpError, ValueError) as error:
        reason = one_line(error)
        raise UserError(f"{path}: must be a TensorFlow checkpoint, got a file of another kind ({reason})") from None
    wanted = {name: variable for place in _places(network) for name, variable in _slim(*place)}
    _check(path, SLIM_SCOPE, wanted, shapes)
    try:
        values = {name: reader.get_tensor(name) for name in wanted}
    except tf.errors.OpError as error:
        raise UserError(f"{path}: must be a whole checkpoint, got {one_line(error)}") from None
    _assign(path, wanted, values)
    return sorted(set(shapes) - set(wanted))


def load_torch(path: Path, arrays: Mapping[str, np.ndarray], network: ResNet, prefix: str = "") -> None:
    """Loads arrays with torchvision's names into a ResNet-50; other arrays are ignored.

    Args:
      path: the file of the arrays, for messages.
      arrays: name -> array in PyTorch's form, e.g. convolutions [out, in, height, width].
      network: a built network of depth 50 and width 64, with the strides of torchvision.
      prefix: prefix of the names, e.g. "backbone.".

    Raises:
      UserError: an array is missing or has another shape.
    """
    wanted = {name: variable for place in _places(network) for name, variable in _torch(prefix, *place)}
    turned = {
        name: arrays[name].transpose(2, 3, 1, 0) if arrays[name].ndim == 4 else arrays[name]
        for name in wanted
        if name in arrays
    }
    _check(
        path,
        f"a ResNet-50 ({prefix}conv1 to {prefix}layer4)",
        wanted,
        {name: array.shape for name, array in turned.items()},
    )
    _assign(path, wanted, turned)


def _places(network: ResNet) -> Iterator[tuple[ConvolutionNorm, int, int, int]]:
    """Yields convolutions with stage, block and number, from 1; the stem is 0, 0, 1, and shortcuts have number 0."""
    yield network.stem, 0, 0, 1
    stage, unit = 0, 0
    for block in network.blocks:
        number = int(block.name.removeprefix("stage").partition("_")[0])
        unit = unit + 1 if number == stage else 1
        stage = number
        if block.shortcut:
            yield block.shortcut, stage, unit, 0
        for place, part in enumerate((block.first, block.second, block.third), 1):
            yield part, stage, unit, place


def _slim(part: ConvolutionNorm, stage: int, unit: int, number: int) -> Iterator[tuple[str, tf.Variable]]:
    scope = f"{SLIM_SCOPE}/block{stage}/unit_{unit}/bottleneck_v1" if stage else SLIM_SCOPE
    scope += f"/conv{number}" if number else "/shortcut"
    yield f"{scope}/weights", part.convolution.kernel
    for name in _NORM:
        yield f"{scope}/BatchNorm/{name}", getattr(part.norm, name)


def _torch(prefix: str, part: ConvolutionNorm, stage: int, unit: int, number: int) -> Iterator[tuple[str, tf.Variable]]:
    scope = f"{prefix}layer{stage}.{unit - 1}." if stage else prefix
    convolution, norm = (f"conv{number}", f"bn{number}") if number else ("downsample.0", "downsample.1")
    yield f"{scope}{convolution}.weight", part.convolution.kernel
    for theirs, ours in zip(_TORCH_NORM, _NORM, strict=True):
        yield f"{scope}{norm}.{theirs}", getattr(part.norm, ours)


def _check(path: Path, what: str, wanted: Mapping, shapes: Mapping) -> None:
    missing = [name for name in wanted if name not in shapes]
    if missing:
        found = ", ".join(sorted(shapes)[:3]) or "nothing"
        raise UserError(
            f"{path}: must hold all {len(wanted)} variables of {what}, got a file without {len(missing)} of them "
            f"(the first: {missing[0]}; it holds {found}, ...)"
        )
    for name, variable in wanted.items():
        if tuple(shapes[name]) != tuple(variable.shape):
            raise UserError(
                f"{path}: '{name}' must be {list(variable.shape)} (height, width, in, out), got {list(shapes[name])}"
            )


def _assign(path: Path, wanted: Mapping, values: Mapping) -> None:
    for name, value in values.items():
        if value.dtype.kind != "f" or not np.isfinite(value).all():
            raise UserError(f"{path}: '{name}' must hold finite floating-point numbers, got others")
    for name, variable in wanted.items():
        variable.assign(values[name])


def initialise(network: ResNet, config: schema.Config) -> str:
    """Loads pretrain.initial into the regressor's ResNet-50; returns a message that lists unused variables.

    Raises:
      UserError: the regressor is not a ResNet-50 of width 64, or the file is not such a checkpoint.
    """
    section, path = config.regressor, schema.asset_path(config.pretrain.initial)
    if (section.depth, section.width) != (50, 64):
        raise UserError(
            f"pretrain.initial: {path} is for regressor.depth 50 and regressor.width 64, got {section.depth} and "
            f"{section.width}"
        )
    unused = load_slim(path, network)
    shown = ", ".join(unused[:4]) + (", ..." if len(unused) > 4 else "")
    return f"{path}: initial weights of the regressor; not used: {len(unused)} variables{shown and f' ({shown})'}"
