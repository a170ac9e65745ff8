"""Atomic writing of JSON in UTF-8, valid for any numbers and file names."""

import json
import math
import os
import zlib
from collections.abc import Mapping
from typing import Any

from lib.files.atomic import atomic_path

CHECKSUM = "crc32"


def write_json(path: str | os.PathLike, content: object) -> None:
    """Writes or replaces a JSON file, indented by one space; `json_text` describes the encoding.

    Raises:
      TypeError: `content` holds a value that JSON cannot represent.
      DiskFull: the earlier file, if any, is unchanged.
    """
    with atomic_path(path) as temporary:
        temporary.write_text(json_text(content, indent=1) + "\n", encoding="utf-8")


def json_text(content: object, indent: int | None = None) -> str:
    """Serialises `content` as standard JSON that can be encoded in UTF-8.

    NaN and infinities, which JSON lacks, become null. Bytes of a file name that are not UTF-8, which Python stores as
    lone surrogates, are escaped and read back as the same name.

    Raises:
      TypeError: `content` holds a value that JSON cannot represent.
    """
    text = json.dumps(_finite(content), indent=indent, ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def with_checksum(content: Mapping[str, Any], owner: str = "") -> dict[str, Any]:
    """Adds the entry "crc32", by which `without_checksum` recognises damage.

    Args:
      content: the entries.
      owner: what the content belongs to; enters the checksum without being stored.
    """
    return {**content, CHECKSUM: _checksum(content, owner)}


def without_checksum(content: Mapping[str, Any], owner: str = "") -> dict[str, Any]:
    """The entries that `with_checksum` was given.

    Raises:
      ValueError: the content is damaged, belongs to another owner, or is no mapping with a checksum.
    """
    found = content.get(CHECKSUM) if isinstance(content, Mapping) else None
    rest = {key: value for key, value in content.items() if key != CHECKSUM} if found is not None else {}
    if type(found) is not int or found != _checksum(rest, owner):
        raise ValueError("its checksum does not fit")
    return rest


def _checksum(content: Mapping[str, Any], owner: str) -> int:
    return zlib.crc32(json_text([owner, content]).encode())


def _finite(content: object) -> object:
    if isinstance(content, float):
        return content if math.isfinite(content) else None
    if isinstance(content, Mapping):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [_finite(value) for value in content]
    return content
