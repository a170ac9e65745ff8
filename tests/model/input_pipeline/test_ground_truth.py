"""model/input_pipeline/ground_truth.py."""

import dataclasses
import errno
import os

import numpy as np
import pytest
from PIL import Image

from configs import schema
from lib.errors import UserError
from lib.records.record_file import RecordReader
from lib.records.record_writer import RecordWriter
from lib.synthetic.dataset import crop_name
from model.input_pipeline.ground_truth import record_truth, rendered_as

SIZE, FACE_MODEL = 8, "0123456789abcdef"


def records_of(config, names, seed=0):
    """Packs random crops under these names and leaves them as PNG, with their truth in reverse order, as rendered."""
    generator = np.random.default_rng(seed)
    folder = config.crops_dir
    folder.mkdir(parents=True, exist_ok=True)
    crops = {name: generator.integers(0, 256, (SIZE, SIZE, 4), np.uint8) for name in names}
    config.records_path.parent.mkdir(parents=True, exist_ok=True)
    with RecordWriter(config.records_path, (SIZE, SIZE, 4)) as writer:
        for name, crop in crops.items():
            Image.fromarray(crop, "RGBA").save(folder / name)
            writer.append(crop, name)
    backwards = names[::-1]
    numbers = np.arange(len(names), dtype=np.float32)
    np.savez(
        folder / "truth.npz", key="k", face_model=FACE_MODEL, names=backwards,
        coefficients=numbers[:, None], identity_id=numbers,
        true_albedo=np.tile(numbers[:, None, None] / 10, (1, 5, 3)).astype(np.float16),
        landmarks=np.zeros([len(names), 68, 2]),
    )  # fmt: skip
    return RecordReader(config.records_path, SIZE)


@pytest.fixture
def config(tmp_path):
    return schema.load(overrides={"data.root_dir": str(tmp_path), "data.image_size": 32})


def test_truth_comes_in_the_records_order(config):
    records = records_of(config, ["a.png", "b.png", "c.png"])
    truth = record_truth(config, records, FACE_MODEL)
    np.testing.assert_array_equal(truth["coefficients"][:, 0], [2, 1, 0])
    np.testing.assert_allclose(truth["true_albedo"][:, 0, 0], [0.2, 0.1, 0.0], atol=1e-3)


def test_no_truth_for_other_crops_even_of_the_same_names(config, capsys):
    records = records_of(config, ["a.png", "b.png"])
    other = np.full((SIZE, SIZE, 4), 255, np.uint8)
    Image.fromarray(other, "RGBA").save(config.crops_dir / "a.png")
    assert record_truth(config, records, FACE_MODEL) is None
    assert capsys.readouterr().err == f"{config.crops_dir / 'truth.npz'}: not used, a.png is not one of its crops\n"
    records = records_of(config, ["a.png", "b.png"])
    np.savez(
        config.crops_dir / "truth.npz", key="k", face_model=FACE_MODEL, names=["a.png"], coefficients=np.zeros([1, 1]),
        identity_id=[0], true_albedo=np.zeros([1, 5, 3]), landmarks=np.zeros([1, 68, 2]),
    )  # fmt: skip
    assert record_truth(config, records, FACE_MODEL) is None
    assert "not used, b.png is not" in capsys.readouterr().err
    (config.crops_dir / "truth.npz").unlink()
    assert record_truth(config, records, FACE_MODEL) is None
    assert capsys.readouterr().err == "", "there is none that could be expected to count"


def test_truth_of_another_face_model_is_refused(config):
    """Another model may have as many vertices, and its albedo would be learned all the same."""
    records = records_of(config, ["a.png"])
    with pytest.raises(UserError, match=f"the configured face model, another, got faces drawn from {FACE_MODEL}"):
        record_truth(config, records, "another")


def test_truth_of_another_camera_is_refused(config):
    records = records_of(config, ["a.png"])
    other = dataclasses.replace(config, camera=dataclasses.replace(config.camera, focal_ratio=3.0))
    with pytest.raises(UserError, match=r"camera\.distance: must be .* for synthetic faces, got 3 and 10"):
        record_truth(other, records, FACE_MODEL)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda path: path.write_bytes(b"no image"), "must be whole to be compared, got a damaged crop (must be a PNG"),
        (lambda path: path.unlink(), "must be there to be compared, got it deleted (run python create_bin.py again)"),
    ],
)
def test_a_crop_that_cannot_be_compared_is_not_called_another(config, capsys, spoil, reason):
    records = records_of(config, ["a.png"])
    spoil(config.crops_dir / "a.png")
    assert record_truth(config, records, FACE_MODEL) is None
    assert f"not used, a.png {reason}" in capsys.readouterr().err


@pytest.mark.parametrize("read", [lambda *given: record_truth(*given, FACE_MODEL), rendered_as])
def test_a_failing_disk_makes_no_crop_another(config, monkeypatch, read):
    """Training would go on without the true albedos, and forget which crops it has seen."""
    records = records_of(config, [crop_name(0)])

    def fails(*_, **__):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(Image, "open", fails)
    wanted = rf"{crop_name(0)}: must be readable, got: {os.strerror(errno.EIO)} \(run the same command again\)"
    with pytest.raises(UserError, match=wanted):
        read(config, records)
