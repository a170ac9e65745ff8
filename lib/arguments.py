"""Checks of what callers of the Python interface give."""

from typing import Any

import numpy as np

from lib.errors import UserError

_SHOWN = 60  # characters of a wrong value in a message


def finite_number(name: str, value: Any) -> float:
    """The value as a number.

    Args:
      name: what it is, for the message.
      value: a number, or an array or tensor of one.

    Raises:
      UserError: it is something else, or single precision cannot hold it.
    """
    try:
        number = np.nan if isinstance(value, str | bytes) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = np.nan
    if not abs(number) <= np.finfo(np.float32).max:
        raise UserError(f"{name} must be a finite number, got {repr(value)[:_SHOWN]}")
    return number
