"""Rigs in .glb files, evaluated as viewers do."""

import json
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

COMPONENTS = {5123: np.uint16, 5125: np.uint32, 5126: np.float32}
WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}


@dataclass(frozen=True)
class Rig:
    """A .glb file: its JSON, its binary chunk, and its meshes by name."""

    content: dict
    binary: bytes

    @classmethod
    def read(cls, path: Path) -> "Rig":
        data = path.read_bytes()
        size = struct.unpack("<I", data[12:16])[0]
        return cls(json.loads(data[20 : 20 + size]), data[20 + size + 8 :])

    def node(self, name: str) -> dict:
        (node,) = [node for node in self.content["nodes"] if node.get("name") == name]
        return node

    def mesh(self, name: str) -> dict:
        return self.content["meshes"][self.node(name)["mesh"]]

    def names(self, name: str) -> list[str]:
        """Names of a mesh's morph targets."""
        return self.mesh(name).get("extras", {}).get("targetNames", [])

    def values(self, index: int) -> np.ndarray:
        """Contents of an accessor, dense or sparse."""
        accessor = self.content["accessors"][index]
        width, count = WIDTHS[accessor["type"]], accessor["count"]
        if "bufferView" in accessor:
            return self._view(accessor["bufferView"], accessor["componentType"], width)[:count]
        found = np.zeros((count, width), np.float32)
        sparse = accessor["sparse"]
        rows = self._view(sparse["indices"]["bufferView"], sparse["indices"]["componentType"], 1)
        found[rows[:, 0]] = self._view(sparse["values"]["bufferView"], accessor["componentType"], width)
        return found

    def image(self, image: dict) -> bytes:
        """The file of an embedded image."""
        view = self.content["bufferViews"][image["bufferView"]]
        start = view.get("byteOffset", 0)
        return self.binary[start : start + view["byteLength"]]

    def _view(self, index: int, component: int, width: int) -> np.ndarray:
        view = self.content["bufferViews"][index]
        start, kind = view["byteOffset"], COMPONENTS[component]
        count = view["byteLength"] // np.dtype(kind).itemsize
        return np.frombuffer(self.binary, kind, count, start).reshape(-1, width)

    def vertices(self, name: str, weights: dict[str, float] | None = None, attribute: str = "POSITION") -> np.ndarray:
        """[M, 3] metres in the scene, at the given weights or those of the file."""
        mesh = self.mesh(name)
        primitive = mesh["primitives"][0]
        found = self.values(primitive["attributes"][attribute]).astype(np.float64)
        own = zip(self.names(name), primitive.get("targets", []), mesh.get("weights", []), strict=True)
        for target, accessors, weight in own:
            found += (weight if weights is None else weights.get(target, 0.0)) * self.values(accessors[attribute])
        return found + (self.node(name).get("translation", [0, 0, 0]) if attribute == "POSITION" else 0)
