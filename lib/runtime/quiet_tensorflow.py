"""Import of TensorFlow: with oneDNN, and without start-up messages that cannot be disabled.

Errors still appear. TensorFlow's own warnings do not, unless TF_CPP_MIN_LOG_LEVEL asks for them: it warns of the end of
each data set. `devices` says what they would say of GPUs.
"""

import contextlib
import functools
import importlib
import os
import platform
import re
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from lib.messages import counted
from lib.runtime.collection import paused_collection
from lib.runtime.hidden_imports import deferred, hidden
from lib.runtime.resources import keep_freed_memory, processors

_CPUINFO = Path("/proc/cpuinfo")
_PCI = Path("/sys/bus/pci/devices")
# CUDA's driver in WSL2, which lists Windows' graphics card as Microsoft's; it is there if Windows has NVIDIA's driver.
_WSL_DRIVER = Path("/usr/lib/wsl/lib/libcuda.so.1")
# Informational messages, their header, and the error about a CUDA driver that is not installed (303).
_NOISE = re.compile(
    r"I0000 |INFO: Created TensorFlow Lite|WARNING: All log messages before absl::InitializeLog"
    r"|.*failed call to cuInit: .*\(303\)"
)
# The modules of TensorFlow's interface import all that it has, three times because of the names of version 1: a quarter
# of the import's time. Two of them have the names of packages that would replace them if they were imported later.
_INTERFACE = "tensorflow._api.v2."
_AT_ONCE = (f"{_INTERFACE}distribute", f"{_INTERFACE}lite")
# A library that has all of TensorFlow's start-up messages a second time, and prints them when the names of version 1
# are first used, such as by the summaries of training, amid its progress bar. Alone, it is loaded in milliseconds.
_SECOND_SPEAKER = "tensorflow.python.profiler.internal._pywrap_profiler_plugin"


def import_tensorflow(keep_memory: bool = False) -> None:
    """Imports TensorFlow and lists GPUs, without the notes that this prints; TensorFlow keeps its warnings to itself.

    Args:
      keep_memory: `keep_freed_memory`, for programs that compute with the same large tensors again and again.
    """
    if "tensorflow" not in sys.modules:
        if keep_memory:
            keep_freed_memory()
        # Keras imports scikit-learn, if it can, for wrappers that are not used here: a fifth of the whole import.
        # Both import requests to reach servers of clusters and dashboards.
        with (
            quiet_import(),
            hidden("sklearn"),
            deferred("requests"),
            deferred(_INTERFACE, but=_AT_ONCE),
            paused_collection(),
        ):
            import tensorflow  # noqa: F401

            with contextlib.suppress(ModuleNotFoundError):  # an inner module, which other versions may not have
                importlib.import_module(_SECOND_SPEAKER)


def devices() -> str:
    """What TensorFlow, which must be imported, computes on, in words."""
    import tensorflow as tf

    if gpus := len(tf.config.list_physical_devices("GPU")):
        return counted(gpus, "GPU")
    found = "the CPU, as TensorFlow finds no GPU"
    if not _has_nvidia():
        return found
    return f"{found} (`TF_CPP_MIN_LOG_LEVEL=1 python main.py --mode doctor` says why the NVIDIA card is not used)"


def _has_nvidia() -> bool:
    """True if Linux lists a graphics card of NVIDIA's, with or without its driver, or WSL2 has its driver."""
    if _WSL_DRIVER.is_file():
        return True
    for vendor in _PCI.glob("*/vendor"):
        with contextlib.suppress(OSError):
            display = vendor.with_name("class").read_text(encoding="ascii").startswith("0x03")
            if display and vendor.read_text(encoding="ascii").strip() == "0x10de":
                return True
    return False


@functools.cache
def _report_no_avx() -> None:
    """Prints it once, before TensorFlow aborts the process: its own message goes to the stderr that is captured."""
    if _lacks_avx():
        print("this processor has no AVX, which TensorFlow's packages need: they may end the program", file=sys.stderr)


def _lacks_avx() -> bool:
    """True if this is a processor of Intel's kind that is known to have no AVX."""
    if platform.machine() not in ("x86_64", "AMD64") or not _CPUINFO.is_file():
        return False
    with open(_CPUINFO, encoding="utf-8", errors="replace") as stream:
        flags = next((line for line in stream if line.startswith("flags")), "avx")
    return "avx" not in flags.split()


def share_processors(processes: int = 1) -> None:
    """Makes TensorFlow divide each operation among half of the processors; call it before TensorFlow is imported.

    Of several processes on this machine, each gets its part of them.

    For programs that run two graphs at a time: training poses the next batch during an update. Operations that are
    divided among all processors then wait for each other, which costs a fifth of the processor time on two processors.
    TF_NUM_INTRAOP_THREADS prevails if it is set.
    """
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(max(processors() // 2 // processes, 1)))


@contextlib.contextmanager
def quiet_import() -> Iterator[None]:
    """Context manager for code that may import TensorFlow: the import is like that of `import_tensorflow`."""
    _report_no_avx()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # TensorFlow enables oneDNN by default only on processors with AVX-512 VNNI or newer instructions. With AVX2 alone,
    # it trains convolutional networks in two thirds of the time; small operations take as long as without.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    with without_notes():
        yield
        if (tensorflow := sys.modules.get("tensorflow")) is not None:
            tensorflow.config.list_physical_devices("GPU")


@contextlib.contextmanager
def without_notes() -> Iterator[None]:
    """Context manager that leaves known notes out of stderr.

    The messages are written directly to the file descriptor, not to `sys.stderr`, before any log level is read. The
    descriptor is the process's: of several threads inside, the first captures it and the last prints.
    """
    _capture.enter()
    try:
        yield
    finally:
        _capture.leave()


class _Capture:
    """stderr in a file, as long as any thread is inside `without_notes`.

    Threads do not wait for each other inside: one that imports TensorFlow would wait for import locks of the others.
    """

    def __init__(self) -> None:
        self._lock, self._inside, self._stack = threading.Lock(), 0, contextlib.ExitStack()

    def enter(self) -> None:
        with self._lock:
            if not self._inside:
                self._stack.enter_context(_captured())
            self._inside += 1

    def leave(self) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._stack.close()


_capture = _Capture()


@contextlib.contextmanager
def _captured() -> Iterator[None]:
    if sys.stderr is None:  # it is closed, or Windows has no console
        yield
        return
    sys.stderr.flush()
    original = os.dup(2)
    with tempfile.TemporaryFile() as captured:
        os.dup2(captured.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(original, 2)
            os.close(original)
            captured.seek(0)
            for line in captured.read().decode(errors="replace").splitlines():
                if not _NOISE.match(line):
                    print(line, file=sys.stderr)
