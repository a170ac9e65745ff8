"""Compiled functions where Numba finds no folder for its machine code."""

import numba
import numba.core.caching
import pytest

from lib.runtime.compilation import compiled
from tests.support.damage import files_of_at_most


def double(number):
    return 2 * number


def test_a_function_is_compiled_where_nothing_can_be_written(monkeypatch):
    assert compiled(nogil=True)(double).stats.cache_path, "elsewhere the machine code is kept"
    monkeypatch.setattr(numba.core.caching.CacheImpl, "_locator_classes", [])
    with pytest.raises(RuntimeError, match="no locator"):
        numba.njit(cache=True)(double)
    function = compiled(nogil=True)(double)
    assert function(4) == 8
    assert function.signatures


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder of the cache, empty."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
def test_a_damaged_file_of_the_cache_is_made_again(folder, capsys, suffix):
    assert compiled()(double)(4) == 8
    for path in folder.rglob(f"*.{suffix}"):
        path.write_bytes(b"")
    assert compiled()(double)(4) == 8
    assert "they are compiled again" in capsys.readouterr().err
    function = compiled()(double)
    assert function(4) == 8
    assert function.stats.cache_hits


def test_a_full_disk_of_the_cache_is_said_once(folder, capsys):
    with files_of_at_most(0):
        assert compiled()(double)(4) == 8
        assert compiled()(double)(4) == 8
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(str(folder))
