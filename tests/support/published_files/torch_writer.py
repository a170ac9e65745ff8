"""Writes checkpoints as torch.save does, without PyTorch: a pickle that names torch's types, storages beside it."""

import io
import pickle
import sys
import types
import zipfile
from collections import OrderedDict
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

STORAGES = {"float32": "FloatStorage", "float16": "HalfStorage", "int64": "LongStorage", "float64": "DoubleStorage"}


@dataclass
class View:
    """A tensor that is a part of a storage [count]; offset, shape and strides in its numbers."""

    storage: np.ndarray
    offset: int
    shape: tuple
    strides: tuple

    def __reduce__(self):
        arguments = (self.storage, self.offset, self.shape, self.strides, False, OrderedDict())
        return sys.modules["torch._utils"]._rebuild_tensor_v2, arguments


def whole(array: np.ndarray) -> View:
    """The tensor that is all of its storage."""
    steps = tuple(step // array.itemsize for step in array.copy("C").strides)
    return View(array.ravel(), 0, array.shape, steps)


@contextmanager
def _fake_torch():
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    for name in STORAGES.values():
        setattr(torch, name, type(name, (), {"__module__": "torch"}))

    def _rebuild_tensor_v2():
        raise AssertionError("only its name is written")

    _rebuild_tensor_v2.__module__, _rebuild_tensor_v2.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2, torch._utils = _rebuild_tensor_v2, utils
    before = {name: sys.modules.get(name) for name in ("torch", "torch._utils")}
    sys.modules |= {"torch": torch, "torch._utils": utils}
    try:
        yield torch
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


def save_torch(path: Path, content: Any, compression: int = zipfile.ZIP_STORED) -> Path:
    """Writes nested dictionaries of arrays and `View`s; other objects go into the pickle as they are."""
    stream, storages = io.BytesIO(), []

    class Pickler(pickle.Pickler):
        def persistent_id(self, item):
            if not isinstance(item, np.ndarray):
                return None
            if all(item is not known for known in storages):
                storages.append(item)
            number = next(n for n, known in enumerate(storages) if known is item)
            kind = getattr(torch, STORAGES[str(item.dtype)])
            return "storage", kind, str(number), "cpu", item.size

    with _fake_torch() as torch:
        Pickler(stream, protocol=2).dump(_views(content))
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("archive/data.pkl", stream.getvalue())
        archive.writestr("archive/byteorder", "little")
        for number, storage in enumerate(storages):
            archive.writestr(f"archive/data/{number}", storage.tobytes())
        archive.writestr("archive/version", "3\n")
    return path


def _views(content: Any) -> Any:
    if isinstance(content, dict):
        return OrderedDict((name, _views(value)) for name, value in content.items())
    return whole(content) if isinstance(content, np.ndarray) else content
