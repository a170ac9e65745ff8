"""Export of a head as USDZ: textured meshes, with blend shapes and an animation if it has morph targets.

The file is a package of the USDZ specification: a ZIP archive of uncompressed files, each aligned to 64 bytes, of
which the first is the scene, here in USD's text form. OpenUSD's own writer (usd-core) takes 217 MB on the disk and has
no wheel for Linux on ARM; the tests check files with it.

A mesh of the rig is bound to a joint: the head, or an eye about the centre of its ball.
"""

import os
import re
import struct
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from lib.files.atomic import atomic_path
from lib.mesh_export.gltf import METRES_PER_DECIMETRE, ROUGHNESS, Material, unit_normals
from lib.mesh_export.rig import ROOT, RigMotion, RigPart, morph_targets

ALIGNMENT = 64
# The header of an archive's file, without name and extra field; the tag of the extra field that OpenUSD pads with.
LOCAL_HEADER, PADDING_TAG = 30, 0x1986
TIME_CODES = 1000.0  # per second: times of frames are kept to the millisecond
SKELETON, ANIMATION, SKIN = (f"/{ROOT}/{name}" for name in ("skeleton", "animation", "skin"))
RIGID = 'elementSize = 1; interpolation = "constant"'
BIND = 'prepend apiSchemas = ["MaterialBindingAPI"{}]'


def write_usdz(
    path: str | os.PathLike,
    parts: Sequence[RigPart],
    names: Sequence[str],
    weights: np.ndarray,
    material: Material,
    motion: RigMotion | None = None,
) -> None:
    """Writes a rig in metres; y is up and z points out of the face, as in the input.

    Args:
      path: the .usdz file; its folder is created.
      parts: the meshes.
      names: [T] of the blend shapes; without any, the meshes are static.
      weights: [T] with which the file opens.
      material: of all meshes; lit, with a texture.
      motion: an animation of weights, head and eyes.
    """
    if material.base_colour is None or material.unlit:
        raise ValueError("the material of a .usdz must be lit and have a texture")
    images = {"textures/albedo.png": material.base_colour}
    if material.normals is not None:
        images["textures/normals.png"] = material.normals
    blocks = [_mesh(part, names) for part in parts] + [_material("textures/normals.png" in images)]
    if names:
        blocks = [_skeleton(parts), _animation(parts, names, weights, motion), *blocks]
    scene = "\n".join([_header(motion), _prim("SkelRoot" if names else "Xform", ROOT, blocks)])
    with atomic_path(path) as temporary:
        _write_package(temporary, {"head.usda": scene.encode(), **images})


def _write_package(path: Path, files: dict[str, bytes]) -> None:
    """Writes files, name -> contents, as a USDZ package."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, contents in files.items():
            start = archive.fp.tell() + LOCAL_HEADER + len(name) + 4  # type: ignore[union-attr]  # open until the end
            padding = -start % ALIGNMENT
            entry = zipfile.ZipInfo(name)  # dated 1980, so that equal heads make equal files
            entry.extra = struct.pack("<HH", PADDING_TAG, padding) + bytes(padding)
            archive.writestr(entry, contents)


def _header(motion: RigMotion | None) -> str:
    lines = [f'defaultPrim = "{ROOT}"', "metersPerUnit = 1", 'upAxis = "Y"', 'doc = "3d-face-gcns"']
    if motion is not None:
        first, last = _codes(motion.times[[0, -1]])
        lines += [f"startTimeCode = {first}", f"endTimeCode = {last}", f"timeCodesPerSecond = {TIME_CODES:g}"]
    return "#usda 1.0\n(\n" + "\n".join(lines) + "\n)\n"


def _prim(kind: str, name: str, contents: Sequence[str], metadata: str = "") -> str:
    return f'def {kind} "{name}" ({metadata})\n{{\n' + "\n".join(contents) + "\n}\n"


def _mesh(part: RigPart, names: Sequence[str]) -> str:
    """A part as a mesh and, if the rig has any, its blend shapes."""
    vertices = np.asarray(part.vertices, np.float32) * np.float32(METRES_PER_DECIMETRE)
    if not np.isfinite(vertices).all():
        raise ValueError("vertices must be finite, got NaN or infinity")
    targets = list(_blend_shapes(part, names)) if names else []
    corners = np.asarray(part.triangles).reshape(-1)
    lines = [
        f"float3[] extent = {_vectors(np.stack(_extent(vertices, part)))}",
        f"int[] faceVertexCounts = {_numbers(np.full(len(corners) // 3, 3))}",
        f"int[] faceVertexIndices = {_numbers(corners)}",
        f"point3f[] points = {_vectors(vertices)}",
        f'normal3f[] normals = {_vectors(unit_normals(part.normals))} (interpolation = "vertex")',
        f'texCoord2f[] primvars:st = {_vectors(part.uv)} (interpolation = "vertex")',
        'uniform token subdivisionScheme = "none"',
        "uniform bool doubleSided = 1",
        f"rel material:binding = <{SKIN}>",
    ]
    if names:
        lines += [
            f"rel skel:skeleton = <{SKELETON}>",
            f"uniform token[] skel:joints = {_tokens([_joint(part)])}",
            f"int[] primvars:skel:jointIndices = [0] ({RIGID})",
            f"float[] primvars:skel:jointWeights = [1] ({RIGID})",
        ]
    if targets:
        paths = ", ".join(f"</{ROOT}/{part.name}/{prim}>" for _, prim, _ in targets)
        lines += [
            f"uniform token[] skel:blendShapes = {_tokens([name for name, _, _ in targets])}",
            f"rel skel:blendShapeTargets = [{paths}]",
            *(text for _, _, text in targets),
        ]
    return _prim("Mesh", part.name, lines, BIND.format(', "SkelBindingAPI"' if names else ""))


def _extent(vertices: np.ndarray, part: RigPart) -> tuple[np.ndarray, np.ndarray]:
    """Corners [3] of the box around the vertices, in metres, of the rest and of each target at weight 1."""
    moved = vertices + np.asarray(part.moves, np.float32) * np.float32(METRES_PER_DECIMETRE)
    everything = np.concatenate([vertices[None], moved])
    return everything.min(axis=(0, 1)), everything.max(axis=(0, 1))


def _blend_shapes(part: RigPart, names: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Name, name of the prim, and text of each target that moves a part."""
    for number, move, turn in morph_targets(part):
        rows = np.flatnonzero(move.any(axis=1) | turn.any(axis=1))
        prim = _identifier(names[number], number)
        lines = [
            f"uniform vector3f[] offsets = {_vectors(move[rows])}",
            f"uniform vector3f[] normalOffsets = {_vectors(turn[rows])}",
            f"uniform int[] pointIndices = {_numbers(rows)}",
        ]
        yield names[number], prim, _prim("BlendShape", prim, lines)


def _skeleton(parts: Sequence[RigPart]) -> str:
    joints = _joints(parts)
    matrices = []
    for x, y, z in (pivot * METRES_PER_DECIMETRE for pivot in joints.values()):
        matrices.append(f"((1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), ({x:.7g}, {y:.7g}, {z:.7g}, 1))")
    placed = f"[{', '.join(matrices)}]"
    lines = [
        f"uniform token[] joints = {_tokens(list(joints))}",
        f"uniform matrix4d[] bindTransforms = {placed}",
        # Relative to the parent; the same, because the head's joint is at the origin.
        f"uniform matrix4d[] restTransforms = {placed}",
        f"rel skel:animationSource = <{ANIMATION}>",
    ]
    return _prim("Skeleton", "skeleton", lines, 'prepend apiSchemas = ["SkelBindingAPI"]')


def _animation(parts: Sequence[RigPart], names: Sequence[str], weights: np.ndarray, motion: RigMotion | None) -> str:
    """Weights of all blend shapes and poses of all joints: constant, or those of a motion."""
    joints, rest = _joints(parts), np.array([0.0, 0, 0, 1])
    turning = {part.name: rest if part.turn is None else part.turn for part in parts if part.pivot is not None}
    if motion is None:
        changing = [
            f"float[] blendShapeWeights = {_numbers(weights)}",
            f"quatf[] rotations = {_quaternions([rest, *turning.values()])}",
        ]
    else:
        codes = _codes(motion.times)
        shown = [f"{code}: {_numbers(row)}" for code, row in zip(codes, motion.weights, strict=True)]
        turned = []
        for frame, (code, head) in enumerate(zip(codes, motion.rotations, strict=True)):
            eyes = [motion.turns[name][frame] if name in motion.turns else turn for name, turn in turning.items()]
            turned.append(f"{code}: {_quaternions([head, *eyes])}")
        changing = [
            f"float[] blendShapeWeights.timeSamples = {{{', '.join(shown)}}}",
            f"quatf[] rotations.timeSamples = {{{', '.join(turned)}}}",
        ]
    lines = [
        f"uniform token[] blendShapes = {_tokens(names)}",
        f"uniform token[] joints = {_tokens(list(joints))}",
        f"float3[] translations = {_vectors(np.stack(list(joints.values())) * METRES_PER_DECIMETRE)}",
        f"half3[] scales = {_vectors(np.ones((len(joints), 3)))}",
        *changing,
    ]
    return _prim("SkelAnimation", "animation", lines)


def _material(has_normals: bool) -> str:
    """The skin as a preview surface, the material that every viewer of USD supports."""

    def texture(name: str, colours: str, output: str, extra: Sequence[str] = ()) -> str:
        lines = [
            'uniform token info:id = "UsdUVTexture"',
            f"asset inputs:file = @textures/{name}.png@",
            f"float2 inputs:st.connect = <{SKIN}/chart.outputs:result>",
            f'token inputs:sourceColorSpace = "{colours}"',
            'token inputs:wrapS = "clamp"',
            'token inputs:wrapT = "clamp"',
            *extra,
            f"float3 outputs:{output}",
        ]
        return _prim("Shader", name, lines)

    surface = [
        'uniform token info:id = "UsdPreviewSurface"',
        f"color3f inputs:diffuseColor.connect = <{SKIN}/albedo.outputs:rgb>",
        f"float inputs:roughness = {ROUGHNESS}",
        "float inputs:metallic = 0",
        "token outputs:surface",
    ]
    chart = [
        'uniform token info:id = "UsdPrimvarReader_float2"',
        'string inputs:varname = "st"',
        "float2 outputs:result",
    ]
    shaders = [_prim("Shader", "chart", chart), texture("albedo", "sRGB", "rgb")]
    if has_normals:
        surface.insert(2, f"normal3f inputs:normal.connect = <{SKIN}/normals.outputs:rgb>")
        signed = ["float4 inputs:scale = (2, 2, 2, 1)", "float4 inputs:bias = (-1, -1, -1, 0)"]
        shaders.append(texture("normals", "raw", "rgb", signed))
    shaders.append(_prim("Shader", "surface", surface))
    output = f"token outputs:surface.connect = <{SKIN}/surface.outputs:surface>"
    return _prim("Material", "skin", [output, *shaders])


def _joint(part: RigPart) -> str:
    return ROOT if part.pivot is None else f"{ROOT}/{part.name}"


def _joints(parts: Sequence[RigPart]) -> dict[str, np.ndarray]:
    """Joint -> [3] where it is, dm: the head at the origin, then the parts that turn about a pivot."""
    return {ROOT: np.zeros(3)} | {_joint(part): part.pivot for part in parts if part.pivot is not None}


def _identifier(name: str, number: int) -> str:
    """The name as an identifier of USD; where that changes it, the target's number keeps it apart from others."""
    return name if re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) else f"target_{number}"


def _codes(times: np.ndarray) -> list[str]:
    return [f"{round(TIME_CODES * float(time), 3):.10g}" for time in times]


def _tokens(names: Sequence[str]) -> str:
    quoted = (name.replace("\\", "\\\\").replace('"', '\\"') for name in names)
    return "[" + ", ".join(f'"{name}"' for name in quoted) + "]"


def _numbers(values: np.ndarray) -> str:
    return "[" + ", ".join(["%.7g"] * len(values)) % tuple(np.asarray(values).tolist()) + "]"


def _quaternions(values: Sequence[np.ndarray]) -> str:
    """Quaternions x, y, z, w in USD's order: the real part first."""
    return "[" + ", ".join(f"({w:.7g}, {x:.7g}, {y:.7g}, {z:.7g})" for x, y, z, w in values) + "]"


def _vectors(values: np.ndarray) -> str:
    """[M, W] as tuples, with the digits that float32 has."""
    row = f"({', '.join(['%.7g'] * values.shape[1])})"
    return "[" + ", ".join([row] * len(values)) % tuple(np.asarray(values, np.float32).ravel().tolist()) + "]"
