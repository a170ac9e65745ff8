"""mesh-renderer 1.4 from its source distribution on PyPI, for TensorFlow 2.

Its setup.py refuses TensorFlow 2, but its kernels compile unchanged, and of its Python only the access to static shapes
differs. Downloaded and compiled once, in results/bench.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from pathlib import Path
from types import ModuleType

from benchmarks.turns import MissingPeer
from configs import schema
from lib.files.atomic import atomic_path

VERSION = "1.4"
FOLDER = schema.REPOSITORY / "results" / "bench" / f"mesh_renderer-{VERSION}"


def load() -> ModuleType:
    """The package's module `rasterize_triangles`.

    Raises:
      MissingPeer: there is no compiler, or the package cannot be downloaded or compiled.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    library = FOLDER / f"mesh_renderer_lib{sysconfig.get_config_var('EXT_SUFFIX')}"
    if not library.is_file():
        _download()
        _compile(library)
    import tensorflow as tf

    sys.path.insert(0, str(FOLDER))  # for the module's own imports
    specification = importlib.util.spec_from_file_location("rasterize_triangles", FOLDER / "rasterize_triangles.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)

    def get_dim(tensor: tf.Tensor, axis: int):
        """The module's function, for static shapes that hold numbers."""
        return tf.shape(tensor)[axis] if tensor.shape[axis] is None else tensor.shape[axis]

    module.get_dim = get_dim  # type: ignore[attr-defined] # replaces the module's own
    return module


def _download() -> None:
    parent = FOLDER.parent
    parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-build-isolation"]
    command += ["--no-binary", ":all:", f"mesh-renderer=={VERSION}", "--dest", str(parent)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise MissingPeer(f"mesh-renderer {VERSION} cannot be downloaded ({done.stderr.strip().splitlines()[-1]})")
    with tarfile.open(parent / f"mesh_renderer-{VERSION}.tar.gz") as archive:
        archive.extractall(parent, filter="data")


def _compile(library: Path) -> None:
    compiler = shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        raise MissingPeer("mesh-renderer needs a C++ compiler, found none")
    import tensorflow as tf

    kernels = FOLDER / "mesh_renderer" / "kernels"
    with atomic_path(library) as temporary:
        command = [compiler, "-O2", "-w", "-shared", "-fPIC", "-DNDEBUG", *tf.sysconfig.get_compile_flags()]
        command += [str(path) for path in sorted(kernels.glob("*.cc"))]
        command += ["-I", str(kernels), "-o", str(temporary), *tf.sysconfig.get_link_flags()]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise MissingPeer(f"mesh-renderer {VERSION} cannot be compiled ({done.stderr.strip().splitlines()[-1]})")
