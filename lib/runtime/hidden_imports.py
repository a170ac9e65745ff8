"""Imports of packages without what they would also load, which this program does not need or does not need yet."""

import contextlib
import importlib.abc
import importlib.machinery
import sys
import threading
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any


@contextlib.contextmanager
def hidden(package: str) -> Iterator[None]:
    """Context manager in which a package that is not imported yet looks as if it were not installed."""
    if package in sys.modules:
        yield
        return
    sys.modules[package] = None  # type: ignore[assignment] # Python's own way to make an import fail
    try:
        yield
    finally:
        del sys.modules[package]


@contextlib.contextmanager
def deferred(prefix: str, but: tuple[str, ...] = ()) -> Iterator[None]:
    """Context manager in which modules whose names begin with `prefix` are not run when they are imported.

    They are run when one of their attributes is first looked up, also after the block. Meant for modules that only
    gather the names of others.

    Args:
      prefix: beginning of the modules' names.
      but: longer beginnings, of names of modules that are run at once.
    """
    finder = _DeferringFinder(prefix, but)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


class _DeferringFinder(importlib.abc.MetaPathFinder):
    """Finds modules as always, but gives those that are deferred another loader."""

    def __init__(self, prefix: str, but: tuple[str, ...]):
        self._prefix, self._but = prefix, but

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if not fullname.startswith(self._prefix) or fullname.startswith(self._but):
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _DeferringLoader(spec.loader)
        return spec


class _DeferringLoader(importlib.abc.Loader):
    """Makes modules that another loader runs at the first look-up."""

    def __init__(self, loader: importlib.abc.Loader):
        self._loader = loader

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return _DeferredModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        vars(module).update(_loader=self._loader, _running=threading.RLock())


class _DeferredModule(ModuleType):
    """A module that becomes an ordinary one when a name that it does not have yet is looked up, or all are listed.

    Unlike those of `importlib.util.LazyLoader` before Python 3.12, several threads may look names up at once.
    """

    def __getattr__(self, name: str) -> Any:
        self._become_ordinary()
        return ModuleType.__getattribute__(self, name)

    def __dir__(self) -> list[str]:
        self._become_ordinary()
        return list(ModuleType.__dir__(self))

    def _become_ordinary(self) -> None:
        names = vars(self)
        with names.get("_running", contextlib.nullcontext()):
            if (loader := names.pop("_loader", None)) is not None:  # while it runs, it may look up its own names
                loader.exec_module(self)
                object.__setattr__(self, "__class__", ModuleType)
                del names["_running"]
