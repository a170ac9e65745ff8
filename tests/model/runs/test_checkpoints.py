import errno
import zipfile

import keras
import numpy as np
import pytest

from lib.errors import DiskFull, UserError
from model.runs import checkpoints
from model.runs.checkpoints import Progress
from model.runs.training_data import UNKNOWN

IDENTITY = {"face model": "abc", "texture network": "default"}


def _variables(seed, shapes=((2, 3), (4,), ())):
    rng = np.random.default_rng(seed)
    values = [rng.normal(size=shape).astype(np.float32) for shape in shapes]
    return {f"layer/v{i}": keras.Variable(value, name=f"v{i}") for i, value in enumerate(values)}


@pytest.mark.parametrize("best", [{"best_psnr": 31.5}, {}])
def test_round_trip_restores_every_value_and_the_progress(tmp_path, best):
    saved, progress = _variables(0), Progress(epoch=3, update_in_epoch=7, update=307, **best)
    checkpoints.save(tmp_path / "c.npz", {"texture": saved}, progress, IDENTITY)
    target = _variables(1)
    assert checkpoints.restore(tmp_path / "c.npz", {"texture": target}, IDENTITY) == progress
    for name in saved:
        np.testing.assert_array_equal(saved[name].numpy(), target[name].numpy())


def test_variables_go_by_their_names_whatever_their_order(tmp_path):
    saved = _variables(0, ((3,), (3,)))
    checkpoints.save(tmp_path / "c.npz", {"texture": saved}, Progress(), IDENTITY)
    target = dict(reversed(_variables(1, ((3,), (3,))).items()))
    checkpoints.restore(tmp_path / "c.npz", {"texture": target}, IDENTITY)
    for name in saved:
        np.testing.assert_array_equal(saved[name].numpy(), target[name].numpy())


def test_two_swapped_arrays_of_one_shape_are_refused(tmp_path):
    path = tmp_path / "c.npz"
    checkpoints.save(path, {"texture": _variables(0, ((3,), (3,)))}, Progress(), IDENTITY)
    with np.load(path) as data:
        arrays = dict(data)
    first, second = "texture/layer/v0", "texture/layer/v1"
    arrays[first], arrays[second] = arrays[second], arrays[first]
    np.savez(path, **arrays)
    with pytest.raises(UserError, match="'texture/layer/v0' is not the one that was written under this name"):
        checkpoints.restore(path, {}, IDENTITY)
    assert checkpoints.read_identifiers(path) == IDENTITY, "an entry of the header does not need gigabytes of arrays"
    assert checkpoints.read_training_data(path) == (UNKNOWN,)


def test_a_renamed_variable_is_refused(tmp_path):
    checkpoints.save(tmp_path / "c.npz", {"texture": _variables(0)}, Progress(), IDENTITY)
    target = {name.replace("v1", "w1"): variable for name, variable in _variables(1).items()}
    with pytest.raises(UserError, match="'texture' must hold 'layer/w1'"):
        checkpoints.restore(tmp_path / "c.npz", {"texture": target}, IDENTITY)


def test_a_subset_of_the_groups_can_be_restored(tmp_path):
    checkpoints.save(tmp_path / "c.npz", {"texture": _variables(0), "optimizer": _variables(2)}, Progress(), IDENTITY)
    target = _variables(1)
    checkpoints.restore(tmp_path / "c.npz", {"texture": target}, IDENTITY)
    np.testing.assert_array_equal(target["layer/v0"].numpy(), _variables(0)["layer/v0"].numpy())


@pytest.mark.parametrize(
    ("groups", "identity", "message"),
    [
        ({"texture": _variables(1)}, {"face model": "other"}, "face model other, got abc"),
        ({"texture": _variables(1, ((2, 3), (5,), ()))}, IDENTITY, r"'texture' 'layer/v1' must be \[5\], got \[4\]"),
        (
            {"texture": _variables(1, ((2, 3),))},
            IDENTITY,
            "must hold 1 variables, got 3, 'layer/v1' among them",
        ),
        ({"critic": _variables(1)}, IDENTITY, "'critic' must hold 'layer/v0', got 0 other variables"),
    ],
)
def test_a_checkpoint_of_something_else_is_refused_and_changes_nothing(tmp_path, groups, identity, message):
    checkpoints.save(tmp_path / "c.npz", {"texture": _variables(0)}, Progress(), IDENTITY)
    before = [v.numpy().copy() for v in next(iter(groups.values())).values()]
    with pytest.raises(UserError, match=message):
        checkpoints.restore(tmp_path / "c.npz", groups, identity)
    for a, v in zip(before, next(iter(groups.values())).values(), strict=True):
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
        with pytest.raises(UserError, match="damaged or foreign"):
            checkpoints.read_training_data(path)


@pytest.mark.parametrize("named", [True, False])  # by the opening, or by a later read
def test_a_checkpoint_that_cannot_be_read_now_is_not_called_damaged(tmp_path, monkeypatch, named):
    path = tmp_path / "best.npz"
    checkpoints.save(path, {"texture": _variables(0)}, Progress(), IDENTITY)

    def failing(*_, **__):
        raise OSError(errno.EIO, "Input/output error", *([str(path)] if named else []))

    monkeypatch.setattr(zipfile.ZipFile, "open", failing)
    with pytest.raises(UserError, match=r"best\.npz: must be readable, got: Input/output error$"):
        checkpoints.read_options(path)


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
    broken["layer/v0"].assign(broken["layer/v0"] * np.nan)
    with pytest.raises(UserError, match=r"must be finite to be saved, got NaN .*after update 2 .*c\.npz is left"):
        checkpoints.save(path, {"texture": broken}, Progress(update=2), IDENTITY)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("variant", "stored", "fits"),
    [("default", "nz128", True), ("resnet", "nz16", True), ("normal", "nz128", False), ("normal", "nz64", True)],
)
def test_earlier_checkpoints_may_name_a_bottleneck_that_their_network_lacks(tmp_path, variant, stored, fits):
    """Earlier versions named texture.nz in the identifier of every network; it has an effect in `normal` only."""
    network = f"{variant}/one/all/K6/{{}}/wide"
    earlier, present = (IDENTITY | {"texture network": network.format(size)} for size in (stored, "nz64"))
    checkpoints.save(tmp_path / "c.npz", {"texture": _variables(0)}, Progress(), earlier)
    if fits:
        checkpoints.restore(tmp_path / "c.npz", {"texture": _variables(1)}, present)
        return
    with pytest.raises(UserError, match=r"must belong to texture network normal/.*/nz64/wide, got normal/.*/nz128/"):
        checkpoints.restore(tmp_path / "c.npz", {"texture": _variables(1)}, present)
