"""What goes wrong on the server's side: work that fails late, visitors who leave, folders that vanish."""

import asyncio
import json
import shutil
from pathlib import Path

import pytest

pytest.importorskip("starlette.testclient", reason="needs requirements-serve.txt")

from starlette.testclient import TestClient

from model.serving.guard import POLICY
from model.serving.photo_queue import DONE, FAILED, NO_SPACE
from tests.support.serving.photo_service import HERE, error, picture


def test_a_face_that_was_shown_outlives_the_failure_of_its_files(bench):
    bench.go.set()
    identifier = bench.upload("early broken.png").json()["id"]
    failed = bench.until(identifier, FAILED)
    assert failed["error"] == NO_SPACE
    assert (failed["facts"], failed["files"]) == ({"seconds": 0.5}, ["face.json"])
    assert bench.client.get(f"/photos/{identifier}/face.json").content == b"{}"


def upload_scope():
    """A request's head."""
    host = HERE.removeprefix("http://").encode()
    headers = {"headers": [(b"host", host)], "query_string": b"name=a.png"}
    return {"type": "http", "method": "POST", "path": "/photos", **headers}


@pytest.mark.parametrize(
    ("visitor", "limit"), [("gone", "UPLOAD_SECONDS"), ("silent", "UPLOAD_SECONDS"), ("silent", "PAUSE_SECONDS")]
)
def test_a_refused_upload_is_not_waited_for(bench, monkeypatch, visitor, limit):
    limits = {"SECONDS_PER_MB": 0.0, "UPLOAD_SECONDS": 60.0, "PAUSE_SECONDS": 60.0} | {limit: 0.05}
    for name, seconds in limits.items():
        monkeypatch.setattr(f"model.serving.app.{name}", seconds)
    for _ in range(2):
        bench.upload()
    sent = []

    async def receive():
        if visitor == "silent":
            await asyncio.sleep(60)
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    asyncio.run(asyncio.wait_for(bench.app(upload_scope(), receive, send), 10))
    assert sent[0]["status"] == 429


def sent_slowly(bench, pause):
    """Status and body of the answer to a photo that is sent in two parts, with a pause between them."""
    parts, sent = [picture()[:40], picture()[40:]], []

    async def receive():
        if len(parts) == 1:
            await asyncio.sleep(pause)
        return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

    async def send(message):
        sent.append(message)

    asyncio.run(bench.app(upload_scope(), receive, send))
    return sent[0]["status"], json.loads(sent[1]["body"])


def test_an_upload_that_pauses_too_long_is_refused(bench, monkeypatch):
    monkeypatch.setattr("model.serving.app.PAUSE_SECONDS", 0.05)
    told = "a photo must arrive within 120 s and without pauses of 0.05 s, got 40 bytes"
    assert sent_slowly(bench, 60) == (408, {"error": told})


@pytest.mark.parametrize(("seconds_per_mb", "status"), [(0.0, 408), (1e6, 202)])
def test_a_larger_photo_has_more_time(bench, monkeypatch, seconds_per_mb, status):
    monkeypatch.setattr("model.serving.app.UPLOAD_SECONDS", 0.0)
    monkeypatch.setattr("model.serving.app.SECONDS_PER_MB", seconds_per_mb)
    assert sent_slowly(bench, 0.1)[0] == status


def test_a_fault_of_the_program_is_told_in_json_and_to_the_operator(bench, monkeypatch):
    def broken(identifier):
        raise ValueError("a secret of the program")

    monkeypatch.setattr(bench.photos, "get", broken)
    answer = TestClient(bench.app, base_url=HERE, raise_server_exceptions=False).get("/photos/a")
    assert (answer.status_code, error(answer)) == (500, "the program has failed at this request; its output says why")
    assert answer.headers["content-security-policy"] == POLICY
    with pytest.raises(ValueError, match="a secret"):  # reaches the server, which prints it
        bench.client.get("/photos/a")


def test_a_result_that_is_removed_at_this_moment_is_missing(bench, monkeypatch):
    bench.go.set()
    identifier = bench.upload().json()["id"]
    bench.until(identifier, DONE)
    shutil.rmtree(bench.photos.get(identifier).folder)
    monkeypatch.setattr(Path, "is_file", lambda path: True)  # it was there a moment ago
    gone = bench.client.get(f"/photos/{identifier}/coefficients.json")
    assert (gone.status_code, error(gone)) == (404, "there is no such result")


def test_a_temporary_folder_that_was_tidied_up_is_made_again(bench):
    bench.go.set()
    bench.folder.rmdir()
    bench.until(bench.upload().json()["id"], DONE)
    assert bench.folder.stat().st_mode & 0o777 == 0o700
