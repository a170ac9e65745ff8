"""Building blocks of the configuration's sections: options with a description and bounds.

Sections document their options and the allowed values. The values themselves are in default.yaml and in the files that
override parts of it.
"""

import dataclasses
import inspect
from typing import Any

from lib.errors import UserError


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
        raise UserError(f"{key}: must be one of {', '.join(map(str, bounds['choices']))}, got {value}")
    if bounds["low"] is not None and value < bounds["low"]:
        raise UserError(f"{key}: must be at least {bounds['low']:g}, got {value:g}")
    if bounds["high"] is not None and value > bounds["high"]:
        raise UserError(f"{key}: must be at most {bounds['high']:g}, got {value:g}")
    if bounds["above"] is not None and not value > bounds["above"]:
        raise UserError(f"{key}: must be more than {bounds['above']:g}, got {value:g}")
