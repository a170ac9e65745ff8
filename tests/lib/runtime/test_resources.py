"""Processors, the number of processes that memory allows, and the memory that a process keeps."""

import os
import platform
import subprocess
import sys

import pytest

from lib.runtime import resources
from tests.support.helpers import ROOT

GIGABYTE = 2**30
UNLIMITED = 2**63 - 4096  # of version 1, for none


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Writes /proc and /sys/fs/cgroup of a machine with 16 GB to spare."""
    monkeypatch.setattr(resources, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(resources, "_GROUPS", tmp_path / "groups")
    monkeypatch.setattr(resources, "_GROUP_FILES", tmp_path / "cgroup")
    (tmp_path / "meminfo").write_text("MemTotal:  99 kB\nMemAvailable:   16777216 kB\n")

    def write(groups, limits):
        (tmp_path / "groups").write_text(groups)
        for group, limit in limits.items():
            folder = tmp_path / "cgroup" / group
            folder.mkdir(parents=True)
            first = group.startswith("memory")
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes") if first else ("memory.max", "memory.current")
            (folder / names[0]).write_text(f"{limit}\n")
            (folder / names[1]).write_text(f"{3 * GIGABYTE}\n")
            cached = f"{'total_' * first}inactive_file {2 * GIGABYTE}"
            (folder / "memory.stat").write_text(f"anon {GIGABYTE}\ninactive_file {2 * GIGABYTE}\n{cached}\n")

    return write


@pytest.mark.parametrize(
    ("groups", "limits", "processes"),
    [
        ("", {}, 8),
        ("0::/\n", {"": "max"}, 8),
        ("0::/\n", {"": 4 * GIGABYTE}, 3),
        ("0::/\n", {"": GIGABYTE}, 1),
        ("0::/slurm/job_1\n", {"slurm": 8 * GIGABYTE, "slurm/job_1": 4 * GIGABYTE}, 3),
        ("0::/slurm/job_1\n", {"slurm": 4 * GIGABYTE, "slurm/job_1": "max"}, 3),
        ("0::/docker/its_own\n", {"": 4 * GIGABYTE}, 3),
        ("9:cpu:/x\n4:memory:/a/b\n0::/\n", {"memory": UNLIMITED, "memory/a/b": 6 * GIGABYTE}, 5),
        ("4:cpu,memory:/a/b\n", {"memory": 7 * GIGABYTE, "memory/a/b": UNLIMITED}, 6),
        ("0::/../..\n", {"": 4 * GIGABYTE}, 3),
    ],
)
def test_processes_fit_into_the_least_room_of_all_groups(machine, groups, limits, processes):
    machine(groups, limits)
    assert resources.affordable(8, GIGABYTE) == processes


def test_a_system_that_does_not_tell_allows_all(tmp_path, monkeypatch):
    monkeypatch.setattr(resources, "_MEMINFO", tmp_path / "none")
    assert resources.affordable(8, GIGABYTE) == 8
    (tmp_path / "none").write_text("MemTotal:  99 kB\nMemFree:   9 kB\n")
    assert resources.affordable(8, GIGABYTE) == 8, "what is free says little"


@pytest.mark.parametrize(
    ("groups", "limits", "processors"),
    [
        ("0::/\n", {"cpu.max": "max 100000"}, 64),
        ("0::/\n", {"cpu.max": "200000 100000"}, 2),
        (
            "0::/pods/one\n",
            {"cpu.max": "max 100000", "pods/cpu.max": "800000 100000", "pods/one/cpu.max": "50000 100000"},
            1,
        ),
        ("0::/docker/x\n", {"cpu.max": "150000 100000"}, 2),
        ("3:cpu,cpuacct:/a\n", {"cpu/a/cpu.cfs_quota_us": "-1", "cpu/a/cpu.cfs_period_us": "100000"}, 64),
        ("3:cpu,cpuacct:/a\n", {"cpu/a/cpu.cfs_quota_us": "300000", "cpu/a/cpu.cfs_period_us": "100000"}, 3),
        ("2:cpuacct:/\n", {"cpu/cpu.cfs_quota_us": "1", "cpu/cpu.cfs_period_us": "100000"}, 64),
    ],
)
def test_a_share_of_the_time_of_all_processors_is_fewer_processors(
    machine, tmp_path, monkeypatch, groups, limits, processors
):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    machine(groups, {})
    for name, limit in limits.items():
        path = tmp_path / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{limit}\n")
    assert resources.processors() == processors


def test_processors_are_those_of_this_process(tmp_path, monkeypatch):
    monkeypatch.setattr(resources, "_GROUPS", tmp_path / "none")
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5, 7}, raising=False)
    assert resources.processors() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    assert resources.processors() == 64


FAULTS = """
import resource, sys, threading
from lib.runtime.resources import keep_freed_memory
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
