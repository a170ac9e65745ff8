"""Rigs of the human head in three.js: each morph target moves what its name says, and eyes turn."""

import cv2
import numpy as np
import pytest

from lib.face_model_files.arkit import ARKIT
from lib.mesh_export.gltf import Material
from lib.mesh_export.uv_chart import rasterize_chart, uncut
from model.morphable_model import MorphableModel
from model.rig import RigWriter
from tests.support.faces import coarse_head
from tests.support.gltf.rigs import Rig
from tests.support.gltf.three_viewer import SIZE, ThreeViewer, chromium
from tests.support.gltf.validator import faults

# Rows of the picture, as shares of its height: eyes and brows are above the first, mouth and jaw below the second.
EYES_END, MOUTH_BEGINS = 0.5, 0.5
OPEN = {"jawOpen": 0.3, "eyeBlinkLeft": 0.6}


@pytest.fixture(scope="module")
def morphable():
    return MorphableModel(coarse_head("face"))


@pytest.fixture(scope="module")
def path(morphable, tmp_path_factory):
    model = morphable.face_model
    chart = uncut(model.uv, model.triangles)
    raster = rasterize_chart(chart, 256)
    colours = np.uint8(255 * raster.dilate(raster.interpolate(model.mean_albedo)))
    png = cv2.imencode(".png", colours[..., ::-1])[1].tobytes()
    write = RigWriter(morphable, chart)
    expression = np.zeros(morphable.layout.expression, np.float32)
    for name, weight in OPEN.items():
        expression[model.expression_names.index(name)] = 2 * weight  # a coefficient of 1 is half of full strength
    identity = np.random.default_rng(0).normal(0, 0.5, morphable.layout.identity).astype(np.float32)
    path = tmp_path_factory.mktemp("rig") / "rig.glb"
    write([path], identity, expression, np.zeros(2), Material(png))
    return path


@pytest.fixture(scope="module")
def viewer(path):
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright of requirements-dev.txt")
    with playwright.sync_playwright() as started:
        browser = chromium(started)
        yield ThreeViewer(browser, path)
        browser.close()


@pytest.fixture(scope="module")
def neutral(viewer):
    return viewer.draw({}).astype(float)


def change(picture: np.ndarray, neutral: np.ndarray) -> np.ndarray:
    """[S, S] how much each pixel changed; small changes of shading do not count."""
    difference = np.abs(picture - neutral).sum(axis=2)
    return np.where(difference > 30, difference, 0)


def test_the_validator_finds_nothing(path):
    assert faults(path) == [[]]


def test_eyes_teeth_and_tongue_are_nodes(path):
    rig = Rig.read(path)
    assert [node["name"] for node in rig.content["nodes"]] == [
        "head", "face", "eyeRight", "eyeLeft", "teeth", "tongue",
    ]  # fmt: skip
    assert rig.names("eyeLeft") == []  # expressions do not move the balls
    assert "jawOpen" in rig.names("teeth")
    radius = np.linalg.norm(rig.vertices("eyeLeft") - rig.node("eyeLeft")["translation"], axis=1)
    assert np.ptp(radius) < 0.04 * radius.mean()  # the cornea's bulge
    assert rig.node("eyeLeft")["translation"][0] > 0.02 > 0 > rig.node("eyeRight")["translation"][0]


def test_the_file_opens_with_its_weights(viewer, neutral):
    weights = viewer.names()["face"]
    assert {name: round(value, 5) for name, value in weights.items() if value} == OPEN
    np.testing.assert_array_equal(viewer.draw(None), viewer.draw(OPEN))
    assert change(viewer.draw(None), neutral).any()
    assert viewer.messages == []


def test_each_target_moves_what_its_name_says(viewer, neutral):
    rows, columns = np.indices((SIZE, SIZE)) / SIZE
    wrong = {}
    for name in viewer.names()["face"]:
        if name not in ARKIT:
            continue
        moved = change(viewer.draw({name: 1.0}), neutral)
        total = moved.sum()
        assert total > 0, name
        shares = {}
        if name.startswith(("eye", "brow")):
            shares["above"] = moved[rows < EYES_END].sum() / total
        if name.startswith(("jaw", "mouth")):
            shares["below"] = moved[rows > MOUTH_BEGINS].sum() / total
        if name.endswith(("Left", "Right")) and name not in ("jawLeft", "jawRight", "mouthLeft", "mouthRight"):
            own = columns > 0.5 if name.endswith("Left") else columns < 0.5  # the subject's left is on the right
            shares["side"] = moved[own].sum() / total
        if min(shares.values(), default=1) < 0.7:
            wrong[name] = {key: round(float(value), 2) for key, value in shares.items()}
    assert wrong == {}


def test_the_jaw_goes_down_and_sideways(viewer, neutral):
    def outline(picture):
        return np.argwhere(picture[..., 3] > 128)

    chin = outline(neutral)[:, 0].max()
    assert outline(viewer.draw({"jawOpen": 1.0}))[:, 0].max() > chin + 4
    middle = {}
    for name in ("jawLeft", "jawRight"):
        found = outline(viewer.draw({name: 1.0}))
        middle[name] = found[found[:, 0] > chin - 6, 1].mean()
    assert middle["jawLeft"] > middle["jawRight"] + 2


def test_the_motion_of_a_video_is_smooth_across_half_a_turn(morphable):
    layout = morphable.layout
    coefficients = np.zeros((5, layout.size), np.float32)
    coefficients[:, layout.slices["angles"].start + 1] = np.radians([170, 176, 182, 188, 194])
    write = RigWriter(morphable, uncut(morphable.face_model.uv, morphable.face_model.triangles))
    seconds = [0, 0.04, 0.09, 0.12, 0.16]
    motion = write.motion(coefficients, np.zeros([5, 2]), seconds)
    assert motion.times.tolist() == seconds
    np.testing.assert_allclose(motion.rotations[0], [0, np.sin(np.radians(85)), 0, np.cos(np.radians(85))], atol=1e-6)
    assert np.abs(np.diff(motion.rotations, axis=0)).max() < 0.06


def test_an_eye_turns_in_its_socket(viewer, neutral):
    """The iris goes to where the eye looks: turned about y, to the picture's right."""
    moved = change(viewer.draw({}, turned={"eyeLeft": (0.0, 0.35)}), neutral)
    found = np.argwhere(moved)
    assert len(found) > 10
    assert np.ptp(found, axis=0).max() < 0.16 * SIZE
    assert (found[:, 1] > 0.5 * SIZE).all()
    picture = viewer.draw({}, turned={"eyeLeft": (0.0, 0.35)})
    low, high = found.min(axis=0), found.max(axis=0) + 1
    box = slice(low[0], high[0]), slice(low[1], high[1])

    def dark(image):
        darkness = 255 - image[box][..., :3].mean(axis=2)
        weight = np.clip(darkness - np.median(darkness), 0, None)
        return (weight * np.arange(weight.shape[1])).sum() / weight.sum()

    assert dark(picture.astype(float)) > dark(neutral) + 1
