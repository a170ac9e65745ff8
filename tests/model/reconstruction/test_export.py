"""Exports of a synthetic photo with fine print on the cheek: they re-open, and drawn again they give the photo back."""

import dataclasses
import json
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import tensorflow as tf
import trimesh
from PIL import Image

from lib.errors import UserError
from lib.face_image.region import PhotoRegion
from lib.files.numpy_files import write_npz
from lib.geometry.camera import Camera
from lib.images.sampling import sample_image
from lib.mesh_export.stored_chart import load_chart
from lib.mesh_renderer.fragments import interpolate, rasterize
from model.face_gcn import FaceGCN
from model.fitting.masks import readable_mask
from model.morphable_model import MorphableModel
from model.projection import SampledColours, projected_albedo
from model.reconstruction.description import describe
from model.reconstruction.export import Exporter
from model.reconstruction.photo_result import PhotoResult
from tests.support.faces import built_in_face
from tests.support.gltf.rigs import Rig
from tests.support.gltf.validator import faults
from tests.support.helpers import read_mesh

CROP, PHOTO = 112, 1024
CAMERA, PHOTO_CAMERA = Camera((CROP, CROP)), Camera((PHOTO, PHOTO))
ALL = ("obj", "glb", "ply", "neutral", "rig", "usdz")
# Lines of fine print: their distance, and the part of the photo they cover (rows, columns).
PERIOD, CHEEK = 8, (slice(570, 650), slice(350, 430))


def lines() -> np.ndarray:
    """[PHOTO] -1 and 1 in turn, along the columns."""
    return np.where(np.arange(PHOTO) % PERIOD < PERIOD // 2, -1.0, 1.0)


@pytest.fixture(scope="module")
def morphable():
    return MorphableModel(built_in_face(2500))


@pytest.fixture(scope="module")
def result(morphable):
    """A face turned a little to the side, photographed with 1,024 px, and its reconstruction at 112."""
    layout = morphable.layout
    coefficients = np.zeros([1, layout.size], np.float32)
    coefficients[0, layout.slices["angles"]] = [0.05, 0.25, 0.02]
    coefficients[0, layout.slices["light"]] = np.random.default_rng(0).normal(0, 0.05, 27)
    coefficients[0, layout.slices["expression"]] = 0.5
    coefficients[0, layout.slices["translation"]] = [0.05, 0.02, 0.1]
    face = morphable.posed(tf.constant(coefficients), PHOTO_CAMERA)
    fragments = rasterize(PHOTO_CAMERA.clip_coordinates(face.vertices), morphable.triangles, (PHOTO, PHOTO))
    colour = tf.clip_by_value(face.albedo, 0.05, 0.9) * face.shading
    picture = interpolate(colour, morphable.triangles, fragments)[0].numpy()
    picture[CHEEK] *= 1 + 0.3 * lines()[CHEEK[1], None]
    mask = fragments.mask[0].numpy()
    # Behind the face: a colour that must appear nowhere on it.
    photo = np.uint8(np.rint(np.clip(picture * mask + [0, 1, 0] * (1 - mask), 0, 1) * 255))

    rgb = cv2.resize(photo, (CROP, CROP), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    alpha = cv2.resize(mask[..., 0], (CROP, CROP), interpolation=cv2.INTER_AREA)

    def texture(embedding, coarse, sampled, visibility, shading, training=False):
        return projected_albedo(coarse, SampledColours(sampled, visibility), shading)

    face_gcn = FaceGCN(morphable, CAMERA, texture)
    readable = cv2.erode((alpha > 0.99).astype(np.float32), np.ones((3, 3)))
    crop = np.concatenate([rgb, readable[..., None]], axis=-1)[None]
    scale = np.array([[CROP / PHOTO, 0, 0], [0, CROP / PHOTO, 0.0]])
    alignment = SimpleNamespace(photo_to_crop=scale, to_photo=lambda points: points * (PHOTO / CROP))
    aligned = SimpleNamespace(
        name="print.png",
        photo_size=(PHOTO, PHOTO),
        face=SimpleNamespace(points=np.zeros((5, 2)), given=""),
        turns=0,
        remark="",
        alignment=alignment,
        alpha=None,
        rgb=rgb,
    )
    reconstruction = face_gcn(tf.constant(crop), tf.constant(coefficients), tf.zeros([1, 4]))
    return SimpleNamespace(
        photo=aligned,
        region=PhotoRegion(photo, np.array([[PHOTO / CROP, 0, 0], [0, PHOTO / CROP, 0.0]])),
        alpha=alpha,
        readable=readable_mask(alpha, given=False),
        **{"scalp": None, "lift": np.zeros(3, np.float32), "gaze": None},
        coefficients=coefficients[0],
        reconstruction=reconstruction,
        fragments=fragments,
        mask=mask,
    )


def baked(export: Exporter, result: SimpleNamespace) -> SimpleNamespace:
    """The result with the textures of an exporter, as `PhotoResult` has them."""
    return SimpleNamespace(**vars(result), textures=export.baker(result))


@pytest.fixture(scope="module")
def exported(tmp_path_factory, morphable, result):
    folder = tmp_path_factory.mktemp("export")
    export = Exporter(morphable, CAMERA, ALL, 1024, True, folder / "cache")
    export(folder, baked(export, result))
    return SimpleNamespace(folder=folder, exporter=export)


def drawn(texture: np.ndarray, uv: np.ndarray, vertex: np.ndarray, triangles: np.ndarray, result) -> np.ndarray:
    """[PHOTO, PHOTO, 3] the posed face with a texture uint8 [T, T, 3], every pixel looked up through its uv."""
    vertices = tf.gather(result.reconstruction.coarse.face.vertices, vertex, axis=1)
    fragments = rasterize(PHOTO_CAMERA.clip_coordinates(vertices), triangles, (PHOTO, PHOTO))
    at = interpolate(tf.constant(uv[None], tf.float32), triangles, fragments).numpy().reshape(1, -1, 2)
    points = np.stack([at[..., 0], 1 - at[..., 1]], axis=-1) * texture.shape[0]
    return sample_image(tf.constant(texture[None], tf.float32) / 255, points).numpy().reshape(PHOTO, PHOTO, 3)


def psnr(picture: np.ndarray, result) -> float:
    """Over the mask, against the photo."""
    photo = result.region.pixels / 255
    inside = cv2.resize(result.alpha, (PHOTO, PHOTO)) * result.mask[..., 0] > 0.5
    return -10 * np.log10(np.mean((picture - photo)[inside] ** 2))


def contrast(picture: np.ndarray) -> float:
    """Strength of the lines on the cheek, relative to its brightness."""
    cheek = picture[CHEEK].mean(axis=-1)
    return float((cheek * lines()[CHEEK[1]]).mean() / cheek.mean())


def textured(path):
    """Vertices, triangles, uv and texture of a file, as trimesh reads them."""
    mesh = trimesh.load(path, process=False, maintain_order=True, force="mesh")
    material = mesh.visual.material
    image = material.baseColorTexture if path.suffix == ".glb" else material.image
    return mesh.vertices, mesh.faces, mesh.visual.uv, np.asarray(image.convert("RGB"))


@pytest.mark.parametrize(("name", "unit"), [("mesh.obj", 1), ("mesh.glb", 0.1), ("mesh_lit.glb", 0.1)])
def test_textured_meshes_open_again(exported, morphable, result, name, unit):
    vertices, triangles, uv, texture = textured(exported.folder / name)
    np.testing.assert_allclose(vertices, result.reconstruction.coarse.face.shape[0] * unit, atol=1e-6)
    np.testing.assert_array_equal(triangles, morphable.face_model.triangles)
    np.testing.assert_allclose(uv, morphable.face_model.uv, atol=1e-6)
    with Image.open(exported.folder / ("mesh_lit.png" if "lit" in name else "mesh_albedo.png")) as image:
        assert (image.size, image.mode) == ((1024, 1024), "RGB")
        np.testing.assert_array_equal(texture, np.asarray(image))


def test_vertex_colours_open_again(exported, morphable, result):
    albedo = np.clip(result.reconstruction.albedo[0].numpy(), 0, 1)
    vertices, triangles, colours = read_mesh(exported.folder / "mesh.ply")
    np.testing.assert_allclose(vertices, result.reconstruction.coarse.face.shape[0], atol=1e-6)
    np.testing.assert_array_equal(triangles, morphable.face_model.triangles)
    np.testing.assert_allclose(colours, albedo, atol=1 / 255)
    mesh = trimesh.load(exported.folder / "mesh_vertex_colors.glb", process=False, force="mesh")
    np.testing.assert_array_equal(mesh.faces, triangles)
    np.testing.assert_allclose(mesh.vertices * 10, vertices, atol=1e-5)


def test_the_neutral_mesh_is_the_identity_without_expression(exported, morphable, result):
    vertices, triangles, colours = read_mesh(exported.folder / "neutral.obj")
    model, identity = morphable.face_model, result.reconstruction.coarse.face.coefficients.identity[0].numpy()
    expected = model.mean_shape + np.einsum("k,knc->nc", identity, model.identity_basis)
    np.testing.assert_allclose(vertices, expected, atol=1e-5)
    assert np.abs(vertices - result.reconstruction.coarse.face.shape[0]).max() > 0.02
    np.testing.assert_array_equal(triangles, model.triangles)
    assert colours is None


def test_the_rig_opens_with_the_photos_expression_on_the_neutral_person(exported, morphable, result):
    rig = Rig.read(exported.folder / "rig.glb")
    np.testing.assert_allclose(10 * rig.vertices("face"), result.reconstruction.coarse.face.shape[0], atol=3e-4)
    neutral = read_mesh(exported.folder / "neutral.obj")[0]
    np.testing.assert_allclose(10 * rig.vertices("face", {}), neutral, atol=1e-5)
    assert {"jawOpen", "eyeBlinkLeft", "mouthSmileRight"} <= set(rig.names("face"))
    mesh = trimesh.load(exported.folder / "rig.glb", process=False, force="mesh")
    with Image.open(exported.folder / "mesh_albedo.png") as image:
        texture, baked = (np.asarray(found, int) for found in (mesh.visual.material.baseColorTexture, image))
    raster, regions = exported.exporter.raster, morphable.face_model.regions
    inside = raster.interpolate(np.maximum(regions["mouth_inside"], regions["teeth"])[:, None])[..., 0]
    own = 255 * raster.interpolate(result.reconstruction.coarse.face.albedo[0].numpy())
    skin = raster.inside & (inside == 0)
    assert (texture == baked)[skin].all(axis=1).mean() > 0.9  # but for folds
    assert not (texture == baked)[skin].all()
    np.testing.assert_allclose(texture[inside == 1], np.clip(own, 0, 255)[inside == 1], atol=1)
    assert (inside == 1).any()


def test_usdz_shows_the_face_of_the_glb_and_its_rig(exported, result):
    Usd = pytest.importorskip("pxr.Usd", reason="needs usd-core of requirements-dev.txt")
    shape = result.reconstruction.coarse.face.shape[0].numpy()[exported.exporter.chart.vertex]
    static = Usd.Stage.Open(str(exported.folder / "mesh.usdz"))
    face = static.GetPrimAtPath("/head/face")
    np.testing.assert_allclose(10 * np.array(face.GetAttribute("points").Get()), shape, atol=1e-5)
    assert not face.GetAttribute("skel:blendShapes").HasValue()
    rig = Usd.Stage.Open(str(exported.folder / "rig.usdz"))
    names = rig.GetPrimAtPath("/head/face").GetAttribute("skel:blendShapes").Get()
    assert list(names) == Rig.read(exported.folder / "rig.glb").names("face")


def test_a_usdz_rig_of_an_earlier_run_is_removed(exported, tmp_path):
    for name in ("rig.glb", "mesh.usdz", "rig.usdz", "mine.usdz"):
        (tmp_path / name).write_bytes(b"")
    exported.exporter.remove_earlier(tmp_path, ("usdz",))
    assert {path.name for path in tmp_path.iterdir()} == {"mesh.usdz", "mine.usdz"}


def test_rigs_of_a_model_without_named_expressions_are_refused_at_once(morphable, tmp_path):
    nameless = MorphableModel(dataclasses.replace(morphable.face_model, expression_names=()))
    with pytest.raises(
        UserError, match=r"a rig needs a face model with expressions that ARKit names \(built-in, human"
    ):
        Exporter(nameless, CAMERA, ("rig",), 256, False, tmp_path)


def test_the_lit_mesh_drawn_again_is_the_photo(exported, result):
    _, triangles, uv, texture = textured(exported.folder / "mesh_lit.glb")
    again = drawn(texture, uv, np.arange(len(uv)), triangles, result)
    assert psnr(again, result) > 32
    # The green behind the face is nowhere in the texture.
    assert (texture[..., 1] <= texture[..., 0].astype(int) + 25).all()


def test_the_texture_resolves_more_than_the_vertices(exported, result, morphable):
    _, triangles, uv, texture = textured(exported.folder / "mesh_lit.glb")
    printed = contrast(result.region.pixels / 255)
    assert printed > 0.25
    assert contrast(drawn(texture, uv, np.arange(len(uv)), triangles, result)) > 0.8 * printed
    vertices = interpolate(result.reconstruction.colour, morphable.triangles, result.fragments)[0].numpy()
    assert abs(contrast(vertices)) < 0.1 * printed
    _, _, _, albedo = textured(exported.folder / "mesh.glb")
    assert contrast(drawn(albedo, uv, np.arange(len(uv)), triangles, result)) > 0.7 * printed


def test_the_albedo_texture_has_no_light_in_it(exported, result, morphable):
    """Times the shading it is the photo again, where the photo is seen."""
    baked = exported.exporter.baker(result)
    raster = exported.exporter.raster
    shading = raster.interpolate(result.reconstruction.coarse.face.shading[0].numpy())
    seen = baked.weight > 0.99
    assert seen.mean() > 0.3
    difference = np.abs(baked.albedo / 255 * shading - baked.lit / 255)[seen]
    assert np.percentile(difference, 95) < 0.02


def test_the_same_photo_gives_the_same_bytes(exported, tmp_path, result):
    exported.exporter(tmp_path, baked(exported.exporter, result))
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == sorted(path.name for path in exported.folder.iterdir())
    for name in names:
        assert (tmp_path / name).read_bytes() == (exported.folder / name).read_bytes(), name


def test_the_validator_finds_nothing(exported):
    assert faults(*sorted(exported.folder.glob("*.glb"))) == [[]] * 4


@pytest.mark.parametrize(
    ("formats", "files"),
    [
        ((), set()),
        (("ply",), {"mesh.ply"}),
        (("neutral",), {"neutral.obj"}),
        (("obj",), {"mesh.obj", "mesh.mtl", "mesh_albedo.png", "mesh_lit.png"}),
    ],
)
def test_only_what_is_asked_for_is_there_afterwards(tmp_path, morphable, result, formats, files):
    for name in ("mesh.glb", "mesh.obj", "mesh_normals.png", "mesh.ply", "neutral.obj", "own.obj"):
        (tmp_path / name).write_text("earlier")
    export = Exporter(morphable, CAMERA, formats, 256, False, tmp_path / "cache")
    export(tmp_path, baked(export, result))
    export.remove_earlier(tmp_path, formats)
    assert {path.name for path in tmp_path.iterdir()} == {*files, "own.obj"}
    if "obj" in formats:
        assert "norm " not in (tmp_path / "mesh.mtl").read_text()


def test_a_model_without_a_chart_is_unwrapped_once(tmp_path, result, capsys):
    bare = built_in_face(2500)
    bare = MorphableModel(dataclasses.replace(bare, uv=np.zeros_like(bare.uv)))
    export = Exporter(bare, CAMERA, ("obj", "glb"), 1024, True, tmp_path)
    export(tmp_path / "out", baked(export, result))
    (kept,) = tmp_path.glob("uv_chart_*.npz")
    written = kept.stat().st_mtime_ns
    chart = load_chart(bare.face_model, tmp_path)
    assert kept.stat().st_mtime_ns == written
    vertices, triangles, uv, texture = textured(tmp_path / "out" / "mesh_lit.glb")
    np.testing.assert_array_equal(triangles, chart.triangles)
    np.testing.assert_allclose(
        vertices * 10, result.reconstruction.coarse.face.shape[0].numpy()[chart.vertex], atol=1e-5
    )
    assert psnr(drawn(texture, uv, chart.vertex, triangles, result), result) > 30
    # OBJ has indices for texture coordinates: its vertices stay those of the model.
    lines_of_obj = (tmp_path / "out" / "mesh.obj").read_text().splitlines()
    assert sum(line.startswith("v ") for line in lines_of_obj) == bare.vertex_count
    for damage in (b"no chart", kept.read_bytes()[:-200]):
        kept.write_bytes(damage)
        np.testing.assert_array_equal(load_chart(bare.face_model, tmp_path).triangles, chart.triangles)
        assert f"{kept}: damaged, made again" in capsys.readouterr().err
    write_npz(kept, {"vertex": chart.vertex[::-1], "uv": chart.uv, "triangles": chart.triangles})
    np.testing.assert_array_equal(load_chart(bare.face_model, tmp_path).vertex, chart.vertex)
    assert "the chart of another mesh" in capsys.readouterr().err


def test_the_numbers_alone_draw_the_face_over_the_photo(tmp_path, morphable, result):
    """As someone would who has coefficients.json and mesh.ply, with NumPy and the texts in the file."""
    given = vars(result) | {"metrics": {}, "fingerprint": "f"}
    given["export"] = Exporter(morphable, CAMERA, (), 256, False, tmp_path)
    described = PhotoResult(**{name: given[name] for name in PhotoResult.__dataclass_fields__})
    content = json.loads(json.dumps(describe(described)))
    assert content["face_model"]["fingerprint"] == "f"
    face = result.reconstruction.coarse.face
    world = face.shape[0].numpy() @ np.array(content["pose"]["rotation"]).T + content["pose"]["translation"]
    camera = content["camera"]
    scaled = camera["focal_length"] / (camera["distance"] - world[:, 2:])
    crop = camera["principal_point"] + scaled * world[:, :2] * [1, -1]
    to_photo = np.array(content["crop_to_photo"])
    photo = crop @ to_photo[:, :2].T + to_photo[:, 2]
    np.testing.assert_allclose(photo, PHOTO_CAMERA.project(face.vertices)[0], atol=0.01)
    names = morphable.face_model.expression_names
    smile = result.coefficients[morphable.layout.slices["expression"]][names.index("smile_left")]
    assert content["arkit"]["mouthSmileLeft"] == pytest.approx(smile / 2.5, abs=1e-4)

    light = content["light"]
    x, y, z = face.normals[0].numpy().T
    basis = np.stack([eval(term, {"x": x, "y": y, "z": z}) * np.ones(len(x)) for term in light["basis"]], axis=-1)
    coefficients = np.array(light["sh"])
    coefficients[:, 0] += light["ambient"]
    np.testing.assert_allclose((basis * light["factors"]) @ coefficients.T, face.shading[0], atol=1e-5)


@pytest.mark.parametrize(("unit", "factor"), [("mm", 100), ("dm", 1), ("m", 0.1)])
def test_obj_and_ply_are_in_the_unit_that_is_asked_for(tmp_path, exported, morphable, result, unit, factor):
    export = Exporter(morphable, CAMERA, ALL[:-2], 256, False, exported.folder / "cache", unit)
    export(tmp_path, baked(export, result))
    shape = result.reconstruction.coarse.face.shape[0].numpy()
    for name in ("mesh.obj", "mesh.ply"):
        np.testing.assert_allclose(read_mesh(tmp_path / name)[0], factor * shape, rtol=1e-5, atol=1e-5 * factor)
    neutral = read_mesh(tmp_path / "neutral.obj")[0]
    np.testing.assert_allclose(neutral, factor * read_mesh(exported.folder / "neutral.obj")[0], atol=1e-5 * factor)
    glb = trimesh.load(tmp_path / "mesh_vertex_colors.glb", force="mesh", process=False)
    np.testing.assert_allclose(glb.vertices, 0.1 * shape, atol=1e-5)
