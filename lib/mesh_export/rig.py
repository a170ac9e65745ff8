"""Export of a head with morph targets as a binary glTF 2.0 file, with eyes, teeth and tongue as nodes of their own.

No library among the requirements writes morph targets: trimesh reads the base mesh alone.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lib.geometry.lengths import lengths
from lib.mesh_export.glb_file import FLOAT, GlbFile
from lib.mesh_export.gltf import METRES_PER_DECIMETRE, Material, add_material, add_primitive, unit_normals

# Smaller changes are left out: of positions in metres, and of unit normals.
STILL, SAME_NORMAL = 2e-6, 2e-3
ROOT = "head"


@dataclass(frozen=True, eq=False)
class RigPart:
    """A mesh with morph targets.

    Attributes:
      name: of its node and mesh.
      vertices: [M, 3] at rest, decimetres.
      normals: [M, 3] at rest.
      triangles: [F, 3] counter-clockwise from outside.
      uv: [M, 2], u right, v up.
      moves: [T, M, 3] displacements at weight 1, decimetres.
      moved_normals: [T, M, 3] normals at weight 1.
      tangents: [M, 4], required for a normal map.
      pivot: [3] decimetres, the point that the node turns about; None for the origin.
      turn: [4] unit quaternion x, y, z, w about the pivot, with which the file opens; None for no turn.
    """

    name: str
    vertices: np.ndarray
    normals: np.ndarray
    triangles: np.ndarray
    uv: np.ndarray
    moves: np.ndarray
    moved_normals: np.ndarray
    tangents: np.ndarray | None = None
    pivot: np.ndarray | None = None
    turn: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class RigMotion:
    """An animation of a rig.

    Attributes:
      times: [F] seconds, ascending.
      weights: [F, T] of the morph targets.
      rotations: [F, 4] unit quaternions x, y, z, w of the head about the origin.
      turns: part with a pivot -> [F, 4] unit quaternions of the part about its pivot; other parts keep their `turn`.
    """

    times: np.ndarray
    weights: np.ndarray
    rotations: np.ndarray
    turns: Mapping[str, np.ndarray] = field(default_factory=dict)


def write_rig(
    path: str | os.PathLike,
    parts: Sequence[RigPart],
    names: Sequence[str],
    weights: np.ndarray,
    material: Material,
    motion: RigMotion | None = None,
) -> None:
    """Writes a rig in metres; y is up and z points out of the face, as in the input.

    A mesh gets the morph targets that move it. Their names are in `extras.targetNames`, where viewers and Blender look
    for them.

    Args:
      path: the .glb file; its folder is created.
      parts: the meshes; children of one node, `ROOT`.
      names: [T] of the morph targets.
      weights: [T] with which the file opens.
      material: of all meshes.
      motion: an animation, which viewers offer to play.
    """
    file = GlbFile()
    meshes = [_mesh(file, part, names, weights) for part in parts]
    nodes: list[dict[str, Any]] = [{"name": ROOT, "children": list(range(1, len(parts) + 1))}]
    for number, part in enumerate(parts):
        node: dict[str, Any] = {"name": part.name, "mesh": number}
        if part.pivot is not None:
            node["translation"] = (part.pivot * METRES_PER_DECIMETRE).tolist()
        if part.turn is not None:
            node["rotation"] = part.turn.tolist()
        nodes.append(node)
    content: dict[str, Any] = {"scene": 0, "scenes": [{"nodes": [0]}], "nodes": nodes, "meshes": meshes}
    if motion is not None:
        content["animations"] = [_animation(file, motion, meshes, names)]
    file.write(path, {**content, **add_material(file, material)})


def morph_targets(part: RigPart) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Number, displacements [M, 3] in metres and changes of unit normals [M, 3] of the targets that move a part."""
    rest = unit_normals(part.normals)
    for number, (move, normals) in enumerate(zip(part.moves, part.moved_normals, strict=True)):
        move = _without_noise(np.asarray(move, np.float32) * np.float32(METRES_PER_DECIMETRE), STILL)
        if move.any():
            yield number, move, _without_noise(unit_normals(normals) - rest, SAME_NORMAL)


def _mesh(file: GlbFile, part: RigPart, names: Sequence[str], weights: np.ndarray) -> dict[str, Any]:
    """Adds a part to the file and returns its mesh."""
    vertices = part.vertices if part.pivot is None else part.vertices - part.pivot
    primitive = add_primitive(file, vertices, part.triangles, part.normals, part.uv, part.tangents)
    targets, kept = [], []
    for number, move, turn in morph_targets(part):
        targets.append({"POSITION": file.sparse(move, bounds=True), "NORMAL": file.sparse(turn)})
        kept.append(number)
    mesh: dict[str, Any] = {"name": part.name, "primitives": [primitive]}
    if kept:
        primitive["targets"] = targets
        mesh["weights"] = [float(weights[number]) for number in kept]
        mesh["extras"] = {"targetNames": [names[number] for number in kept]}
    return mesh


def _animation(
    file: GlbFile, motion: RigMotion, meshes: Sequence[dict[str, Any]], names: Sequence[str]
) -> dict[str, Any]:
    """Adds a motion to the file and returns its animation; node 0 is the head, node i + 1 has mesh i."""
    times = file.accessor(motion.times.astype(np.float32), "SCALAR", FLOAT, bounds=True)
    outputs = [(0, "rotation", file.accessor(motion.rotations.astype(np.float32), "VEC4", FLOAT))]
    for number, mesh in enumerate(meshes):
        if mesh["name"] in motion.turns:
            turns = file.accessor(motion.turns[mesh["name"]].astype(np.float32), "VEC4", FLOAT)
            outputs.append((number + 1, "rotation", turns))
        own = [names.index(name) for name in mesh.get("extras", {}).get("targetNames", [])]
        if own:
            values = motion.weights[:, own].astype(np.float32).reshape(-1)
            outputs.append((number + 1, "weights", file.accessor(values, "SCALAR", FLOAT)))
    return {
        "name": "video",
        "samplers": [{"input": times, "output": output, "interpolation": "LINEAR"} for _, _, output in outputs],
        "channels": [
            {"sampler": sampler, "target": {"node": node, "path": path}}
            for sampler, (node, path, _) in enumerate(outputs)
        ],
    }


def _without_noise(values: np.ndarray, smallest: float) -> np.ndarray:
    """Vectors [M, 3], those of less than a length set to zero."""
    return np.where(lengths(values) < smallest, 0, values).astype(np.float32)
