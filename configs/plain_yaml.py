"""Reads YAML of nested plain values from untrusted sources in bounded time.

Not accepted: anchors and aliases (a few lines of them describe a list of billions), nesting beyond `MAX_DEPTH` (the
scanner's time grows with the square of the depth), and repeated keys (PyYAML accepts them silently). Dates, `010` and
`1:30`, of which PyYAML would make dates, 8 and 90, stay texts.
"""

import copy
import functools
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from configs.section import shown
from lib.errors import UserError, one_line

MAX_DEPTH = 8
MAX_BYTES = 100_000  # of a configuration file; default.yaml has a fifth of that
_TIMESTAMP = "tag:yaml.org,2002:timestamp"
# PyYAML's patterns without octal and sexagesimal numbers.
_NUMBERS = {
    "tag:yaml.org,2002:int": re.compile(r"[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|0|[1-9][0-9_]*)$"),
    "tag:yaml.org,2002:float": re.compile(
        r"(?:[-+]?(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)(?:[eE][-+][0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
    ),
}


class BadYaml(ValueError):
    """The text is not such YAML; the message is one line."""


def parse(text: str) -> Any:
    """The value that a YAML text describes.

    Raises:
      BadYaml: the text is not YAML, or uses what this module does not accept.
    """
    return copy.deepcopy(_parsed(text))


def read_sections(path: Path) -> dict[str, dict[str, Any]]:
    """The sections of a configuration file.

    Raises:
      UserError: it cannot be read, or holds something else.
    """
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise UserError(f"{path}: must be a configuration file of at most {MAX_BYTES:,} bytes, got {size:,}")
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise UserError(f"{path}: must be a configuration file, got none (see configs/)") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: must be a readable configuration file, got: {error}") from error
    try:
        values = parse(text)
    except BadYaml as error:
        raise UserError(f"{path}: must be YAML, got: {error}") from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise UserError(f"{path}: must hold sections of `key: value` lines, got {shown(values)}")
    for section, block in values.items():
        if not isinstance(block, dict):
            got = "none" if block is None else shown(block)
            raise UserError(
                f"{path}: section {shown(section)} must hold `key: value` lines, got {got} (indent them, or delete the "
                "section)"
            )
    return values


def plain_value(value: Any) -> Any:
    """A Python caller's value as YAML would give it: paths as texts, NumPy's numbers as Python's."""
    if isinstance(value, list | tuple):
        return [plain_value(item) for item in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return value.tolist() if isinstance(value, np.generic | np.ndarray) else value


@functools.lru_cache(maxsize=64)  # PyYAML's scanner takes 40 ms for configs/default.yaml, which every load reads
def _parsed(text: str) -> Any:
    try:
        return yaml.load(text, _PlainLoader)
    except yaml.YAMLError as error:
        raise BadYaml(_one_line(error)) from error
    # PyYAML's constructors pass on whatever int(), float() and their tables raise, e.g. for `0x_` and `!!bool maybe`.
    except (ValueError, LookupError, ArithmeticError, AttributeError, TypeError, RecursionError) as error:
        raise BadYaml(f"a value that cannot be read ({_one_line(error)})") from error


class _PlainLoader(yaml.SafeLoader):
    """SafeLoader that rejects what the module's docstring lists as soon as it appears."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own attribute
        first: [(tag, _NUMBERS.get(tag, pattern)) for tag, pattern in resolvers if tag != _TIMESTAMP]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            self._reject("values must be written out, got an anchor or alias", event)
        if self.depth > MAX_DEPTH:
            self._reject(f"lists and sections must be nested at most {MAX_DEPTH} deep, got more", event)
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: Any, deep: bool = False) -> dict:
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"keys must be unique, got '{key.value}' twice", node.start_mark
                )
            seen.add(key.value if isinstance(key, yaml.ScalarNode) else None)
        return super().construct_mapping(node, deep)

    def _reject(self, reason: str, event: Any) -> None:
        raise yaml.composer.ComposerError(None, None, reason, event.start_mark)


def _one_line(error: BaseException) -> str:
    text = one_line(str(error).replace('in "<unicode string>", ', "at ") or type(error).__name__)
    return text if len(text) <= 300 else f"{text[:300]}..."
