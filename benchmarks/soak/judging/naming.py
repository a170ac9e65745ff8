"""Whether a message names a file."""

import re
from pathlib import Path

# A bar shows the name of every photo, whatever becomes of it; what follows it in the same line is a message.
_BAR = re.compile(r"[^\r\n]*?\d+%\|[^\r\n\[]*\[[^\]\r\n]*\]")
_BELOW = r"/[^\s'\",:;)]"  # the beginning of a name in a folder


def without_bars(errors: str) -> str:
    """Standard error without its progress bars."""
    return _BAR.sub("", errors)


def names(message: str, target: Path, root: Path | None = None) -> bool:
    """Whether a message names a file, or its folder as a whole; another file of the folder is not this one.

    Args:
      message: the message.
      target: the file.
      root: messages may name folders relative to this one, which is none of them itself. A name such as "photos" is a
        word, too: it counts in quotes, before a slash, and before a colon where a message begins.
    """
    patterns = [rf"(?<![\w.-]){re.escape(target.name)}(?![\w-])"]
    if root is None:
        patterns.append(_path(target.parent))
    elif target.parent != root:
        relative = target.parent.relative_to(root)
        patterns += [_path(target.parent), _path(relative) if len(relative.parts) > 1 else _word(relative)]
    return any(re.search(pattern, message, re.MULTILINE) for pattern in patterns)


def _path(folder: Path) -> str:
    return rf"(?<![\w.-]){re.escape(str(folder))}(?!{_BELOW}|[\w-])"


def _word(name: Path) -> str:
    word = re.escape(str(name))
    return rf"(?<![\w./-]){word}/(?!{_BELOW[1:]})|^(error: )?{word}:|(['\"]){word}\2"
