"""Occluders for the mask decoder: each covers skin where it should; the usual photos stay as they were."""

import dataclasses

import numpy as np
import pytest

from lib.synthetic.builtin.face_generator import build_face_model
from lib.synthetic.occlusion import covers, overlays
from lib.synthetic.photos import PhotoSettings, SyntheticFaces

SIZE = 96
BARE = PhotoSettings(supersampling=1, occluders=False, imaging=False)
JAW, BROWS, EYES, MOUTH = range(17), range(17, 27), range(36, 48), range(48, 68)
# Landmarks near which each occluder must cover something on the first photo; a hand or an object may lie elsewhere.
PLACES = {
    "dark glasses": EYES, "clear glasses": EYES, "fringe": BROWS, "side locks": JAW, "strands": (*BROWS, *EYES),
    "microphone": MOUTH, "face mask": MOUTH, "hand": JAW, "object": JAW,
}  # fmt: skip
HEADWEAR = ("cap", "hat")


@pytest.fixture(scope="module")
def model():
    return build_face_model(3000)


@pytest.fixture(scope="module")
def bare(model):
    return SyntheticFaces(model, SIZE, 5, BARE)


def photo(model, index, kind, monkeypatch):
    monkeypatch.setattr(
        "lib.synthetic.photos.sample_covers", lambda generator, _: covers.Covers(frozenset([kind]), generator)
    )
    return SyntheticFaces(model, SIZE, 5, dataclasses.replace(BARE, covers=True)).sample(index)


def near(lost, without, landmarks) -> int:
    """Number of pixels within 8 px of landmarks."""
    rows, columns = np.nonzero(lost)
    spots = without.landmarks[list(landmarks)]
    return int((np.hypot(columns[:, None] + 0.5 - spots[:, 0], rows[:, None] + 0.5 - spots[:, 1]).min(1) < 8).sum())


@pytest.mark.parametrize("kind", [*PLACES, *HEADWEAR])
def test_each_kind_covers_skin_where_it_belongs(model, bare, monkeypatch, kind):
    without, covered = bare.sample(0), photo(model, 0, kind, monkeypatch)
    np.testing.assert_array_equal(covered.coefficients, without.coefficients)
    assert not (covered.alpha[covered.occluder] > 0).any()
    lost = (without.alpha > 0) & (covered.alpha == 0)
    if kind in HEADWEAR:
        above = np.arange(SIZE) < without.landmarks[list(BROWS), 1].min()
        assert lost[above].sum() > 0.9 * lost.sum() > 200, "the forehead"
        assert near(lost, without, EYES) == 0
    else:
        assert near(lost, without, PLACES[kind]) > 40
    changed = np.abs(covered.image.astype(int) - without.image).max(-1) > 8
    assert changed[lost].mean() > 0.5, "what is covered looks different"


def test_every_kind_that_is_drawn_is_tested(bare):
    generator = np.random.default_rng(0)
    moment = dataclasses.replace(bare.moment(0), hair_style="short")
    drawn = frozenset().union(*(covers.sample_covers(generator, moment).kinds for _ in range(500)))
    assert drawn == {*PLACES, *HEADWEAR}


def test_of_clear_glasses_the_rims_alone_cover_skin(model, bare, monkeypatch):
    without = bare.sample(0).alpha > 0
    dark, clear = (without & (photo(model, 0, f"{kind} glasses", monkeypatch).alpha == 0) for kind in ("dark", "clear"))
    assert 0 < clear.sum() < 0.3 * dark.sum()


@pytest.mark.parametrize("around", [False, True])
def test_a_brim_reaches_out_over_the_eyes(bare, around):
    marks = bare.face.landmarks.astype(np.float64)
    brim = covers.brim(marks, np.full(3, 0.4), np.random.default_rng(0), around)
    eyes, front = marks[36:48].mean(0), marks[17:27, 2].max()
    middle = np.abs(brim.part.vertices[:, 0]) < 15
    assert (brim.part.vertices[:, 1] > eyes[1]).all()
    assert brim.part.vertices[middle, 2].max() > front + 30
    assert (brim.part.vertices[:, 2].min() < eyes[2] - 100) == around, "a hat's brim goes round to the back"


def test_the_usual_photos_have_none(model):
    usual = SyntheticFaces(model, SIZE, 5, PhotoSettings(supersampling=1))
    same = SyntheticFaces(model, SIZE, 5, PhotoSettings(supersampling=1, covers=False))
    np.testing.assert_array_equal(usual.sample(2).image, same.sample(2).image)
    assert not PhotoSettings().covers


def test_photos_with_covers_depend_on_seed_and_index_alone(model):
    settings = dataclasses.replace(BARE, covers=True)
    first, second = (SyntheticFaces(model, SIZE, 5, settings) for _ in range(2))
    second.sample(1)
    np.testing.assert_array_equal(first.sample(4).image, second.sample(4).image)
    np.testing.assert_array_equal(first.sample(4).alpha, second.sample(4).alpha)


def test_kinds_have_their_shares(bare):
    generator, count = np.random.default_rng(0), 4000
    moment = dataclasses.replace(bare.moment(0), hair_style="short")
    drawn = [covers.sample_covers(generator, moment).kinds for _ in range(count)]
    for kind, share in (("cap", covers.CAP), ("dark glasses", covers.DARK_GLASSES), ("hand", covers.HANDS)):
        assert sum(kind in kinds for kinds in drawn) / count == pytest.approx(share, abs=0.025)
    assert not any({"cap", "hat"} <= kinds or {"dark glasses", "clear glasses"} <= kinds for kinds in drawn)
    bald = dataclasses.replace(moment, hair_style="bald")
    assert not any("fringe" in covers.sample_covers(generator, bald).kinds for _ in range(200))


def test_locks_lie_on_their_paths():
    path = np.stack([np.full(20, 30.0), np.linspace(10, 50, 20)], 1)
    cover, bright = overlays.draw_locks(64, [path], np.array([8.0]), np.random.default_rng(0))
    rows, columns = np.nonzero(cover > 0.5)
    assert len(rows) > 100
    assert np.abs(columns + 0.5 - 30).max() < 7
    assert rows.min() >= 8
    assert rows.max() <= 52
    assert bright[cover > 0.5].std() > 0.03
