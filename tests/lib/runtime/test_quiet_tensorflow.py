"""TensorFlow's start-up notes stay away; its errors, and everybody's after the import, do not."""

import os
import subprocess
import sys

import pytest

from lib.runtime import quiet_tensorflow
from lib.runtime.quiet_tensorflow import devices, share_processors
from tests.support.helpers import ROOT

SCRIPT = """
import os
import sys
os.environ.pop("TF_CPP_MIN_LOG_LEVEL", None)
from lib.runtime.quiet_tensorflow import import_tensorflow
import_tensorflow()
import tensorflow as tf
print("scikit-learn imported by TensorFlow:", "sklearn" in sys.modules)
import sklearn
tf.zeros([2]) + 1.0
os.write(2, b"after\\n")
"""

# Version 1 names nearly everything that TensorFlow has, and the names of two modules are those of packages, too.
LATER = """
import sys
from lib.runtime.quiet_tensorflow import import_tensorflow
import_tensorflow()
import scipy.sparse
import tensorflow as tf
print("run:", [name for name in ("requests", "numpy.f2py") if "__version__" in vars(sys.modules[name])])
print("version 1 imported by TensorFlow:", "tensorflow._api.v2.compat.v1" in sys.modules)
print(tf.compat.v1.GraphDef.__name__, tf.lite.Optimize.__name__, tf.distribute.has_strategy())
"""


def test_what_tensorflow_and_scipy_only_name_is_imported_at_its_first_use():
    done = subprocess.run([sys.executable, "-c", LATER], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "run: []\nversion 1 imported by TensorFlow: False\nGraphDef Optimize False\n"
    assert done.stderr == ""  # of the library that comes with the names of version 1


def test_the_import_prints_nothing_and_stderr_works_after_it():
    done = subprocess.run([sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "scikit-learn imported by TensorFlow: False\n"
    assert done.stderr == "after\n"


def test_what_is_not_noise_is_shown(tmp_path):
    (tmp_path / "tensorflow.py").write_text(
        "import os\n"
        "os.write(2, b'I0000 00:00 port.cc] note\\nE0000 00:00 x.cc] broken driver\\n')\n"
        "raise ImportError('no such library')\n"
    )
    script = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n" + SCRIPT
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "broken driver" in done.stderr
    assert "ImportError: no such library" in done.stderr
    assert "note" not in done.stderr


@pytest.mark.parametrize(
    ("machine", "flags", "lacks"),
    [
        ("x86_64", "fpu sse4_2 avx avx2", False),
        ("x86_64", "fpu sse4_2", True),
        ("aarch64", "fp asimd", False),
        ("x86_64", None, False),
    ],
)
def test_a_processor_on_which_tensorflow_aborts_is_known_before(tmp_path, monkeypatch, machine, flags, lacks):
    monkeypatch.setattr(quiet_tensorflow, "_CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(quiet_tensorflow.platform, "machine", lambda: machine)
    if flags is not None:
        (tmp_path / "cpuinfo").write_text(f"processor\t: 0\nflags\t\t: {flags}\n\nprocessor\t: 1\nflags\t\t: avx\n")
    assert quiet_tensorflow._lacks_avx() == lacks


def test_it_is_said_before_the_import(tmp_path):
    (tmp_path / "tensorflow.py").write_text("import os; os.write(2, b'no AVX'); os.abort()\n")
    script = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from lib.runtime import quiet_tensorflow\n"
        "quiet_tensorflow._lacks_avx = lambda: True\n"
        "quiet_tensorflow.import_tensorflow()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stderr == "this processor has no AVX, which TensorFlow's packages need: they may end the program\n"


NO_GPU = "the CPU, as TensorFlow finds no GPU"
ADVICE = " (`TF_CPP_MIN_LOG_LEVEL=1 python main.py --mode doctor` says why the NVIDIA card is not used)"


@pytest.mark.parametrize(("gpus", "words"), [(0, NO_GPU), (1, "1 GPU"), (2, "2 GPUs")])
def test_what_tensorflow_computes_on_is_said_because_its_own_warnings_are_off(monkeypatch, gpus, words):
    import tensorflow as tf

    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [kind] * gpus)
    assert devices().startswith(words)


@pytest.mark.parametrize(
    ("vendor", "kind", "seen"),
    [
        ("0x10de", "0x030000", True),
        ("0x10de", "0x030200", True),
        ("0x10de", "0x040300", False),  # its sound
        ("0x8086", "0x030000", False),
    ],
)
def test_a_card_that_tensorflow_does_not_find_comes_with_advice(monkeypatch, tmp_path, vendor, kind, seen):
    import tensorflow as tf

    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    monkeypatch.setattr(quiet_tensorflow, "_PCI", tmp_path)
    monkeypatch.setattr(quiet_tensorflow, "_WSL_DRIVER", tmp_path / "libcuda.so.1")
    assert devices() == NO_GPU
    (tmp_path / "0000:01:00.0").mkdir()
    for name, text in (("vendor", vendor), ("class", kind)):
        (tmp_path / "0000:01:00.0" / name).write_text(f"{text}\n")
    assert devices() == NO_GPU + ADVICE * seen


def test_a_card_in_windows_comes_with_advice_under_wsl2(monkeypatch, tmp_path):
    """WSL2 lists no PCI device of NVIDIA's, but has the driver's library."""
    import tensorflow as tf

    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    monkeypatch.setattr(quiet_tensorflow, "_PCI", tmp_path / "none")
    monkeypatch.setattr(quiet_tensorflow, "_WSL_DRIVER", tmp_path / "libcuda.so.1")
    assert devices() == NO_GPU
    (tmp_path / "libcuda.so.1").touch()
    assert devices() == NO_GPU + ADVICE


@pytest.mark.parametrize(
    ("processors", "given", "threads"), [(1, None, "1"), (2, None, "1"), (8, None, "4"), (8, "7", "7")]
)
def test_operations_take_half_of_the_processors_unless_the_user_says_otherwise(monkeypatch, processors, given, threads):
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", given or "")  # so that it is as before after the test
    if given is None:
        monkeypatch.delenv("TF_NUM_INTRAOP_THREADS")
    monkeypatch.setattr(quiet_tensorflow, "processors", lambda: processors)
    share_processors()
    assert os.environ["TF_NUM_INTRAOP_THREADS"] == threads


THREADS = """
import os, threading
from lib.runtime.quiet_tensorflow import without_notes
first_out, second_in = threading.Event(), threading.Event()
def first():
    with without_notes():
        second.start()
        second_in.wait()
    first_out.set()
def stay():
    with without_notes():
        second_in.set()
        first_out.wait()
        os.write(2, b"I0000 note\\nE0000 broken driver\\n")
second = threading.Thread(target=stay)
first()
second.join()
os.write(2, b"after\\n")
"""


def test_stderr_is_itself_again_after_the_last_of_several_threads():
    done = subprocess.run([sys.executable, "-c", THREADS], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stderr == "E0000 broken driver\nafter\n"
