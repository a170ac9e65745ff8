import numpy as np
import pytest
import tensorflow as tf

from model import checkpoints
from model.checkpoints import Progress
from utils import DiskFull, UserError

IDENTITY = {"face model": "abc", "texture network": "default"}


def _variables(seed, shapes=((2, 3), (4,), ())):
    rng = np.random.default_rng(seed)
    return [tf.Variable(rng.normal(size=shape).astype(np.float32), name=f"v{i}") for i, shape in enumerate(shapes)]


def test_round_trip_restores_every_value_and_the_progress(tmp_path):
    saved, progress = _variables(0), Progress(epoch=3, update_in_epoch=7, update=307, best_psnr=31.5)
    checkpoints.save(tmp_path / "c.npz", {"texture": saved}, progress, IDENTITY)
    target = _variables(1)
    assert checkpoints.restore(tmp_path / "c.npz", {"texture": target}, IDENTITY) == progress
    for a, b in zip(saved, target, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_a_subset_of_the_groups_can_be_restored(tmp_path):
    checkpoints.save(tmp_path / "c.npz", {"texture": _variables(0), "optimizer": _variables(2)}, Progress(), IDENTITY)
    target = _variables(1)
    checkpoints.restore(tmp_path / "c.npz", {"texture": target}, IDENTITY)
    np.testing.assert_array_equal(target[0].numpy(), _variables(0)[0].numpy())


@pytest.mark.parametrize(
    ("groups", "identity", "message"),
    [
        ({"texture": _variables(1)}, {"face model": "other"}, "face model other, got abc"),
        ({"texture": _variables(1, ((2, 3), (5,), ()))}, IDENTITY, r"must have shape \(5,\), got \(4,\)"),
        ({"texture": _variables(1, ((2, 3),))}, IDENTITY, "must hold 1 variables of 'texture', got 3"),
        ({"critic": _variables(1)}, IDENTITY, "must hold 3 variables of 'critic', got 0"),
    ],
)
def test_a_checkpoint_of_something_else_is_refused_and_changes_nothing(tmp_path, groups, identity, message):
    checkpoints.save(tmp_path / "c.npz", {"texture": _variables(0)}, Progress(), IDENTITY)
    before = [v.numpy().copy() for v in next(iter(groups.values()))]
    with pytest.raises(UserError, match=message):
        checkpoints.restore(tmp_path / "c.npz", groups, identity)
    for a, v in zip(before, next(iter(groups.values())), strict=True):
        np.testing.assert_array_equal(a, v.numpy())


def test_missing_truncated_and_foreign_files_are_refused_in_one_line(tmp_path):
    path = tmp_path / "c.npz"
    with pytest.raises(UserError, match="got none"):
        checkpoints.restore(path, {}, {})
    checkpoints.save(path, {"texture": _variables(0)}, Progress(), IDENTITY)
    whole = path.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", b"not a checkpoint"):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match="damaged or foreign") as caught:
            checkpoints.restore(path, {}, {})
        assert "\n" not in str(caught.value)


def test_a_failed_save_keeps_the_last_good_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "c.npz"
    checkpoints.save(path, {"texture": _variables(0)}, Progress(update=1), IDENTITY)

    def full_disk(stream, **arrays):
        stream.write(b"half a file")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full_disk)
    with pytest.raises(DiskFull, match="No space left"):
        checkpoints.save(path, {"texture": _variables(1)}, Progress(update=2), IDENTITY)
    target = _variables(3)
    assert checkpoints.restore(path, {"texture": target}, IDENTITY).update == 1
    assert [p.name for p in tmp_path.iterdir()] == ["c.npz"]


def test_weights_that_are_no_numbers_never_replace_good_ones(tmp_path):
    path = tmp_path / "c.npz"
    checkpoints.save(path, {"texture": _variables(0)}, Progress(update=1), IDENTITY)
    before, broken = path.read_bytes(), _variables(1)
    broken[0].assign(broken[0] * np.nan)
    with pytest.raises(UserError, match=r"must be finite to be saved, got NaN .*after update 2 .*c\.npz is left"):
        checkpoints.save(path, {"texture": broken}, Progress(update=2), IDENTITY)
    assert path.read_bytes() == before
