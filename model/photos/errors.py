"""Failures of a single photo that do not stop the others, and their one-line reasons."""

from pathlib import Path

import cv2
import tensorflow as tf

from lib.errors import UserError
from lib.files.file_names import printable

# Its own faults, numbers that do not fit (a face at its very border), libraries' errors.
PHOTO_ERRORS = (UserError, ValueError, ArithmeticError, OSError, cv2.error, tf.errors.OpError)


def failure_reason(path: Path, error: BaseException) -> str:
    """What went wrong with a photo, one line without its name."""
    reason = " ".join(str(error).split()) or type(error).__name__
    return printable(reason.removeprefix(f"{path}: ").removeprefix(f"{path.name}: "))
