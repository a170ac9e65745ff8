"""Networks are not measured on crops that they, or the weights that they started from, were trained on."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from configs import schema
from lib.errors import UserError
from lib.files import headed_npz
from lib.records.record_file import RecordReader
from lib.records.record_writer import RecordWriter
from lib.records.splits import split, split_hash
from lib.synthetic.dataset import crop_name, crops_key
from model.evaluation.fresh_photos import check_crops, check_new_photos
from model.evaluation.other_runs import check_training_data
from model.input_pipeline.ground_truth import rendered_as
from model.runs import checkpoints
from model.runs.checkpoints import Progress
from model.runs.training_data import ENTRY, UNKNOWN, UNTOLD, TrainingData, from_json, of_weights, to_json
from model.training.loop import own_crops
from model.weights.pretrained import read_metadata
from model.weights.pretraining_seeds import check_synthetic_seed
from tests.support.faces import built_in_face

SIZE = 224
NO_DETECTOR = {"evaluate.detector_faces": 0}
SHIPPED = schema.REPOSITORY / "data" / "weights" / "texture.npz"


def shipped_crops(seed: int) -> str:
    return crops_key(read_metadata(SHIPPED)["face_model"], SIZE, seed)


def saved(config: schema.Config, belongs_to: dict, trained_on=None):
    best = config.run_dir / "best.npz"
    checkpoints.save(best, {}, Progress(), belongs_to, trained_on=trained_on)
    return best


@pytest.fixture
def config(tmp_path) -> schema.Config:
    return schema.load(overrides={"data.root_dir": str(tmp_path)})


def test_a_run_that_may_have_seen_the_crops_is_refused(config, capsys):
    data = {"records": "r", "split": "s", "crops": ""}
    for belongs_to in ({}, data):  # an earlier version's says nothing
        best = saved(config, belongs_to)
        known = True if belongs_to else None  # the split at least
        assert check_training_data(config, data) is known
        assert capsys.readouterr().err.startswith(f"{best}: it is unknown whether")
    best = saved(config, data, [TrainingData("r", "s")])
    assert check_training_data(config, data) is True
    assert capsys.readouterr().err == ""
    check_training_data(config, data | {"records": "others"})
    assert capsys.readouterr().err == f"{best}: trained on other records of the same names; these are measured\n"
    with pytest.raises(UserError, match=r"best\.npz: must be trained with the present split, t, got s \(it may have"):
        check_training_data(config, data | {"split": "t"})


def test_the_shipped_network_is_not_measured_on_its_own_crops(config, capsys):
    """--mode evaluate uses it while there is no run; all but 20 of its 4,000 crops were trained on or chosen by."""
    data = {"records": "r", "split": "s", "crops": shipped_crops(1)}
    assert check_training_data(config, data) is False
    names = [crop_name(index) for index in range(4000)]
    its_own = split_hash(split(names, {"val": 0.02, "test": 0.005}, 0))
    assert check_training_data(config, data | {"crops": shipped_crops(700), "split": its_own}) is True
    assert capsys.readouterr().err == ""
    with pytest.raises(UserError, match=r"texture\.npz: must not have seen .* split of crops of data\.synth.* 700"):
        check_training_data(config, data | {"crops": shipped_crops(700)})
    assert check_training_data(config, data | {"crops": UNTOLD}) is None
    assert "texture.npz: it is unknown whether" in capsys.readouterr().err


def test_of_other_weights_of_earlier_versions_nothing_is_assumed(config, tmp_path, capsys):
    """Their options may name crops that they were not trained on, such as data.records of one's own."""
    path = tmp_path / "texture.npz"
    header = headed_npz.read_header(SHIPPED)
    del header["metadata"][ENTRY]
    headed_npz.write(path, {"kernel": np.zeros(1)}, header)
    config = dataclasses.replace(config, texture=dataclasses.replace(config.texture, weights=str(path)))
    for seed in (1, 700):
        check_training_data(config, {"records": "r", "split": "s", "crops": shipped_crops(seed)})
        assert capsys.readouterr().err.startswith(f"{path}: it is unknown whether")


def test_what_a_run_started_from_counts_as_well(config, capsys):
    face_model = read_metadata(SHIPPED)["face_model"]
    data = {"records": "r", "split": "s", "crops": shipped_crops(1)}
    own = TrainingData("r", "s", 1)
    best = saved(config, {"face model": face_model, **data}, [own, TrainingData("q", "p", 700)])
    check_training_data(config, data)
    assert capsys.readouterr().err == ""
    saved(config, {"face model": face_model, **data}, [own, TrainingData("q", "p", 1)])
    with pytest.raises(UserError, match=r"must not have seen .* crops of data\.synthetic_seed 1 "):
        check_training_data(config, data)
    saved(config, {"face model": face_model, **data}, [own, TrainingData("r", "p")])
    with pytest.raises(UserError, match=r"must not have seen .* another split of these records "):
        check_training_data(config, data)
    saved(config, {"face model": face_model, **data}, [own, UNKNOWN])
    check_training_data(config, data)
    assert capsys.readouterr().err.startswith(f"{best}: it is unknown whether")


@pytest.mark.parametrize("stored", [None, 3, ["r"], [{"other": 1}], [{"records": []}]])
def test_foreign_entries_say_nothing(stored):
    assert from_json(stored) == (UNKNOWN,)
    assert of_weights({ENTRY: stored}) == (UNKNOWN,)


def test_entries_come_back():
    runs = (TrainingData("r", "s", 3), UNKNOWN)
    assert from_json(to_json(runs)) == runs


def records_of(config: schema.Config, names: list[str]) -> RecordReader:
    config.records_path.parent.mkdir(parents=True, exist_ok=True)
    config.crops_dir.mkdir(parents=True, exist_ok=True)
    with RecordWriter(config.records_path, (8, 8, 4)) as writer:
        for number, name in enumerate(names):
            crop = np.full((8, 8, 4), 255 - number, np.uint8)
            Image.fromarray(crop, "RGBA").save(config.crops_dir / name)
            writer.append(crop, name)
    return RecordReader(config.records_path, 8)


def test_rendered_crops_are_told_by_their_truth(config):
    records = records_of(config, [crop_name(0), crop_name(1)])
    assert rendered_as(config, records) == UNTOLD
    truth = config.crops_dir / "truth.npz"
    np.savez(truth, names=records.names, key="k")
    assert rendered_as(config, records) == "k"
    np.savez(truth, names=records.names[:1], key="k")
    assert rendered_as(config, records) == UNTOLD
    truth.write_bytes(b"PK")
    assert rendered_as(config, records) == UNTOLD
    assert rendered_as(config, records_of(config, ["me.png"])) == ""


def test_a_run_notes_the_seed_of_its_synthetic_crops(config):
    """Not the configured one, if the crops were rendered with another."""
    records = records_of(config, [crop_name(0)])
    for rendered, noted in ((1, 1), (2, None)):
        key = crops_key("f", config.data.image_size, rendered)
        np.savez(config.crops_dir / "truth.npz", names=records.names, key=key)
        assert own_crops(config, records, {"records": "r", "split": "s"}, "f") == TrainingData("r", "s", noted)


@pytest.mark.parametrize(("key", "seed"), [("data.synthetic_seed", 1), ("pretrain.seed", 100)])
def test_fresh_photos_must_not_show_people_that_were_trained_on(key, seed):
    wanted = f"evaluate.seed: must differ from {key}, got {seed} for both"
    with pytest.raises(UserError, match=wanted):
        check_new_photos(schema.load(overrides={"evaluate.seed": seed, "evaluate.identity_people": 2}))
    check_new_photos(schema.load(overrides={"evaluate.seed": seed, "evaluate.identity_people": 0, **NO_DETECTOR}))


def test_people_of_the_weights_count_whatever_the_options_say():
    """The shipped networks' seed is 100; `pretrain.seed` says nothing about them."""
    options = {"pretrain.seed": 5, "evaluate.seed": 100, "evaluate.identity_people": 2}
    with pytest.raises(UserError, match=r"evaluate\.seed: must differ from that of the faces of regressor\.weights"):
        check_new_photos(schema.load(overrides=options))
    config = schema.load(overrides={"pretrain.seed": 5, "data.synthetic_seed": 100})
    face_model = read_metadata(SHIPPED)["face_model"]
    with pytest.raises(UserError, match=r"must not show the people that regressor\.weights was trained on.* 100"):
        check_crops(config, face_model, shipped_crops(100))
    check_crops(config, face_model, shipped_crops(5))
    check_crops(config, "another", crops_key("another", SIZE, 100))
    check_synthetic_seed(config, built_in_face(2000))  # another face model: other people
