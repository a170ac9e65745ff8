"""Failures of a single photo that do not stop the others, and their one-line reasons."""

from pathlib import Path

import cv2
import tensorflow as tf

from lib.errors import UserError
from lib.files.file_names import printable

# This program's errors, impossible numbers (such as a face at the very border), and errors from libraries.
PHOTO_ERRORS = (UserError, ValueError, ArithmeticError, OSError, cv2.error, tf.errors.OpError)


def failure_reason(path: Path, error: BaseException) -> str:
    """Reason why a photo failed, in one line and without the photo's name."""
    reason = " ".join(str(error).split()) or type(error).__name__
    return printable(reason.removeprefix(f"{path}: ").removeprefix(f"{path.name}: "))
