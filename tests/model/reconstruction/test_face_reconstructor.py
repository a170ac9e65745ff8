"""The Python interface, with the de-lit projection in the texture network's place."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from configs import schema
from configs.network_sections import LIGHTS
from lib.errors import DiskFull, UserError
from lib.face_image.alignment import FIVE_FROM_68
from lib.images.holes import holes
from model.fitting.weights import RegressedErrors
from model.networks.encoding import EncodedFaces
from model.pipeline import Pipeline
from model.reconstruction.description import NOW_LANDMARKS, landmark_tables
from model.reconstruction.export import Exporter
from model.reconstruction.face_reconstructor import FaceReconstructor
from model.whole_head.extension import WholeHead
from tests.support.damage import files_of_at_most
from tests.support.faces import built_in_face
from tests.support.gltf.rigs import Rig
from tests.support.helpers import read_mesh
from tests.support.photo_corpus import portrait_pixels
from tests.support.reconstruction_parts import SIZE, detected_once, untrained_parts

PORTRAIT = portrait_pixels()


@pytest.fixture(scope="module")
def reconstructor():
    overrides = {"fit.steps": 10, "data.image_size": SIZE, "export.texture_size": 256, "export.formats": ["ply"]}
    with detected_once():
        yield FaceReconstructor(schema.load(overrides=overrides), untrained_parts())


@pytest.fixture(scope="module")
def face(reconstructor):
    return reconstructor(PORTRAIT)


def test_a_face_as_arrays(reconstructor, face):
    model = reconstructor.pipeline.face_model
    count = model.vertex_count
    assert (face.vertices.shape, face.albedo.shape) == ((count, 3), (count, 3))
    np.testing.assert_array_equal(face.triangles, model.triangles)
    assert face.coefficients.shape == (model.layout.size,)
    assert face.metrics["psnr_fine"] > face.metrics["psnr_coarse"]
    assert repr(face).startswith("PhotoResult('photo', ")
    assert len(repr(face)) < 500
    np.testing.assert_array_equal(face.landmarks_3d, face.vertices[model.landmarks])
    assert face.light.shape == (3, 9)
    # The landmarks lie on the photo's face, near what the detector found.
    distance = np.linalg.norm(FIVE_FROM_68 @ face.landmarks - face.photo.face.points, axis=1)
    assert distance.max() < 0.1 * np.linalg.norm(face.photo.face.points[1] - face.photo.face.points[0])


def test_the_pose_puts_the_vertices_before_the_camera(reconstructor, face):
    world = face.pose(face.vertices)
    np.testing.assert_allclose(world, face.reconstruction.coarse.face.vertices[0], atol=1e-5)
    in_crop = reconstructor.pipeline.camera.project(tf.constant(face.pose(face.landmarks_3d)[None]))[0].numpy()
    np.testing.assert_allclose(face.photo.alignment.to_photo(in_crop), face.landmarks, atol=0.01)
    np.testing.assert_allclose(face.pose.rotation @ face.pose.rotation.T, np.eye(3), atol=1e-5)


def test_paths_arrays_and_lists_give_the_same_face(tmp_path, reconstructor, face):
    Image.fromarray(PORTRAIT).save(tmp_path / "portrait.png")
    faces = reconstructor([str(tmp_path / "portrait.png"), PORTRAIT, PORTRAIT.astype(np.float32) / 255])
    assert [found.photo.name for found in faces] == ["portrait.png", "photo 1", "photo 2"]
    for found in faces:
        np.testing.assert_allclose(found.coefficients, face.coefficients, atol=1e-4)
    assert reconstructor([]) == []


def test_alpha_of_an_array_is_the_mask(reconstructor):
    alpha = np.zeros(PORTRAIT.shape[:2] + (1,), np.uint8)
    alpha[85:185, 105:190] = 255
    assert reconstructor(np.dstack([PORTRAIT, alpha])).photo.alpha is not None


def test_the_mask_of_an_unfitted_face_is_that_of_a_fitted_one(face):
    overrides = {"fit.steps": 0, "data.image_size": SIZE, "export.formats": ["ply"]}
    unfitted = FaceReconstructor(schema.load(overrides=overrides), untrained_parts())(PORTRAIT)
    np.testing.assert_array_equal(unfitted.alpha, face.alpha)
    assert unfitted.gaze is None


@pytest.mark.parametrize("part", ["identity", "expression", "albedo"])
def test_a_face_model_may_leave_a_part_of_the_face_alone(part):
    whole = built_in_face(2500)
    fewer = {f"{part}_basis": np.zeros((0, whole.vertex_count, 3), np.float32)}
    if part == "expression":
        fewer |= {"expression_names": (), "expression_prior": None}
    parts = untrained_parts(dataclasses.replace(whole, **fewer))
    overrides = {"fit.steps": 2, "data.image_size": SIZE, "export.texture_size": 256}
    with detected_once():
        found = FaceReconstructor(schema.load(overrides=overrides), parts)(PORTRAIT)
    assert getattr(parts.face_model.layout.split(found.coefficients), part).size == 0
    assert found.metrics["five_point_residual_px"] < 6


@pytest.mark.parametrize("light", LIGHTS)
def test_a_face_that_is_not_fitted_has_the_configurations_light(light):
    overrides = {"fit.steps": 0, "fit.landmarks": False, "data.image_size": SIZE, "regressor.light": light}
    config, parts = schema.load(overrides=overrides), untrained_parts()
    pipeline = Pipeline(config, parts.face_model, parts.camera, None, None, None, parts.face_gcn)
    parts.with_light = pipeline.with_light
    with detected_once():
        reconstructor = FaceReconstructor(config, parts)
        found = reconstructor.reader.find_in_array(PORTRAIT, "photo", 1)
        photo, _ = reconstructor.reader.with_region("photo", found, found.faces[0])
        draft = reconstructor.initial_estimate(photo)
    solved = parts.face_model.layout.split(draft.coefficients).light
    assert (np.abs(solved).max() > 0.05) == (light == "solved")


@pytest.mark.parametrize("trusted", [True, False])
def test_the_fit_stays_near_a_trusted_regressor(trusted):
    """The photo's colours and points pull at the face; what the regressor says of it holds it as far as it is known."""
    parts = untrained_parts()
    layout = parts.face_model.layout
    regressed = np.zeros([1, layout.size], np.float32)
    regressed[:, layout.slices["identity"]] = 0.8
    parts.regress = lambda crops: EncodedFaces(tf.constant(regressed), tf.zeros([1, 2]), tf.ones([1, 2]))
    errors = (np.full(count, 0.05, np.float32) for count in (layout.identity, layout.albedo))
    parts.regressed_errors = RegressedErrors(*errors) if trusted else None
    overrides = {"fit.steps": 20, "fit.landmarks": False, "data.image_size": SIZE, "export.formats": ["ply"]}
    with detected_once():
        reconstructor = FaceReconstructor(schema.load(overrides=overrides), parts)
        found = reconstructor.reader.find_in_array(PORTRAIT, "photo", 1)
        draft = reconstructor.initial_estimate(reconstructor.reader.with_region("photo", found, found.faces[0])[0])
    (fitted,) = reconstructor.fit([draft], reconstructor.fitter)
    apart = np.abs(fitted.coefficients - draft.regressed)[layout.slices["identity"]].max()
    assert apart < 0.1 if trusted else apart > 0.3


def test_what_shows_through_a_hole_is_not_read():
    """The fitted lips end a pixel or two beside the photo's: the dark corner of an open mouth would stain them."""
    whole = built_in_face(2500)
    lips = np.maximum(whole.regions["lips"], whole.regions["mouth_inside"]) > 0.5
    open_mouth = dataclasses.replace(whole, triangles=whole.triangles[~lips[whole.triangles].any(axis=1)])
    overrides = {"fit.steps": 0, "fit.landmarks": False, "data.image_size": SIZE}
    with detected_once():
        face = FaceReconstructor(schema.load(overrides=overrides), untrained_parts(open_mouth))(PORTRAIT)
    hole = holes(face.reconstruction.mask[0].numpy())
    assert hole.sum() > 20
    assert (face.readable[hole] == 0).all()
    assert face.readable.mean() > 0.2


@pytest.mark.parametrize("cut_out", [False, True])
def test_a_head_is_painted_from_around_a_given_mask(monkeypatch, reconstructor, cut_out):
    regions = []

    def unextended(result, coefficients, readable, region, gaze):
        regions.append(region)
        return WholeHead(result, None, np.zeros(3, np.float32))

    monkeypatch.setattr(reconstructor, "export", reconstructor.export)  # of the face, which stays as it is
    monkeypatch.setattr(reconstructor, "extension", unextended)
    alpha = np.zeros(PORTRAIT.shape[:2] + (1,), np.uint8)
    alpha[85:185, 105:190] = 255
    reconstructor(np.dstack([PORTRAIT * (alpha > 0) if cut_out else PORTRAIT, alpha]))
    assert [region is None for region in regions] == [cut_out]


def test_files_are_those_of_test_mode(tmp_path, face):
    face.save(tmp_path / "all", formats=("glb", "obj"))
    assert (tmp_path / "all/mesh.obj").is_file()
    assert not (tmp_path / "all/mesh.ply").exists()
    with Image.open(tmp_path / "all/fine.png") as image:
        np.testing.assert_array_equal(np.asarray(image), face.rendering)
    content = json.loads((tmp_path / "all/coefficients.json").read_text())
    np.testing.assert_allclose(content["pose"]["rotation"], face.pose.rotation)
    assert {"crop.png", "overlay.png", "metrics.json"} <= {path.name for path in (tmp_path / "all").iterdir()}
    # The configuration's own formats, and no file of another one is left.
    face.save(tmp_path / "all")
    vertices, _, colours = read_mesh(tmp_path / "all/mesh.ply")
    np.testing.assert_allclose(vertices, face.vertices, atol=1e-4)
    np.testing.assert_allclose(colours, np.clip(face.albedo, 0, 1), atol=1 / 255)
    assert not (tmp_path / "all/mesh.obj").exists()
    with pytest.raises(UserError, match="formats must be of obj, glb, ply, neutral, rig, usdz, got fbx"):
        face.save(tmp_path / "none", formats=("fbx",))


def test_meshes_are_lit_with_fine_relief_or_as_in_the_photo(tmp_path, reconstructor, face):
    face.save(tmp_path, formats=("glb", "rig", "obj"))
    for name in ("mesh.glb", "rig.glb"):
        file = Rig.read(tmp_path / name)
        skin = file.content["meshes"][0]["primitives"][0]
        material = file.content["materials"][skin["material"]]
        assert "TANGENT" in skin["attributes"]
        assert "KHR_materials_unlit" not in material.get("extensions", {})
        texture = file.content["textures"][material["normalTexture"]["index"]]
        image = file.content["images"][texture["source"]]
        assert file.image(image) == (tmp_path / "mesh_normals.png").read_bytes()
    file = Rig.read(tmp_path / "mesh_lit.glb")
    (material,) = file.content["materials"]
    assert "KHR_materials_unlit" in material["extensions"]
    assert "normalTexture" not in material
    # The same as OBJ: the albedo is the colour.
    written = dict(line.split(" ", 1) for line in (tmp_path / "mesh.mtl").read_text().splitlines() if line[0] != "#")
    assert (written["map_Kd"], written["norm"]) == ("mesh_albedo.png", "mesh_normals.png")
    rows = [line.split()[1:] for line in (tmp_path / "mesh.obj").read_text().splitlines() if line.startswith("vn ")]
    normals = reconstructor.export.morphable.normals(face.reconstruction.coarse.face.shape)[0]
    np.testing.assert_allclose(np.array(rows, float), normals, atol=1e-5)


def test_a_result_replaces_an_earlier_one_and_nobody_elses_files(tmp_path, face):
    (tmp_path / "mesh.ply").write_text("mine")
    with pytest.raises(UserError, match=r"mesh\.ply: must be an earlier result's file to be replaced, got another one"):
        face.save(tmp_path, formats=("neutral",))
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("mesh.ply", "mine")]
    (tmp_path / "mesh.ply").unlink()
    face.save(tmp_path, formats=("ply",))
    (tmp_path / "own.obj").touch()
    face.save(tmp_path, formats=("neutral",))
    assert {path.suffix for path in tmp_path.iterdir()} == {".obj", ".png", ".txt", ".json"}
    assert {path.name for path in tmp_path.glob("*.obj")} == {"neutral.obj", "own.obj"}


def test_a_rig_that_cannot_be_costs_nothing_of_an_earlier_result(tmp_path, face):
    nameless = dataclasses.replace(face.export.morphable.face_model, expression_names=())
    options = {"fit.steps": 0, "fit.landmarks": False, "data.image_size": SIZE, "export.texture_size": 256}
    with detected_once():
        reconstructor = FaceReconstructor(schema.load(overrides=options), untrained_parts(nameless))
    other = reconstructor(PORTRAIT)
    face.save(tmp_path / "out", formats=("neutral",))
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    for folder in ("out", "new"):
        with pytest.raises(UserError, match="a rig needs a face model with expressions that ARKit names"):
            other.save(tmp_path / folder, formats="rig")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    assert not (tmp_path / "new").exists()


def test_a_full_disk_costs_nothing_of_an_earlier_result(tmp_path, face):
    face.save(tmp_path, formats=("neutral",))
    with files_of_at_most(2**16), pytest.raises(DiskFull, match="no earlier file is damaged"):
        face.save(tmp_path, formats=("ply",))
    assert (tmp_path / "neutral.obj").exists()


def test_new_views(reconstructor, face):
    front = reconstructor.render(face)
    assert (front.shape, front.dtype) == ((SIZE, SIZE, 4), np.uint8)
    assert {0, 255} <= set(np.unique(front[..., 3]))  # and shares at the outline
    left, right = (reconstructor.render(face, yaw=yaw)[..., 3] > 0 for yaw in (-0.6, 0.6))
    columns = np.arange(SIZE)
    # A face that turns to the right of the picture is tall there, from brow to chin, and ends at the ear on its left.
    assert (right * columns).sum() / right.sum() > (left * columns).sum() / left.sum()
    dark = reconstructor.render(face, light=face.light - 0.3)
    assert dark[..., :3].mean() < front[..., :3].mean()
    np.testing.assert_array_equal(dark[..., 3], front[..., 3])
    np.testing.assert_array_equal(reconstructor.render(face, light=face.light), front)
    large = reconstructor.render(face, size=2 * SIZE)
    assert large.shape == (2 * SIZE, 2 * SIZE, 4)
    assert (large[..., 3] > 127).mean() == pytest.approx((front[..., 3] > 127).mean(), rel=0.05)
    with pytest.raises(UserError, match=r"light must be \[3, 9\], got \[27\]"):
        reconstructor.render(face, light=np.zeros(27))


def test_a_face_nods_about_x_and_leans_about_z(reconstructor, face):
    """Bent forwards it turns away from a light above; leaning to the left of the picture it has the forehead there."""
    above = np.zeros([3, 9])
    above[:, 1] = -0.5  # the harmonic is negative above

    def brightness(pitch: float) -> float:
        picture = reconstructor.render(face, pitch=pitch, light=above)
        return picture[picture[..., 3] > 127][:, :3].mean()

    assert brightness(0.4) < brightness(0.0) < brightness(-0.4)
    for roll, side in ((0.4, -1), (-0.4, 1)):
        rows, columns = np.nonzero(reconstructor.render(face, roll=roll)[..., 3] > 127)
        forehead, jaw = (columns[part].mean() for part in (rows < SIZE // 3, rows > SIZE // 2))
        assert np.sign(forehead - jaw) == side
        assert abs(forehead - jaw) > 5


def test_tables_of_landmarks_are_in_the_unit_of_the_meshes(tmp_path, face):
    in_mm = Exporter(face.export.morphable, face.export.camera, ["obj"], 256, False, tmp_path, "mm")
    tables = landmark_tables(dataclasses.replace(face, export=in_mm))
    assert tables["landmarks.txt"].startswith("# landmark vertex x y z (from 0; mm)\n")
    table = np.loadtxt(tables["landmarks.txt"].splitlines())
    np.testing.assert_allclose(table[:, 2:], 100 * face.landmarks_3d, rtol=1e-5, atol=1e-4)
    now = np.loadtxt(tables["landmarks_now.txt"].splitlines())
    np.testing.assert_allclose(now, table[list(NOW_LANDMARKS), 2:])


def test_a_view_of_another_reconstructors_face_is_its_own(reconstructor, face):
    overrides = {"fit.steps": 0, "fit.landmarks": False, "data.image_size": SIZE, "export.texture_size": 256}
    with detected_once():
        other = FaceReconstructor(schema.load(overrides=overrides), untrained_parts(built_in_face(4000)))
    np.testing.assert_array_equal(other.render(face, yaw=0.3), reconstructor.render(face, yaw=0.3))


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.zeros((8, 8), np.uint8), r"photo: pixels must be \[H, W, 3\] RGB or \[H, W, 4\] RGBA, got \[8, 8\]"),
        (np.zeros((2, 8, 8, 3), np.uint8), r"got \[2, 8, 8, 3\]"),
        (np.zeros((0, 8, 3), np.uint8), r"got \[0, 8, 3\]"),
        (np.zeros((8, 8, 3), np.int64), r"must be uint8, or floating point in \[0, 1\], got int64"),
        (np.full((8, 8, 3), 255.0), r"must lie in \[0, 1\], got 255..255 \(divide by 255, or pass uint8\)"),
        (np.full((8, 8, 3), np.nan), r"must be finite, got 192 values that are not"),
        (3, "a photo must be a path or a NumPy array, got int"),
        (np.zeros((64, 64, 3), np.uint8), "no face found"),
    ],
)
def test_what_is_no_photo_of_a_face_is_named(reconstructor, pixels, message):
    with pytest.raises(UserError, match=message):
        reconstructor(pixels)


def test_a_list_ends_at_its_first_bad_photo(reconstructor):
    with pytest.raises(UserError, match=r"photo 1: pixels must be \[H, W, 3\]"):
        reconstructor([PORTRAIT, np.zeros((8, 8), np.uint8), 3])


def test_loading_without_a_trained_network_says_what_to_run(tmp_path, monkeypatch):
    untrained = SimpleNamespace(texture_network=SimpleNamespace(weights=[]), signature=dict)
    monkeypatch.setattr(
        "model.reconstruction.face_reconstructor.load_pipeline",
        lambda config: SimpleNamespace(config=config, **vars(untrained)),
    )
    with pytest.raises(UserError, match=r"best\.npz: a checkpoint must be here, got none .*--mode train"):
        FaceReconstructor.load(overrides={"data.root_dir": str(tmp_path), "texture.weights": ""})
    (tmp_path / "mine.yaml").write_text("data: {name: mine}\ntexture: {weights: ''}\n")
    with pytest.raises(UserError, match=r"checkpoints/mine_default/best\.npz: a checkpoint must be here"):
        FaceReconstructor.load(tmp_path / "mine.yaml", [f"data.root_dir={tmp_path}"])
    with pytest.raises(UserError, match="overrides must come with a YAML file"):
        FaceReconstructor.load(schema.load(), {"fit.steps": 1})


def test_importing_the_package_does_not_import_tensorflow():
    code = "import sys, model; assert 'tensorflow' not in sys.modules; assert not hasattr(model, 'Reconstructor')"
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[3], check=True)
