"""--mode evaluate from end to end on a tiny face model: the numbers, and that they fall when code breaks."""

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

from configs import schema
from lib.errors import UserError
from lib.face_model.coefficients import CoefficientLayout
from lib.face_model.face_model import FaceModel
from lib.records.record_writer import RecordWriter
from lib.records.splits import save_split
from lib.synthetic.dataset import crop_name
from model.evaluation import fresh_photos as evaluation_photos
from model.evaluation import records as evaluation
from model.evaluation.page import write_evaluation_page
from model.evaluation.records import evaluate
from model.evaluation.tables import print_report
from model.evaluation.textures import ALIGNED, COLUMNS, KINDS
from model.morphable_model import MorphableModel
from model.networks.variable_names import network_variables
from model.pipeline import load_pipeline
from model.report.summary import COLUMNS as PHOTO_COLUMNS
from model.report.summary import write_summary
from model.runs import checkpoints
from model.runs.checkpoints import Progress
from tests.support.golden_face import golden_face_model
from tests.support.helpers import eager_functions
from tests.support.toy_faces import ToyFaces, save_toy_model, toy_configuration

SIZE, COUNT = 48, 4


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A root folder as create_bin.py, --mode pretrain and --mode train leave it, with untrained networks."""
    folder = tmp_path_factory.mktemp("root")
    config = configuration(folder)
    face_model = save_toy_model(config)
    source, names, truth = ToyFaces(face_model, SIZE, 3), [crop_name(i) for i in range(COUNT)], []
    faces = config.crops_dir
    faces.mkdir(parents=True)
    with RecordWriter(config.records_path, (SIZE, SIZE, 4)) as writer:
        for i, name in enumerate(names):
            face = source.sample(i)
            face.alpha[:, SIZE // 2 :] = 0  # something stands before half of the face
            crop = np.dstack([face.image, face.alpha])
            Image.fromarray(crop, "RGBA").save(faces / name)
            writer.append(crop, name)
            truth.append(face)
    coefficients = np.stack([face.coefficients for face in truth])
    albedo = MorphableModel(face_model).albedo(face_model.layout.split(coefficients).albedo)
    np.savez(
        faces / "truth.npz",
        names=names,
        face_model=face_model.fingerprint,
        coefficients=coefficients,
        identity_id=[face.identity_id for face in truth],
        true_albedo=np.clip(albedo, 0, 1).astype(np.float16),
        landmarks=np.stack([face.landmarks for face in truth]),
    )
    save_split(config.params_dir, {"train": names[:1], "val": names[1:2], "test": names[2:]})
    save_run(config)
    return folder


def save_run(config: schema.Config) -> None:
    """Writes the files of a training for a network that was never trained."""
    pipeline = load_pipeline(config)
    config.run_dir.mkdir(parents=True, exist_ok=True)
    (config.run_dir / "config.yaml").write_text(schema.to_yaml(config))
    state = {"texture": network_variables(pipeline.texture_network.weights)}
    checkpoints.save(config.run_dir / "best.npz", state, Progress(), pipeline.signature())


def configuration(folder, **overrides) -> schema.Config:
    small = {
        "test__output": str(folder / "raw"), "evaluate__detector_faces": 0, "evaluate__identity_people": 0,
    }  # fmt: skip
    return toy_configuration(folder, SIZE, **(small | overrides))


@pytest.fixture(scope="module")
def measured(root, tmp_path_factory):
    """The metrics and the folder they are in."""
    output = tmp_path_factory.mktemp("out")
    return evaluate(configuration(root, evaluate__sheet_faces=1), output), output


def test_the_file_holds_every_number_in_its_place(measured):
    metrics, output = measured
    assert json.loads((output / "metrics.json").read_text()) == metrics
    assert {"detector", "regressor", "textures", "identity_auc", "photos", "seconds", "versions"} <= metrics.keys()
    assert metrics["faces"] == 2
    for column in COLUMNS:
        assert metrics["textures"][column].keys() == set(KINDS)
    values = [metrics["textures"][column][kind] for column in COLUMNS for kind in KINDS[:3]]
    assert np.isfinite(values).all()
    for column in ALIGNED:
        assert metrics["gain_aligned"][column]["coarse"] != metrics["textures"][column]["coarse"]
    assert metrics["textures"]["photo_view"]["optimum"] >= max(
        metrics["textures"]["photo_view"][kind] for kind in KINDS[:3]
    )
    cosines = metrics["textures"]["identity"]
    assert -1 <= cosines["coarse"] < cosines["optimum"] <= 1
    assert metrics["textures"]["new_views"]["optimum"] is None, "the truth itself is per vertex"
    assert metrics["regressor"]["faces"] == 2
    assert 0.3 < metrics["hidden_share"] < 0.9
    assert metrics["detector"] is None
    assert metrics["identity_auc"] is None
    assert "Identity network" not in (output / "index.html").read_text(encoding="utf-8")
    assert metrics["photos"] is None


@pytest.mark.parametrize(
    ("split", "note"), [("test", "held them out"), ("val", "chose its best state by them"), ("train", "trains on them")]
)
def test_page_and_table_name_the_split_and_what_it_is_worth(measured, tmp_path, capsys, split, note):
    metrics = measured[0] | {"split": split, "trained_with_split": True}
    page = write_evaluation_page(tmp_path, metrics, Image.new("RGB", (8, 8))).read_text(encoding="utf-8")
    print_report(metrics, [], tmp_path)
    said = capsys.readouterr().out
    assert f"<h1>Measured on 2 faces of the {split} split</h1>" in page
    assert f"<title>Measured on 2 faces of the {split} split</title>" in page
    assert f"2 faces of the {split} split, predicted coefficients" in said
    assert ["new views, dB" in text for text in (said, page)] == [True, True], "columns have units"
    assert "three rows each: photo, textures, overlay; then truth and textures in new views" in page
    assert note in page
    assert (note in said) == (split != "test")


def test_what_a_split_is_worth_is_said_only_of_a_network_that_was_trained_with_it(measured, tmp_path, capsys):
    assert measured[0]["trained_with_split"] is None, "checkpoints of earlier versions do not tell"
    for trained, note in ((None, "It is unknown whether the"), (False, "network was trained on another data set")):
        metrics = measured[0] | {"split": "val", "trained_with_split": trained}
        page = write_evaluation_page(tmp_path, metrics, Image.new("RGB", (8, 8))).read_text(encoding="utf-8")
        print_report(metrics, [], tmp_path)
        assert note in capsys.readouterr().out
        assert [text in page for text in (note, "chose its best state")] == [True, False]


def test_new_views_are_the_mean_of_their_angles(measured):
    metrics, _ = measured
    for kind in KINDS[:3]:
        by_yaw = [metrics["new_views_by_yaw"][yaw][kind] for yaw in ("30", "60")]
        assert metrics["textures"]["new_views"][kind] == pytest.approx(np.mean(by_yaw), abs=1e-3)


def test_the_sheet_shows_a_face_and_its_new_views_below(measured):
    assert 'src="data:image/webp' in (measured[1] / "index.html").read_text(encoding="utf-8")
    with Image.open(measured[1] / "sheet.png") as sheet:
        assert sheet.size == (SIZE * 6, 3 * (SIZE + 16)), "one of two faces is asked for"
        last = np.asarray(sheet)[-SIZE:, 4 * SIZE : 5 * SIZE]
    assert (last < 250).any(), "the last place shows a face"


@pytest.fixture
def eagerly():
    """Two faces are measured faster than a graph is traced."""
    with eager_functions():
        yield


def test_exact_coefficients_leave_no_error(root, tmp_path, monkeypatch, eagerly):
    """The toy faces have no detail, so with true coefficients the coarse texture is the truth in every column."""
    config = configuration(root)
    encode, record_truth = evaluation.encode_records, evaluation.record_truth
    face_model = golden_face_model()
    elsewhere = ~(face_model.skin_mask & face_model.front_mask)

    def exact(records, *others, **_):
        truth = record_truth(config, records, face_model.fingerprint)
        return dataclasses.replace(encode(records, *others), coefficients=truth["coefficients"])

    def exactly_regressed(pipeline, records, indices):
        return record_truth(config, records, face_model.fingerprint)["coefficients"][indices]

    monkeypatch.setattr(evaluation, "encode_records", exact)
    monkeypatch.setattr(evaluation_photos, "_regressed", exactly_regressed)
    metrics = evaluate(config, tmp_path)
    _assert_exact(metrics)
    assert metrics["textures"]["new_views"]["coarse"] > 55

    def inverted_elsewhere(*arguments):
        truth = record_truth(*arguments)
        truth["true_albedo"][:, elsewhere] = 1 - truth["true_albedo"][:, elsewhere]
        return truth

    monkeypatch.setattr(evaluation, "record_truth", inverted_elsewhere)
    metrics = evaluate(config, tmp_path)
    _assert_exact(metrics)
    assert metrics["textures"]["new_views"]["coarse"] < 40, "new views show more than the front's skin"


def _assert_exact(metrics: dict) -> None:
    for column in ("albedo_visible", "albedo_hidden"):
        assert metrics["textures"][column]["coarse"] < 5e-4, "half precision of the stored truth"
        assert metrics["gain_aligned"][column]["coarse"] < 5e-4
    assert metrics["textures"]["albedo_hidden"]["projection"] < 5e-4, "the coarse albedo where nothing is seen"
    assert metrics["textures"]["photo_view"]["coarse"] > 40
    assert metrics["regressor"]["landmarks_percent"] < 1e-3


def test_crops_without_truth_have_their_photos_view_alone(root, tmp_path, capsys, eagerly):
    config = configuration(root)
    truth, away = config.crops_dir, config.generated_dir / "away"
    truth.rename(away)
    try:
        metrics = evaluate(config, tmp_path)
    finally:
        away.rename(truth)
    assert metrics["textures"]["photo_view"]["fine"] > 0
    assert metrics["textures"]["new_views"] is metrics["textures"]["albedo_hidden"] is metrics["regressor"] is None
    assert "these crops have no ground truth" in capsys.readouterr().out
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size[0] == SIZE * 6


def test_other_runs_stand_beside_and_missing_ones_say_how_to_train_them(root, tmp_path, capsys, eagerly):
    normal = configuration(root, texture__variant="normal")
    save_run(normal)
    broken = configuration(root, train__suffix="broken")
    broken.run_dir.mkdir()
    (broken.run_dir / "best.npz").write_bytes(b"")
    (broken.run_dir / "config.yaml").write_text(schema.to_yaml(broken))
    names = ["normal", "default", "resnet", "mine", "broken"]
    metrics = evaluate(configuration(root, evaluate__runs=names), tmp_path)
    assert metrics["variants"].keys() == {"default", "normal"}
    for column in COLUMNS:
        assert metrics["variants"]["default"][column] == metrics["textures"][column]["fine"]
        assert np.isfinite(metrics["variants"]["normal"][column])
    # Two untrained networks may agree in the identity's four digits, not in decibels.
    for column in ("photo_view", "new_views"):
        assert metrics["variants"]["normal"][column] != metrics["variants"]["default"][column]
    out = capsys.readouterr().out
    assert "resnet: not trained (python main.py --mode train --model resnet)" in out
    assert "mine: not trained (python main.py --mode train --suffix mine)" in out
    assert "broken: left out" in out


def test_without_a_trained_network_it_says_what_to_run(root, tmp_path):
    with pytest.raises(UserError, match=r"best\.npz: a checkpoint must be here, got none \(run `python main.py --mode"):
        evaluate(configuration(root, train__suffix="never"), tmp_path)
    assert not list(tmp_path.iterdir())


def test_truth_of_another_face_model_is_refused(root, tmp_path):
    config = configuration(root)
    path = config.crops_dir / "truth.npz"
    whole = path.read_bytes()
    with np.load(path) as data:
        arrays = dict(data)
    np.savez(path, **(arrays | {"face_model": "another"}))
    try:
        with pytest.raises(
            UserError, match=r"must belong to the configured face model, .* got faces drawn from another"
        ):
            evaluate(config, tmp_path)
    finally:
        path.write_bytes(whole)


def toy_source(face_model: FaceModel, size: int, seed: int) -> ToyFaces:
    return ToyFaces(face_model, size, seed)


def test_identity_and_detector_are_measured_on_fresh_photos(root, tmp_path, monkeypatch, eagerly):
    monkeypatch.setattr(evaluation_photos, "SyntheticFaces", toy_source)
    seen = {}

    def remember(images, points, yaw):
        seen.update(images=np.asarray(images), points=points, yaw=yaw)
        return {"within_30": None, "30_to_60": None}

    monkeypatch.setattr(evaluation_photos, "detector_metrics", remember)
    config = configuration(root, evaluate__identity_people=3, evaluate__detector_faces=5)
    metrics = evaluate(config, tmp_path)
    assert metrics["identity"]["faces"] == 12
    assert metrics["identity_auc"] == metrics["identity"]["auc"]
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert f"photos of {metrics['identity']['people']} new people: AUC {metrics['identity_auc']:.3f}" in page
    assert metrics["detector"] == {"within_30": None, "30_to_60": None}
    faces = [ToyFaces(golden_face_model(), SIZE, config.evaluate.seed).sample(i) for i in range(5)]
    np.testing.assert_array_equal(seen["images"][4, ..., :3], faces[4].image)
    layout: CoefficientLayout = golden_face_model().layout
    np.testing.assert_allclose(
        seen["yaw"], [np.degrees(layout.split(f.coefficients).angles[1]) for f in faces], rtol=1e-5
    )
    # The point of the nose is one of the 68 landmarks.
    np.testing.assert_allclose(seen["points"][:, 2], [f.landmarks[30] for f in faces], atol=1e-2)


@pytest.mark.parametrize("content", ['{"frames": 6, "frame_rate": 25.0}', '{"given": 2, "reconstructed": 0}'])
def test_a_video_or_a_run_without_a_photo_has_no_photos_to_repeat(root, tmp_path, content):
    (tmp_path / "summary.json").write_text(content)
    config = configuration(root, test__output=str(tmp_path))
    assert evaluation._photos(config) is None
    assert "test" not in evaluation._seconds(config)


@pytest.mark.parametrize(
    ("read", "content", "got"),
    [
        (evaluation._photos, "{", "a damaged file"),
        (evaluation._photos, "[]", "another file"),
        (evaluation._photos, '{"reconstructed": 2}', "another file"),
        (evaluation._photos, '{"reconstructed": "two", "seconds": "many"}', "another file"),
        (evaluation._seconds, '{"seconds": "many"}', "another file"),
    ],
)
def test_a_damaged_or_foreign_summary_is_named(tmp_path, read, content, got):
    (tmp_path / "summary.json").write_text(content)
    config = schema.load(overrides={"test.output": str(tmp_path), "data.root_dir": str(tmp_path)})
    with pytest.raises(UserError, match=rf"summary\.json: must be JSON that this program wrote, got {got}.*delete it"):
        read(config)


def test_photos_without_a_psnr_leave_it_to_the_others_or_out(tmp_path, capsys):
    """Mask and face of a photo may not overlap."""
    config = schema.load(overrides={"test.output": str(tmp_path), "data.root_dir": str(tmp_path)})
    good = dict.fromkeys(PHOTO_COLUMNS, 20.0)
    bad = good | {"psnr_coarse": np.nan, "psnr_fine": np.nan}
    write_summary(tmp_path, {"a.jpg": good, "b.jpg": bad}, {}, 1.0, [])
    assert evaluation._photos(config)["psnr_fine"] == 20
    write_summary(tmp_path, {"b.jpg": bad}, {}, 1.0, [])
    photos = evaluation._photos(config)
    assert photos["psnr_fine"] is None
    metrics = dict.fromkeys(("regressor", "detector", "identity"))
    metrics |= {"faces": 1, "variants": {}, "photos": photos, "split": "test"}
    print_report(metrics | {"textures": dict.fromkeys(COLUMNS)}, [], tmp_path)
    assert "1 of 1 photos reconstructed: coarse -, fine -" in capsys.readouterr().out


def test_evaluation_compares_the_split_of_every_run(root, tmp_path, capsys, eagerly):
    config = configuration(root, train__suffix="foreign")
    save_run(config)
    pipeline = load_pipeline(config)
    state = {"texture": network_variables(pipeline.texture_network.weights)}
    checkpoints.save(config.run_dir / "best.npz", state, Progress(), pipeline.signature() | {"split": "another"})
    with pytest.raises(UserError, match=r"must be trained with the present split, .*, got another"):
        evaluate(config, tmp_path)
    evaluate(configuration(root, evaluate__runs=["foreign"]), tmp_path)
    assert "foreign: left out, " in capsys.readouterr().out
