"""The first moments of both programs: orders to stop during their imports, and missing standard streams."""

import os
import shlex
import signal
import subprocess
import sys

import pytest

from tests.support.helpers import ROOT

# A module of the imports that tells when it is being imported, waits, and makes another error of an exception in it.
SLOW = """
import sys, time
try:
    print("importing", flush=True)
    time.sleep(60)
except BaseException:
    raise ImportError("cannot be imported")
"""
PROGRAMS = {
    "main.py": ["main.py"],
    "create_bin.py": ["create_bin.py"],
    "face-gcn": ["-c", "from configs.starting import face_gcn; face_gcn()"],
}


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_order_to_stop_during_the_imports_is_one_line(tmp_path, program, number):
    (tmp_path / "yaml.py").write_text(SLOW)
    command = [sys.executable, *PROGRAMS[program], "--mode", "doctor"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    # A shell that runs the tests in the background makes them and their children ignore Ctrl-C.
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:  # fmt: skip
        assert process.stdout.readline() == "importing\n"
        process.send_signal(number)
        assert process.communicate(timeout=60)[1] == "\ninterrupted\n"
        assert process.returncode == 128 + number


@pytest.mark.parametrize("program", PROGRAMS)
def test_an_error_with_a_closed_stream_of_errors_is_an_exit_code(tmp_path, program):
    """Otherwise it would be written to the next file that is opened, or raise another error."""
    command = [sys.executable, *PROGRAMS[program], "data.nothing=1"]
    done = subprocess.run(
        ["sh", "-c", f"exec {shlex.join(command)} 2>&-"], cwd=ROOT, stdout=subprocess.PIPE, check=False
    )
    assert (done.returncode, done.stdout) == (2, b"")


def test_tensorflow_is_imported_with_a_closed_stream_of_errors():
    """As --mode test does; also in a program that uses the interface and does not open the stream."""
    doctor = "import sys; from lib.runtime.quiet_tensorflow import without_notes as f\nwith f(): print(sys.stderr)"
    command = shlex.join([sys.executable, "-c", doctor])
    done = subprocess.run(["sh", "-c", f"exec {command} 2>&-"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "None\n")
