"""Damaged files, drawn by hypothesis."""

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
