"""Garbage collection is paused and goes on as before."""

import gc
import importlib
import subprocess
import sys

import pytest

from lib.runtime import collection
from lib.runtime.collection import paused_collection
from tests.support.helpers import ROOT


def test_collection_goes_on_after_the_block_if_it_was_on():
    with pytest.raises(ModuleNotFoundError), paused_collection():
        importlib.import_module("no_such_module" if not gc.isenabled() else "os")
    assert gc.isenabled()
    gc.disable()
    try:
        with paused_collection():
            assert not gc.isenabled()
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_collections_after_the_block_do_not_examine_what_it_left(monkeypatch):
    class Node:
        pass

    gc.collect()
    monkeypatch.setattr(collection, "FEW", len(gc.get_objects()) + 100)
    frozen = gc.get_freeze_count()
    try:
        with paused_collection():
            node = Node()
        assert gc.get_freeze_count() > frozen
        assert not any(found is node for found in gc.get_objects())
    finally:
        gc.unfreeze()


LIBRARY = """
import gc, weakref
import model
class Node:
    pass
others = [[] for _ in range(150_000)]
node = Node()
node.itself, reference = node, weakref.ref(node)
model.FaceReconstructor
del node
gc.collect()
print(reference())
"""


def test_the_objects_of_a_notebook_are_still_freed_after_the_library_is_imported():
    done = subprocess.run([sys.executable, "-c", LIBRARY], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "None\n"
