"""The binary container of glTF 2.0: one buffer with its views and accessors, and the JSON that describes them."""

import json
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np

from lib.files.atomic import atomic_path

FLOAT, UNSIGNED_SHORT, UNSIGNED_INT = 5126, 5123, 5125
VERTEX_BUFFER, INDEX_BUFFER = 34962, 34963
JSON_CHUNK, BINARY_CHUNK = 0x4E4F534A, 0x004E4942
# Sparse accessors store an index for each row that is not zero; above this share of rows, all rows are shorter.
SPARSE_SHARE = 0.7


class GlbFile:
    """Builder of the binary chunk with its views and accessors, aligned to four bytes."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.views: list[dict[str, Any]] = []
        self.accessors: list[dict[str, Any]] = []

    def view(self, data: bytes, target: int | None = None) -> int:
        """Adds a buffer view and returns its index."""
        entry = {"buffer": 0, "byteOffset": len(self.data), "byteLength": len(data)}
        self.views.append(entry | ({"target": target} if target else {}))
        self.data += data + bytes(-len(data) % 4)
        return len(self.views) - 1

    def accessor(
        self,
        values: np.ndarray,
        kind: str,
        component: int,
        target: int | None = None,
        bounds: bool = False,
        normalized: bool = False,
    ) -> int:
        """Adds an accessor over `values` [M] or [M, width] and returns its index."""
        entry: dict[str, Any] = {
            "bufferView": self.view(np.ascontiguousarray(values).tobytes(), target),
            "componentType": component,
            "count": len(values),
            "type": kind,
        }
        if normalized:
            entry["normalized"] = True
        return self._added(entry, values, bounds)

    def sparse(self, values: np.ndarray, bounds: bool = False) -> int:
        """Adds an accessor over float32 vectors [M, 3] that are mostly zero, and returns its index."""
        rows = np.flatnonzero(values.any(axis=1))
        if len(rows) > SPARSE_SHARE * len(values) or not len(rows):
            return self.accessor(values, "VEC3", FLOAT, VERTEX_BUFFER, bounds)
        short = len(values) <= np.iinfo(np.uint16).max
        indices = rows.astype(np.uint16 if short else np.uint32)
        entry: dict[str, Any] = {
            "componentType": FLOAT,
            "count": len(values),
            "type": "VEC3",
            "sparse": {
                "count": len(rows),
                "indices": {
                    "bufferView": self.view(indices.tobytes()),
                    "componentType": UNSIGNED_SHORT if short else UNSIGNED_INT,
                },
                "values": {"bufferView": self.view(np.ascontiguousarray(values[rows]).tobytes())},
            },
        }
        return self._added(entry, values, bounds)

    def _added(self, entry: dict[str, Any], values: np.ndarray, bounds: bool) -> int:
        if bounds:
            rows = values.reshape(len(values), -1)
            entry |= {"min": rows.min(axis=0).tolist(), "max": rows.max(axis=0).tolist()}
        self.accessors.append(entry)
        return len(self.accessors) - 1

    def write(self, path: str | os.PathLike, content: dict[str, Any]) -> None:
        """Writes or replaces a .glb.

        Args:
          path: the file; its folder is created.
          content: the JSON without accessors, views and buffers.
        """
        content = {"asset": {"version": "2.0", "generator": "3d-face-gcns"}, **content}
        content |= {"accessors": self.accessors, "bufferViews": self.views, "buffers": [{"byteLength": len(self.data)}]}
        with atomic_path(path) as temporary:
            _write(temporary, content, bytes(self.data))


def _write(path: Path, content: dict[str, Any], binary: bytes) -> None:
    """Writes the container: header, JSON chunk, binary chunk."""
    text = json.dumps(content, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    with open(path, "wb") as stream:
        stream.write(struct.pack("<4sII", b"glTF", 2, 12 + 8 + len(text) + 8 + len(binary)))
        stream.write(struct.pack("<II", len(text), JSON_CHUNK) + text)
        stream.write(struct.pack("<II", len(binary), BINARY_CHUNK) + binary)
