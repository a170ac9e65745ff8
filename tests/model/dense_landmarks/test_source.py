"""Sources of a face model's 468 points: shipped, kept under the model's fingerprint, or found on renders."""

import dataclasses
import os
import threading

import numpy as np
import pytest

from configs import schema
from lib.errors import UserError
from lib.face_mesh.groups import EYES, INNER_LIPS, LIP_PAIRS, POINTS, mirror_numbers
from lib.face_mesh.surface_points import SurfacePoints, Views
from lib.face_model_files.human_head import human_head_model
from lib.files import headed_npz, locks
from lib.human_head.shipped import SHIPPED, HumanHead
from model.dense_landmarks import calibration, source
from tests.support.faces import built_in_face


@pytest.fixture(scope="module")
def face_model():
    return built_in_face(2500)


@pytest.fixture(scope="module")
def placed(face_model) -> np.ndarray:
    """[468, 3] the shipped points on a coarser mesh of the built-in face [mm from the nose's height]."""
    points = source.at_texture_coordinates(face_model, source.read_points(source.SHIPPED["built-in face"]).uv)
    return 100 * points.on(face_model.mean_shape)


def test_the_built_in_faces_points_are_shipped():
    """Fails when the built-in face changes: python main.py --mode landmarks --config configs/built_in.yaml."""
    config = schema.load(schema.REPOSITORY / "configs" / "built_in.yaml")
    model = built_in_face(config.face_model.vertex_count, config.face_model.seed)
    stored = source.read_points(source.SHIPPED["built-in face"])
    assert stored.fingerprint == model.fingerprint
    assert stored.method == source.METHOD
    np.testing.assert_allclose(stored.points.on(model.uv), stored.uv, atol=1e-6)
    again = source.at_texture_coordinates(model, stored.uv)
    np.testing.assert_allclose(again.on(model.mean_shape), stored.points.on(model.mean_shape), atol=2e-3)


@pytest.fixture(scope="module")
def human_head():
    """The default area and density of the human head."""
    config = schema.load()
    built_in = built_in_face(config.face_model.vertex_count, config.face_model.seed)
    return human_head_model(HumanHead.load(SHIPPED), built_in, config.face_model.area)


def test_the_human_heads_points_are_shipped(human_head, monkeypatch):
    """Fails when the human head changes: python main.py --mode landmarks."""
    monkeypatch.setattr(calibration, "calibrate", None)  # which would take minutes
    points = source.surface_points(schema.load(), human_head)
    placed, landmarks = 100 * points.on(human_head.mean_shape), 100 * human_head.mean_shape[human_head.landmarks]
    for ours, theirs in ((33, 36), (263, 45), (61, 48), (291, 54), (1, 30), (152, 8)):
        assert np.linalg.norm(placed[ours] - landmarks[theirs]) < 12, ours
    upper, lower = np.array(LIP_PAIRS).T
    assert (placed[upper, 1] >= placed[lower, 1] - 0.5).all()
    assert np.abs(placed[mirror_numbers()] * (-1, 1, 1) - placed).max() < 3


def test_other_areas_of_the_head_are_calibrated_for_themselves(human_head, monkeypatch, tmp_path):
    other = dataclasses.replace(human_head, expression_names=())
    monkeypatch.setattr(calibration, "calibrate", lambda _: source.read_points(source.SHIPPED["human head"]).points)
    overrides = ["face_model.area=ears", f"data.root_dir={tmp_path}"]
    config = schema.load(overrides=overrides)
    assert source.remake(config, other) == config.generated_dir / f"face_mesh_{other.fingerprint}.npz"


@pytest.mark.parametrize(
    ("options", "name", "shipped"),
    [
        (["face_model.source=built-in"], "built-in face", True),
        (["face_model.source=built-in", "face_model.seed=5"], "built-in face", False),
        (["face_model.source=mine.npz"], "human head", False),
    ],
)
def test_only_the_programs_own_models_replace_shipped_points(face_model, monkeypatch, tmp_path, options, name, shipped):
    points = SurfacePoints(np.zeros([POINTS, 3], np.int32), np.full([POINTS, 3], 1 / 3, np.float32))
    monkeypatch.setattr(calibration, "calibrate", lambda _: points)
    monkeypatch.setattr(source, "SHIPPED", {key: tmp_path / f"{key}.npz" for key in source.SHIPPED})
    config = schema.load(overrides=[f"data.root_dir={tmp_path}", *options])
    made = source.remake(config, dataclasses.replace(face_model, name=name))
    assert made.is_file()
    assert (made == source.SHIPPED[name]) == shipped


def test_shipped_points_lie_on_their_features(placed, face_model):
    landmarks = 100 * face_model.mean_shape[face_model.landmarks]
    for ours, theirs in ((33, 36), (263, 45), (61, 48), (291, 54), (1, 30), (152, 8)):
        assert np.linalg.norm(placed[ours] - landmarks[theirs]) < 12, ours
    upper, lower = np.array(LIP_PAIRS).T
    assert (placed[upper, 1] >= placed[lower, 1]).all()
    mirrored = placed[mirror_numbers()] * (-1, 1, 1)
    assert np.linalg.norm(mirrored - placed, axis=1).max() < 3
    allowed = np.ones(face_model.vertex_count, bool)
    for name in calibration.BEHIND:
        allowed &= face_model.regions[name] < 0.5
    shipped = source.read_points(source.SHIPPED["built-in face"]).points
    assert shipped.vertices.shape == (POINTS, 3)
    np.testing.assert_allclose(shipped.barycentrics.sum(1), 1, atol=1e-6)
    assert len(set(map(tuple, np.round(placed[list(EYES + INNER_LIPS)], 1)))) > 40  # not all on one spot


def test_points_are_solved_for_from_both_sides(face_model, placed):
    """Views of one half of the face give the other half, too."""
    generator = np.random.default_rng(0)
    true = source.at_texture_coordinates(face_model, source.read_points(source.SHIPPED["built-in face"]).uv)
    mirror = mirror_numbers()
    symmetric = 0.5 * (placed + placed[mirror] * (-1, 1, 1)) / 100
    projected, facing, found = [], [], []
    for _ in range(14):
        yaw, pitch = generator.uniform(-0.4, 0.4, 2)
        turn = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]]) @ np.array(
            [[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]]
        )
        projected.append(112 + 100 * (face_model.mean_shape @ turn)[:, :2] * (1, -1))
        found.append(112 + 100 * (symmetric @ turn)[:, :2] * (1, -1))
        facing.append(np.ones(face_model.vertex_count))
    solved = calibration._solve(face_model, Views(*(np.array(part) for part in (projected, facing, found))))
    error = 100 * np.linalg.norm(solved.on(face_model.mean_shape) - symmetric, axis=1)
    assert np.median(error) < 0.6
    assert np.percentile(error, 95) < 2.0
    # Triangles keep their winding, so that their normals point outwards.
    corners = face_model.mean_shape[solved.vertices]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert ((normals[:, 2] > 0) == (normals[mirror, 2] > 0)).mean() > 0.97
    assert true.vertices.shape == solved.vertices.shape


def test_few_renders_already_come_near(face_model, placed):
    """The whole way, on twelve pictures."""
    points = calibration.calibrate(face_model, views=12, candidates=40)
    error = np.linalg.norm(100 * points.on(face_model.mean_shape) - placed, axis=1)
    assert np.median(error) < 1.3
    assert np.percentile(error, 90) < 2.6


def test_what_does_not_look_like_a_face_is_refused(face_model, monkeypatch):
    monkeypatch.setattr(calibration, "_view", lambda faces, index: None)
    with pytest.raises(UserError, match="at least half of 4 renders must look like faces"):
        calibration.calibrate(face_model, views=4, candidates=8)


def test_other_models_are_calibrated_once(tmp_path, face_model, monkeypatch):
    calls = []

    def calibrated(model):
        calls.append(model.fingerprint)
        return SurfacePoints(np.tile(model.triangles[:1], (POINTS, 1)), np.full([POINTS, 3], 1 / 3, np.float32))

    monkeypatch.setattr(calibration, "calibrate", calibrated)
    face_model = dataclasses.replace(face_model, name="mine")
    config = schema.load(overrides=[f"data.root_dir={tmp_path}", "face_model.source=mine.npz"])
    first = source.surface_points(config, face_model)
    second = source.surface_points(config, face_model)
    assert calls == [face_model.fingerprint]
    np.testing.assert_array_equal(first.vertices, second.vertices)
    other = dataclasses.replace(face_model, mean_albedo=face_model.mean_albedo * 0.9)
    source.surface_points(config, other)
    assert calls == [face_model.fingerprint, other.fingerprint]
    monkeypatch.setattr(source, "METHOD", "another")
    source.surface_points(config, face_model)
    assert len(calls) == 3


def test_a_model_of_ones_own_is_calibrated_whatever_its_name(tmp_path, face_model, monkeypatch):
    """Its texture coordinates need not be those of the program's model of that name."""
    points = SurfacePoints(np.tile(face_model.triangles[:1], (POINTS, 1)), np.full([POINTS, 3], 1 / 3, np.float32))
    monkeypatch.setattr(calibration, "calibrate", lambda _: points)
    namesake = dataclasses.replace(face_model, name="built-in face", uv=face_model.uv[:, ::-1].copy())
    config = schema.load(overrides=[f"data.root_dir={tmp_path}", "face_model.source=mine.npz"])
    np.testing.assert_array_equal(source.surface_points(config, namesake).vertices, points.vertices)


def test_a_reconstruction_leaves_the_shipped_points_as_they_are(tmp_path, face_model, monkeypatch):
    """Also where the program's own model has become another one, as by other rounding."""
    points = SurfacePoints(np.tile(face_model.triangles[:1], (POINTS, 1)), np.full([POINTS, 3], 1 / 3, np.float32))
    monkeypatch.setattr(calibration, "calibrate", lambda _: points)
    shipped = tmp_path / "human_head.npz"
    shipped.write_bytes(source.SHIPPED["human head"].read_bytes())
    monkeypatch.setattr(source, "SHIPPED", {"human head": shipped})
    config = schema.load(overrides=[f"data.root_dir={tmp_path}"])
    other, before = dataclasses.replace(face_model, name="human head"), shipped.read_bytes()
    np.testing.assert_array_equal(source.surface_points(config, other).vertices, points.vertices)
    assert shipped.read_bytes() == before
    assert source.remake(config, other) == shipped


def store(path, **changes):
    """A file of points, with arrays or entries of the header changed; None leaves them out."""
    arrays = {"vertices": np.zeros([POINTS, 3], np.int32), "barycentrics": np.ones([POINTS, 3], np.float32)}
    content = arrays | {"uv": np.zeros([POINTS, 2], np.float32), "face model": "1", "method": source.METHOD} | changes
    header = {name: content.pop(name) for name in ("face model", "method")}
    path.parent.mkdir(parents=True, exist_ok=True)
    headed_npz.write(path, {name: array for name, array in content.items() if array is not None}, header)


DAMAGES = {
    "a damaged archive": lambda path: path.write_bytes(b"no archive"),
    "uv": lambda path: store(path, uv=None),
    r"barycentrics must be \[468, 3\], got \[468, 2\]": lambda path: store(path, barycentrics=np.ones([POINTS, 2])),
    r"vertices must be \[468, 3\], got \[5, 3\]": lambda path: store(path, vertices=np.zeros([5, 3], np.int32)),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_files_are_refused(tmp_path, damage):
    DAMAGES[damage](tmp_path / "points.npz")
    with pytest.raises(UserError, match=f"must hold landmark points, got a damaged file .*{damage}.*delete it"):
        source.read_points(tmp_path / "points.npz")


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_points_of_an_earlier_run_are_made_again(tmp_path, face_model, monkeypatch, capsys, damage):
    points = SurfacePoints(np.tile(face_model.triangles[:1], (POINTS, 1)), np.full([POINTS, 3], 1 / 3, np.float32))
    monkeypatch.setattr(calibration, "calibrate", lambda _: points)
    config = schema.load(overrides=[f"data.root_dir={tmp_path}", "face_model.source=mine.npz"])
    mine = dataclasses.replace(face_model, name="mine")
    path = config.generated_dir / f"face_mesh_{mine.fingerprint}.npz"
    path.parent.mkdir(parents=True)
    DAMAGES[damage](path)
    np.testing.assert_array_equal(source.surface_points(config, mine).vertices, points.vertices)
    assert capsys.readouterr().err.count(f"{path}: damaged, made again") == 1
    np.testing.assert_array_equal(source.read_points(path).points.vertices, points.vertices)
    assert [found.name for found in path.parent.iterdir()] == [path.name], "no lock is left"


def test_points_that_cannot_be_read_are_not_called_damaged(tmp_path, face_model, monkeypatch):
    def denied(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(source.headed_npz, "read", denied)
    with pytest.raises(UserError, match=r"points\.npz: must be readable, got: Permission denied"):
        source.read_points(tmp_path / "points.npz")


def test_processes_that_need_the_same_points_calibrate_them_once(tmp_path, face_model, monkeypatch, capsys):
    """In threads, whose locks exclude each other as those of processes do."""
    calls, entered, waiting = [], threading.Event(), threading.Event()

    def calibrated(model):
        calls.append(model.name)
        entered.set()
        assert waiting.wait(60)
        return SurfacePoints(np.tile(model.triangles[:1], (POINTS, 1)), np.full([POINTS, 3], 1 / 3, np.float32))

    monkeypatch.setattr(calibration, "calibrate", calibrated)
    holder = locks._holder
    monkeypatch.setattr(locks, "_holder", lambda path: (holder(path), waiting.set())[0])
    config = schema.load(overrides=[f"data.root_dir={tmp_path}", "face_model.source=mine.npz"])
    mine, found = dataclasses.replace(face_model, name="mine"), []

    def late():
        entered.wait(60)
        found.append(source.surface_points(config, mine))

    other = threading.Thread(target=late)
    other.start()
    first = source.surface_points(config, mine)
    other.join(60)
    assert calls == ["mine"]
    np.testing.assert_array_equal(found[0].vertices, first.vertices)
    assert f"waiting for calibration of landmarks by process {os.getpid()} on " in capsys.readouterr().err
