"""Compiled functions where Numba finds no folder for its machine code."""

import numba.core.caching
import pytest

from lib.runtime.compilation import compiled


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
