"""The number of processes that memory allows, and the memory that a process keeps."""

import platform
import subprocess
import sys

import pytest

from lib.runtime import memory
from tests.support.helpers import ROOT


@pytest.mark.parametrize(
    ("limit", "processes"), [("max\n", 8), ("4294967296\n", 3), ("1073741824\n", 1)], ids=["host", "container", "least"]
)
def test_processes_fit_into_the_container(tmp_path, monkeypatch, limit, processes):
    for name, content in {
        "_MEMINFO": "MemTotal:  99 kB\nMemAvailable:   16777216 kB\n",
        "_LIMIT": limit,
        "_USED": "3221225472\n",
        "_PARTS": "anon 1073741824\ninactive_file 2147483648\n",
    }.items():
        (tmp_path / name).write_text(content)
        monkeypatch.setattr(memory, name, tmp_path / name)
    assert memory.affordable(8, 2**30) == processes
    (tmp_path / "_MEMINFO").write_text("MemTotal:  99 kB\nMemFree:   9 kB\n")
    assert memory.affordable(8, 2**30) == 8, "what is free says little"
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "none")
    assert memory.affordable(8, 2**30) == 8


FAULTS = """
import resource, sys, threading
from lib.runtime.memory import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def work():
    b"x" * (96 << 20)
    before = faults()
    b"x" * (96 << 20)
    print(faults() - before)
thread = threading.Thread(target=work)
thread.start()
thread.join()
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the setting is glibc's")
def test_freed_memory_is_used_again_without_new_pages():
    def faults(word):
        done = subprocess.run(
            [sys.executable, "-c", FAULTS, word], cwd=ROOT, capture_output=True, text=True, check=True
        )
        return int(done.stdout)

    assert faults("kept") < 100 < faults("returned")
