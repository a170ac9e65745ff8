"""Indexes of more parts than a process may have open at first."""

import subprocess
import sys

import numpy as np
import pytest

from lib.records.record_writer import RecordWriter
from tests.support.helpers import ROOT

PARTS = 60
SCRIPT = """
import resource, sys
from pathlib import Path
from lib.errors import UserError
from lib.records.record_index import write_index
folder = Path(sys.argv[1])
resource.setrlimit(resource.RLIMIT_NOFILE, (40, int(sys.argv[2])))
try:
    print(len(write_index(folder / "index.json", sorted(folder.glob("*.bin")))))
except UserError as error:
    print(error)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parts")
    for part in range(PARTS):
        with RecordWriter(folder / f"{part:02d}.bin", (2, 2, 4), {}) as writer:
            writer.append(np.full((2, 2, 4), part, np.uint8), f"{part}.png")
    return folder


@pytest.mark.skipif(sys.platform == "win32", reason="it has no such limit")
@pytest.mark.parametrize(
    ("most", "printed"), [(100, f"{PARTS}\n"), (50, "Too many open files (raise the limit, ulimit -n, or pack fewer")]
)
def test_the_limit_of_open_files_is_raised_as_far_as_it_can_be(folder, most, printed):
    command = [sys.executable, "-c", SCRIPT, str(folder), str(most)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert printed in done.stdout, done.stderr
