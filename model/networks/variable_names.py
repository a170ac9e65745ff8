"""Stable names of network and optimizer variables, by which weight files and checkpoints store them."""

from collections.abc import Iterable, Mapping

import keras


def network_variables(variables: Iterable[keras.Variable]) -> dict[str, keras.Variable]:
    """Path -> variable, e.g. "regressor/resnet/stem/convolution/kernel".

    Raises:
      ValueError: two variables have the same path.
    """
    return _unique((variable.path, variable) for variable in variables)


def optimizer_variables(optimizer: keras.optimizers.Optimizer) -> dict[str, keras.Variable]:
    """Path without the optimizer's name -> variable, e.g. "iteration", "mesh_concat_weights_momentum".

    Keras numbers the optimizers of a process (adam, adam_1, ...), so full paths are not stable.
    """
    return _unique((variable.path.partition("/")[2], variable) for variable in optimizer.variables)


def dropout_seeds(network: keras.Layer) -> dict[str, keras.Variable]:
    """Path of the dropout layer -> its random state, for networks whose layers have unique paths.

    Keras numbers the random generators of a process (seed_generator, seed_generator_1, ...), like its optimizers.
    """
    layers = dropout_layers(network)
    return _unique((layer.path or layer.name, layer.seed_generator.state) for layer in layers if layer.rate > 0)


def dropout_layers(network: keras.Layer) -> list[keras.layers.Dropout]:
    """All dropout layers of a network."""
    return [layer for layer in network._flatten_layers() if isinstance(layer, keras.layers.Dropout)]


def _unique(named: Iterable[tuple[str, keras.Variable]]) -> dict[str, keras.Variable]:
    result: dict[str, keras.Variable] = {}
    for name, variable in named:
        if name in result:
            raise ValueError(f"variables must have unique names, got {name!r} twice")
        result[name] = variable
    return result


def shapes_of(variables: Mapping[str, keras.Variable]) -> dict[str, tuple[int, ...]]:
    """Name -> shape."""
    return {name: tuple(variable.shape) for name, variable in variables.items()}


def mismatch(wanted: Mapping[str, tuple[int, ...]], shapes: Mapping[str, tuple[int, ...]]) -> str:
    """Reason in one line why arrays of `shapes` do not fit variables of `wanted` shapes; empty if they do."""
    if missing := wanted.keys() - shapes.keys():
        return f"must hold '{min(missing)}', got {len(shapes)} other variables where {len(wanted)} are wanted"
    if unknown := shapes.keys() - wanted.keys():
        return f"must hold {len(wanted)} variables, got {len(shapes)}, '{min(unknown)}' among them"
    for name, shape in wanted.items():
        if shape != shapes[name]:
            return f"'{name}' must be {list(shape)}, got {list(shapes[name])}"
    return ""
