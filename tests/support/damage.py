"""Damaged files, drawn by hypothesis, and a disk without space."""

import contextlib
import signal
from collections.abc import Iterator

from hypothesis import strategies as st


@st.composite
def damaged(draw, content: bytes) -> bytes:
    """The content of a file with one byte changed, or cut short."""
    position = draw(st.integers(0, len(content) - 1), label="position")
    if draw(st.booleans(), label="cut"):
        return content[:position]
    changed = bytearray(content)
    changed[position] ^= draw(st.integers(1, 255), label="bits")
    return bytes(changed)


@contextlib.contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Context manager in which the disk is full for every file beyond `size` bytes."""
    import resource  # not on Windows

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
