"""USDZ: OpenUSD's validators find no error, and it evaluates the weights to the displaced vertices."""

import dataclasses
import struct
import zipfile

import numpy as np
import pytest

from lib.mesh_export.gltf import Material
from lib.mesh_export.rig import RigMotion
from lib.mesh_export.usdz import write_usdz
from tests.support.gltf.sheets import NAMES, PNG, WEIGHTS, sheet

WHY = "needs usd-core of requirements-dev.txt"
TURN = np.array([0.0, 0.6, 0.0, 0.8])


@pytest.fixture(scope="module")
def parts():
    return [sheet("face"), sheet("eyeLeft", np.array([0.3, 0.2, 0.1]))]


@pytest.fixture(scope="module")
def path(parts, tmp_path_factory):
    path = tmp_path_factory.mktemp("usd") / "rig.usdz"
    write_usdz(path, parts, NAMES, WEIGHTS, Material(PNG, PNG))
    return path


def opened(path):
    return pytest.importorskip("pxr.Usd", reason=WHY).Stage.Open(str(path))


def errors(path) -> list[str]:
    """What the validators of usdchecker find."""
    validation = pytest.importorskip("pxr.UsdValidation", reason=WHY)
    registry = validation.ValidationRegistry()
    context = validation.ValidationContext(registry.GetOrLoadAllValidators())
    return [f"{error.GetName()}: {error.GetMessage()}" for error in context.Validate(opened(path))]


def points_in_scene(path, name: str, time: float) -> np.ndarray:
    """[M, 3] metres: vertices after blend shapes and joints."""
    Gf, Usd, UsdGeom, UsdSkel = (
        pytest.importorskip(f"pxr.{module}", reason=WHY) for module in ("Gf", "Usd", "UsdGeom", "UsdSkel")
    )
    stage = Usd.Stage.Open(opened(path).Flatten())  # a copy, for baking changes the stage
    assert UsdSkel.BakeSkinning(UsdSkel.Root(stage.GetDefaultPrim()), Gf.Interval(0, 1000))
    prim = stage.GetPrimAtPath(f"/head/{name}")
    points = np.array(prim.GetAttribute("points").Get(time))
    placed = np.array(UsdGeom.XformCache(time).GetLocalToWorldTransform(prim))  # for row vectors
    return points @ placed[:3, :3] + placed[3, :3]


@pytest.mark.parametrize("form", ["rig", "static", "animated"])
def test_the_validators_find_nothing(form, parts, path, tmp_path):
    if form == "static":
        path = tmp_path / "a.usdz"
        write_usdz(path, parts[:1], (), np.zeros(0), Material(PNG))
    if form == "animated":
        path = tmp_path / "a.usdz"
        motion = RigMotion(np.array([0, 0.5]), np.stack([WEIGHTS, 0 * WEIGHTS]), np.stack([[0, 0, 0, 1], TURN]))
        write_usdz(path, parts, NAMES, WEIGHTS, Material(PNG, PNG), motion)
        wanted = 0.1 * parts[0].vertices @ [[0.28, 0, -0.96], [0, 1, 0], [0.96, 0, 0.28]]
        np.testing.assert_allclose(points_in_scene(path, "face", 500.0), wanted, atol=1e-6)
    assert errors(path) == []


def test_an_eye_turns_about_its_pivot(parts, tmp_path):
    """By its own turn at rest, by the motion's in a motion."""
    face, eye = parts
    turned, still, path = dataclasses.replace(eye, turn=np.array(TURN)), 0 * WEIGHTS, tmp_path / "a.usdz"
    wanted = 0.1 * ((eye.vertices - eye.pivot) @ [[0.28, 0, -0.96], [0, 1, 0], [0.96, 0, 0.28]] + eye.pivot)
    write_usdz(path, [face, turned], NAMES, still, Material(PNG))
    np.testing.assert_allclose(points_in_scene(path, "eyeLeft", 0.0), wanted, atol=1e-6)
    head = np.tile([0.0, 0, 0, 1], (2, 1))
    motion = RigMotion(np.array([0, 0.5]), np.stack([still, still]), head, {"eyeLeft": np.stack([head[0], TURN])})
    write_usdz(path, parts, NAMES, still, Material(PNG), motion)
    np.testing.assert_allclose(points_in_scene(path, "eyeLeft", 0.0), 0.1 * eye.vertices, atol=1e-6)
    np.testing.assert_allclose(points_in_scene(path, "eyeLeft", 500.0), wanted, atol=1e-6)


@pytest.mark.parametrize("has_normals", [True, False])
def test_the_skin_reads_colours_as_srgb_and_normals_as_they_are(parts, tmp_path, has_normals):
    UsdShade = pytest.importorskip("pxr.UsdShade", reason=WHY)
    write_usdz(tmp_path / "a.usdz", parts, NAMES, WEIGHTS, Material(PNG, PNG if has_normals else None))
    stage = opened(tmp_path / "a.usdz")
    skin = UsdShade.MaterialBindingAPI(stage.GetPrimAtPath("/head/face")).ComputeBoundMaterial()[0]
    surface, *_ = skin.ComputeSurfaceSource("")
    fed, told = {}, ("sourceColorSpace", "scale", "bias")
    for entry in surface.GetInputs():
        if entry.HasConnectedSource():
            source, output, _ = entry.GetConnectedSource()
            texture = UsdShade.Shader(source.GetPrim())
            values = {name: texture.GetInput(name).Get() for name in told if texture.GetInput(name)}
            fed[entry.GetBaseName()] = output, texture.GetInput("file").Get().path, values
    assert fed.pop("diffuseColor") == ("rgb", "textures/albedo.png", {"sourceColorSpace": "sRGB"})
    signed = {"sourceColorSpace": "raw", "scale": (2, 2, 2, 1), "bias": (-1, -1, -1, 0)}
    assert fed == ({"normal": ("rgb", "textures/normals.png", signed)} if has_normals else {})


def test_files_are_stored_and_aligned(path):
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
    assert [entry.filename for entry in entries] == ["head.usda", "textures/albedo.png", "textures/normals.png"]
    data = path.read_bytes()
    for entry in entries:
        assert entry.compress_type == zipfile.ZIP_STORED
        lengths = data[entry.header_offset + 26 : entry.header_offset + 30]  # of name and extra field
        assert (entry.header_offset + 30 + sum(struct.unpack("<HH", lengths))) % 64 == 0
    assert data.count(PNG) == 2


def test_it_opens_with_the_weights_upright_and_in_metres(parts, path):
    UsdGeom = pytest.importorskip("pxr.UsdGeom", reason=WHY)
    stage = opened(path)
    assert UsdGeom.GetStageMetersPerUnit(stage) == 1
    assert UsdGeom.GetStageUpAxis(stage) == "Y"
    for part in parts:
        wanted = part.vertices + np.tensordot(WEIGHTS[:2], part.moves[:2], 1)
        np.testing.assert_allclose(points_in_scene(path, part.name, 0.0), 0.1 * wanted, atol=1e-6)
    shapes = stage.GetPrimAtPath("/head/face").GetAttribute("skel:blendShapes").Get()
    assert list(shapes) == ["jawOpen", "browInnerUp"]


def test_names_that_are_no_identifiers_keep_their_name(parts, tmp_path):
    names = ('eye "closed"', "9 to 5", "")
    write_usdz(tmp_path / "a.usdz", parts[:1], names, WEIGHTS, Material(PNG))
    stage = opened(tmp_path / "a.usdz")
    shapes = stage.GetPrimAtPath("/head/face").GetAttribute("skel:blendShapes").Get()
    assert list(shapes) == list(names[:2])


def test_what_a_preview_surface_cannot_show_is_refused(parts, tmp_path):
    for material in (Material(), Material(PNG, unlit=True)):
        with pytest.raises(ValueError, match="must be lit and have a texture"):
            write_usdz(tmp_path / "a.usdz", parts, NAMES, WEIGHTS, material)
