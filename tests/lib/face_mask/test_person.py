"""The person in a photo, by the shipped network, on a real photo."""

import numpy as np
import pytest
import skimage.data

from lib.errors import UserError
from lib.face_mask import person
from lib.face_mask.person import LIMIT, person_log_odds


@pytest.fixture(scope="module")
def astronaut() -> np.ndarray:
    return skimage.data.astronaut().astype(np.float32) / 255


def test_face_and_suit_are_the_person_and_flag_and_wall_are_not(astronaut):
    odds = person_log_odds(astronaut)
    assert odds.shape == astronaut.shape[:2]
    assert np.abs(odds).max() <= LIMIT
    for rows, columns in ((slice(20, 180), slice(190, 260)), (slice(300, 500), slice(150, 300))):
        assert (odds[rows, columns] > 2).mean() > 0.95
    for rows, columns in ((slice(0, 200), slice(0, 100)), (slice(0, 100), slice(320, 420))):
        assert (odds[rows, columns] < -2).mean() > 0.95


@pytest.mark.parametrize("side", [100, 700], ids=["smaller than the network's input", "larger"])
def test_the_picture_may_have_any_size(astronaut, side):
    picture = astronaut[:350, 50:400]
    rows = np.arange(side) * len(picture) // side
    found, expected = person_log_odds(picture[rows][:, rows]), person_log_odds(picture)[rows][:, rows]
    assert found.shape == (side, side)
    assert ((found > 0) == (expected > 0)).mean() > 0.97


@pytest.mark.parametrize("content", [None, b"", b"TFL3" * 100], ids=["missing", "empty", "another file"])
def test_a_file_that_is_not_the_network_is_refused(tmp_path, monkeypatch, content):
    path = tmp_path / "network.tflite"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setattr(person, "SHIPPED", path)
    with pytest.raises(UserError, match=r"\.tflite: must be .* \(`git checkout -- .*network\.tflite` restores it, or"):
        person.load_network.__wrapped__()
