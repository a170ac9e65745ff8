"""Requests of the live head, with a stand-in for the tracking; and the tracking of a photo that moves."""

import io
import itertools
import threading
import types

import numpy as np
import pytest
from PIL import Image

from configs import schema
from tests.support.photo_corpus import portrait

testclient = pytest.importorskip("starlette.testclient", reason="needs requirements-serve.txt")
HERE = "http://127.0.0.1:8000"


def jpeg(size=(64, 48)):
    stream = io.BytesIO()
    Image.new("RGB", size, (200, 150, 130)).save(stream, "JPEG")
    return stream.getvalue()


def bomb():
    """A JPEG whose header claims 65,000 px a side."""
    content, start = jpeg(), jpeg().index(b"\xff\xc0")
    return content[: start + 5] + 2 * (65_000).to_bytes(2, "big") + content[start + 9 :]


class Bench:
    """A server with nothing but the live head; its tracking waits while `hold` is clear."""

    def __init__(self):
        from model.serving.app import Service
        from model.serving.live import LiveRequests

        self.now, self.hold, self.entered = 100.0, threading.Event(), threading.Event()
        self.hold.set()
        self.frames = []
        live = LiveRequests(lambda: self.begin(), lambda: self.now)
        self.client = testclient.TestClient(
            Service(schema.load().serve, None, {"": b"<html>"}, live).app(),
            base_url=HERE,
            raise_server_exceptions=False,
        )

    def begin(self):
        return self.follow

    def follow(self, frame, seconds):
        self.entered.set()
        assert self.hold.wait(60)
        self.frames.append((frame.shape, seconds))
        return {"state": "face", "angles": [0.0, 0.1, 0.0], "weights": []}

    def start(self):
        return self.client.post("/live")

    def send(self, identifier, content=None, **settings):
        return self.client.post(f"/live/{identifier}", content=jpeg() if content is None else content, **settings)


@pytest.fixture
def bench():
    return Bench()


def error(response):
    return response.json()["error"]


def test_a_visitor_comes_and_goes(bench):
    begun = bench.start()
    assert begun.status_code == 201
    identifier = begun.json()["id"]
    answer = bench.send(identifier).json()
    assert answer == {"state": "face", "angles": [0.0, 0.1, 0.0], "weights": [], "milliseconds": 0.0}
    assert bench.frames == [((48, 64, 3), 100.0)]
    assert bench.client.delete(f"/live/{identifier}").status_code == 204
    assert bench.send(identifier).status_code == 404
    assert bench.start().status_code == 201


def test_one_visitor_at_a_time(bench):
    first = bench.start().json()["id"]
    bench.now += 4.9
    refused = bench.start()
    assert (refused.status_code, error(refused)[:15]) == (409, "another visitor")
    assert bench.send(first).status_code == 200
    bench.now += 5.1
    second = bench.start().json()["id"]
    assert error(bench.send(first)) == "this tracking has ended"
    assert bench.send(second).status_code == 200
    assert bench.client.delete(f"/live/{first}").status_code == 404


def test_a_tracking_that_cannot_begin_leaves_the_place_free(bench):
    bench.begin = lambda: fail(RuntimeError("no memory"))
    assert [bench.start().status_code for _ in range(2)] == [500, 500]
    del bench.begin
    assert bench.start().status_code == 201


def test_frames_are_not_queued(bench):
    identifier = bench.start().json()["id"]
    bench.hold.clear()
    answers = []
    sender = threading.Thread(target=lambda: answers.append(bench.send(identifier).status_code))
    sender.start()
    assert bench.entered.wait(60)
    assert bench.send(identifier).status_code == 429
    bench.hold.set()
    sender.join()
    assert answers == [200]
    assert bench.send(identifier).status_code == 200


@pytest.mark.parametrize(
    ("content", "status", "message"),
    [
        (b"no picture", 415, "a frame must be a whole JPEG, got 10 bytes that are none"),
        (b"", 415, "a frame must be a whole JPEG, got 0 bytes that are none"),
        (jpeg()[:200], 415, "a frame must be a whole JPEG"),
        (b"\xff" * 1_000_001, 413, "at most 1,000,000 bytes"),
        (bomb(), 415, "a frame must be a whole JPEG"),
        (jpeg((1281, 10)), 413, "sides of at most 1280 px, got 1281 x 10"),
    ],
)
def test_what_is_no_frame_is_refused(bench, content, status, message):
    identifier = bench.start().json()["id"]
    refused = bench.send(identifier, content)
    assert (refused.status_code, bench.frames) == (status, [])
    assert message in error(refused)
    assert bench.send(identifier).status_code == 200


def test_other_sites_cannot_look_through_the_page(bench):
    identifier = bench.start().json()["id"]
    evil = {"origin": "http://evil.example"}
    assert bench.client.post("/live", headers=evil).status_code == 403
    assert bench.send(identifier, headers=evil).status_code == 403
    assert bench.send("guess").status_code == 404
    assert bench.frames == []


def real_face():
    """The real tracking."""
    from model.reconstruction.face_reconstructor import FaceReconstructor
    from model.serving.live import LiveFace
    from tests.support.reconstruction_parts import SIZE, untrained_parts

    config = schema.load(overrides={"fit.steps": 0, "data.image_size": SIZE})
    pipeline = untrained_parts()
    work = types.SimpleNamespace(weights=lambda expression, gaze: [float(np.abs(expression).max())])
    return LiveFace(config, FaceReconstructor(config, pipeline), work)


def test_a_face_is_learned_and_then_followed():
    """A portrait that moves to the right through the picture."""
    follow = real_face()
    photo = np.asarray(portrait().convert("RGB"))
    answers = [follow(np.roll(photo, 2 * frame, axis=1), frame / 30) for frame in range(10)]
    assert [answer["state"] for answer in answers] == ["learning"] * 8 + ["face"] * 2
    assert [answer["missing"] for answer in answers[:8]] == list(range(7, -1, -1))
    assert np.abs(answers[9]["angles"]).max() < 0.5
    assert np.subtract(answers[9]["angles"], answers[8]["angles"]) == pytest.approx([0, 0, 0], abs=0.03)
    assert follow(np.zeros_like(photo), 1.0) == {"state": "lost"}


def test_a_lasting_fault_is_told_to_the_visitor_and_each_reason_once(bench, monkeypatch, capsys):
    """As a face that is lost, it would go on for ever, with a line a frame if two reasons took turns."""
    from model.serving.live import MOST_TOLD

    bench.follow = real_face()
    reasons = itertools.chain([ValueError("one"), TypeError("two")] * 3, map(ValueError, range(50)))
    monkeypatch.setattr(bench.follow, "_find", lambda frame, seconds: fail(next(reasons)))
    identifier = bench.start().json()["id"]
    capsys.readouterr()
    for _ in range(6):
        failed = bench.send(identifier)
        assert (failed.status_code, error(failed)[:23]) == (500, "the program has failed ")
    told = capsys.readouterr().err.splitlines()
    assert [line[:36] for line in told] == [f"a frame of the live head failed: {reason}" for reason in ("one", "two")]
    for _ in range(50):
        bench.send(identifier)
    assert len(capsys.readouterr().err.splitlines()) == MOST_TOLD - 2


def fail(error):
    raise error
