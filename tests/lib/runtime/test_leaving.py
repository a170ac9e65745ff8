"""Ends of processes: exit code, output and registered functions as always, without the release of every object."""

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
