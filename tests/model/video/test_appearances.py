"""Cuts, gaps and people in a video: model/video/appearances.py, and the tracker that it divides."""

from types import SimpleNamespace

import numpy as np
import pytest

from lib.face_image.detection import Face
from model.video import frames as video_frames
from model.video import track as video
from model.video.appearances import LOST, find_appearances, main_person
from model.video.frames import FrameTracker

ANNA, BERT = np.eye(2)
WIDTH = 40.0


def appearances(*shots):
    """Appearances of shots (first frame, last frame, x, identity)."""
    rows = [(frame, x, identity) for first, last, x, identity in shots for frame in range(first, last + 1)]
    frames, x, identities = zip(*rows, strict=True)
    centres = np.stack([np.array(x, float), np.zeros(len(x))], axis=1)
    found = find_appearances(np.array(frames), centres, np.full(len(x), WIDTH), np.stack(identities))
    return found, [(int(one.frames[0]), int(one.frames[-1])) for one in found]


def test_another_person_elsewhere_after_a_gap_is_left_out():
    found, spans = appearances((0, 9, 100, ANNA), (14, 25, 300, BERT))
    assert spans == [(0, 9), (14, 25)]
    (own,) = main_person(found)
    assert own.span == slice(14, 26), "the one with more frames"


def test_two_people_who_look_much_alike_are_two():
    """The identity network gives the two people of a clip that shows one after the other a cosine of 0.6."""
    found, _ = appearances((0, 9, 100, ANNA), (14, 25, 300, 0.65 * ANNA + 0.76 * BERT))
    assert len(main_person(found)) == 1


def test_the_same_person_elsewhere_is_kept():
    found, spans = appearances((0, 9, 100, ANNA), (14, 25, 300, ANNA + 0.3 * BERT), (26, 30, 100, ANNA))
    assert spans == [(0, 9), (14, 25), (26, 30)]
    assert len(main_person(found)) == 3


@pytest.mark.parametrize(
    ("missed", "x", "identity", "parts"),
    [
        (LOST - 1, 110, ANNA, 1),
        (LOST, 110, ANNA, 2),
        (3, 100 + WIDTH, ANNA, 2),
        (3, 110, BERT, 2),
        (0, 110, BERT, 1),  # a single frame's embedding may be off
    ],
)
def test_a_gap_is_bridged_where_the_same_face_stays(missed, x, identity, parts):
    _, spans = appearances((0, 9, 100, ANNA), (10 + missed, 20 + missed, x, identity))
    assert len(spans) == parts


def face(x: float, size: float = WIDTH) -> Face:
    return Face(np.array([x - size / 2, 0, size, size]), np.tile([x, size / 2], (5, 1)), 1.0)


def followed(monkeypatch, *pictures) -> list[float | None]:
    """Where the tracker finds its face in pictures, each a list of faces."""
    pictured = iter(pictures)
    monkeypatch.setattr(video_frames, "detect_faces", lambda *_, **__: next(pictured))
    reader = SimpleNamespace(min_confidence=0.9, aligned=lambda name, frame, found: found.points[0, 0])
    tracker = FrameTracker(reader)
    return [tracker(np.zeros((4, 4, 3), np.uint8), "") for _ in pictures]


def test_a_new_face_is_followed_from_its_first_frame(monkeypatch):
    found = followed(monkeypatch, [face(100)], [face(105)], [], [], [face(300)], [face(305)], [face(100, 60)])
    assert found == [100, 105, None, None, 300, 305, 100]


def test_a_face_that_was_beside_is_no_substitute_until_the_first_is_lost(monkeypatch):
    both, other = [face(100, 50), face(300)], [face(300)]
    found = followed(monkeypatch, both, other, other, both, *[other] * (LOST + 2))
    assert found[:4] == [100, None, None, 100]
    assert found[4:] == [None] * LOST + [300, 300]


def test_frames_are_named_as_ranges():
    assert video._ranges(np.array([1, 1, 0, 0, 1, 0, 1, 1, 1], bool)) == "0 to 1, 4, 6 to 8"
    assert video._ranges(np.zeros(3, bool)) == ""
