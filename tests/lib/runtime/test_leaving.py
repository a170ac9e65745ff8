"""Ends of processes: exit code, output and registered functions as always, without the release of every object."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import atexit
from lib.runtime.leaving import leave

class Released:
    def __del__(self):
        print("released")

held = Released()
atexit.register(print, "registered")
print("written")
{end}
"""


@pytest.mark.parametrize(
    ("end", "code", "printed"),
    [
        ("leave(3)", 3, ["written", "registered"]),
        ("raise SystemExit(4)", 4, ["written", "registered", "released"]),
    ],
)
def test_a_process_ends_with_its_code(end, code, printed):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(end=end)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == code
    assert done.stdout.splitlines() == printed


def run(end: str, output: int, errors: int = subprocess.PIPE) -> subprocess.CompletedProcess:
    """The program with another standard output, or also with another standard error."""
    command = [sys.executable, "-c", PROGRAM.format(end=end)]
    # Printed at the end, not at once.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return subprocess.run(command, env=environment, stdout=output, stderr=errors, text=True, check=False, timeout=60)


@pytest.mark.parametrize("code", [0, 3])
def test_a_reader_that_has_gone_away_does_not_change_the_code(code):
    read, write = os.pipe()
    os.close(read)
    done = run(f"leave({code})", write)
    os.close(write)
    assert (done.returncode, done.stderr) == (code, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux has it")
@pytest.mark.parametrize(("code", "expected"), [(0, 2), (3, 3)])
def test_a_full_disk_below_standard_output_is_said(code, expected):
    with open("/dev/full", "w") as full:
        done = run(f"leave({code})", full.fileno())
    assert done.returncode == expected
    assert done.stderr == "error: standard output must be writable to the end, got: No space left on device\n"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux has it")
@pytest.mark.parametrize(("code", "expected"), [(0, 2), (3, 3)])
def test_a_full_disk_below_both_streams_does_not_change_the_code(code, expected):
    with open("/dev/full", "w") as full:
        assert run(f"leave({code})", full.fileno(), full.fileno()).returncode == expected
