"""Key by which a result is recognised as that of a photo, its sidecar files and the options, as they are now."""

import hashlib
import json
from pathlib import Path

from lib.sidecar.sidecar_files import landmarks_path, mask_path


def photo_key(path: Path, options: str, beside: bool, name: str) -> str:
    """Hash of what a result depends on; it changes when a file is written again.

    Args:
      path: the photo; a link may lead nowhere.
      options: hash of options and weights (`lib.files.shards.options_digest`).
      beside: sidecar files count.
      name: of the result.
    """
    files = [path, *(filter(None, (landmarks_path(path), mask_path(path))) if beside else ())]
    states = [(file.name, *_state(file)) for file in files]
    return hashlib.sha256(json.dumps([options, name, states]).encode()).hexdigest()[:16]


def _state(file: Path) -> tuple[int, int]:
    """Size and time of a file; (-1, -1) if it cannot be read (a dangling link), which the worker reports."""
    try:
        state = file.stat()
    except OSError:
        return -1, -1
    return state.st_size, state.st_mtime_ns
