"""The number of processes that memory allows."""

import pytest

from lib.runtime import memory


@pytest.mark.parametrize(
    ("limit", "processes"), [("max\n", 8), ("4294967296\n", 3), ("1073741824\n", 1)], ids=["host", "container", "least"]
)
def test_processes_fit_into_the_container(tmp_path, monkeypatch, limit, processes):
    for name, content in {
        "_MEMINFO": "MemTotal:  99 kB\nMemAvailable:   16777216 kB\n",
        "_LIMIT": limit,
        "_USED": "1073741824\n",
    }.items():
        (tmp_path / name).write_text(content)
        monkeypatch.setattr(memory, name, tmp_path / name)
    assert memory.affordable(8, 2**30) == processes
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "none")
    assert memory.affordable(8, 2**30) == 8
