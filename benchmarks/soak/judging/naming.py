"""Whether a message names a file."""

import re
from pathlib import Path


def names(message: str, target: Path, root: Path | None = None) -> bool:
    """Whether a message names a file, or its folder as a whole; another file of the folder is not this one.

    Args:
      message: the message.
      target: the file.
      root: messages may name folders relative to this one, which is none of them itself.
    """
    folders = [target.parent]
    if root is not None:
        folders = [target.parent, target.parent.relative_to(root)] if target.parent != root else []
    patterns = [rf"(?<![\w.-]){re.escape(target.name)}(?![\w-])"]
    patterns += [rf"(?<![\w.-]){re.escape(str(folder))}(?!/[^\s'\",:;)]|[\w-])" for folder in folders]
    return any(re.search(pattern, message) for pattern in patterns)
