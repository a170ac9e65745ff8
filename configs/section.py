"""Building blocks of the configuration's sections: options with a description and bounds.

Sections document their options and the allowed values. The values themselves are in default.yaml and in the files that
override parts of it.
"""

import dataclasses
import inspect
import os
from typing import Any

from lib.errors import UserError

LARGEST = 2**53  # size of the largest whole number; larger ones cannot be counts, and are not exact as floats
SEEDS = 2**32 - 1  # largest seed that NumPy's global generator accepts
_SHOWN = 60  # characters of a wrong value in a message


def shown(value: object) -> str:
    """A wrong value for a message, cut after a few characters; containers are not expanded."""
    if isinstance(value, (list, tuple, dict, set)):
        return f"a {type(value).__name__} of {len(value)}"
    if isinstance(value, int) and abs(value) > LARGEST:
        return f"a whole number of {value.bit_length()} bits"  # str() refuses thousands of digits
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def plain_name_fault(name: str) -> str | None:
    """The reason why a text cannot be a file or folder name that stays in its folder; None if it can."""
    if name and not set(name) & {"/", "\\"} and not name.startswith(".") and len(os.fsencode(name)) <= 200:
        return None
    return f"must be a plain file name, got {shown(name)}"


def option(
    doc: str,
    *,
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    choices: tuple = (),
) -> Any:
    """A field with a one-line description and bounds: low <= value <= high, above < value, or one of choices."""
    return dataclasses.field(metadata={"doc": doc, "low": low, "high": high, "above": above, "choices": choices})


@dataclasses.dataclass(frozen=True)
class Section:
    """Base class of sections; checks the bounds of every field on construction."""

    @classmethod
    def summary(cls) -> str:
        """The first line of the section's docstring."""
        return inspect.cleandoc(cls.__doc__ or "").splitlines()[0]

    def __post_init__(self) -> None:
        section = type(self).__name__
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            for item in value if isinstance(value, tuple) else (value,):
                _check(f"{_snake(section)}.{field.name}", item, field.metadata)


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() and i else c.lower() for i, c in enumerate(name))


def _check(key: str, value: Any, bounds: Any) -> None:
    if bounds["choices"] and value not in bounds["choices"]:
        got = str(value) if len(str(value)) <= _SHOWN else shown(value)
        raise UserError(f"{key}: must be one of {', '.join(map(str, bounds['choices']))}, got {got}")
    if bounds["low"] is not None and value < bounds["low"]:
        raise UserError(f"{key}: must be at least {bounds['low']:.10g}, got {value:.10g}")
    if bounds["high"] is not None and value > bounds["high"]:
        raise UserError(f"{key}: must be at most {bounds['high']:.10g}, got {value:.10g}")
    if bounds["above"] is not None and not value > bounds["above"]:
        raise UserError(f"{key}: must be more than {bounds['above']:.10g}, got {value:.10g}")
