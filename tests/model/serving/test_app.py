"""The page's requests, with a stand-in for the reconstruction."""

import asyncio
import io
import itertools
import threading
import time

import pytest

pytest.importorskip("starlette.testclient", reason="needs requirements-serve.txt")

from model.serving.guard import POLICY
from model.serving.photo_queue import DONE, NO_SPACE, WORKING, PhotoQueue
from tests.support.helpers import ROOT
from tests.support.serving.photo_service import HERE, SECONDS, Bench, error, picture

# The operator's line; no option chooses the folder, and nothing need be run again.
FULL = (
    "{}: must have room for photos and results, got: No space left on device (free space, or set TMPDIR to a folder on "
    "another disk and start again)\n"
)


def test_a_photo_from_upload_to_download(bench):
    sent = bench.upload("my face.png")
    assert sent.status_code == 202
    identifier = sent.json()["id"]
    assert bench.until(identifier, WORKING)["name"] == "my face.png"
    second = bench.upload("b.png").json()["id"]
    assert bench.client.get(f"/photos/{second}").json()["position"] == 1
    assert bench.client.get(f"/photos/{identifier}/coefficients.json").status_code == 404
    bench.go.set()
    done = bench.until(identifier, DONE)
    assert (done["facts"], done["files"]) == ({"seconds": 1.0}, ["coefficients.json"])
    got = bench.client.get(f"/photos/{identifier}/coefficients.json")
    assert got.content == b"{}"
    assert "my%20face_coefficients.json" in got.headers["content-disposition"]
    for name in ("secret.txt", "..%2Fphoto.png", "rig.glb"):
        assert bench.client.get(f"/photos/{identifier}/{name}").status_code == 404
    assert bench.client.delete(f"/photos/{identifier}").status_code == 204
    assert "there is no such photo, or no longer" in error(bench.client.get(f"/photos/{identifier}"))


def test_a_face_is_shown_while_its_files_are_written(bench):
    identifier = bench.upload("early.png").json()["id"]
    deadline = time.monotonic() + SECONDS
    while "facts" not in (found := bench.client.get(f"/photos/{identifier}").json()):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    assert (found["state"], found["facts"], found["files"]) == (WORKING, {"seconds": 0.5}, ["face.json"])
    assert bench.client.get(f"/photos/{identifier}/face.json").content == b"{}"
    bench.go.set()
    done = bench.until(identifier, DONE)
    assert (done["facts"], done["files"]) == ({"seconds": 1.0}, ["face.json", "coefficients.json"])


def test_a_photo_ends_the_preparation_after_its_stage(tmp_path):
    entered, ended = threading.Event(), threading.Event()

    def prepare(enter):
        for number in itertools.count():  # without an end of its own
            enter(f"stage {number}")
            entered.set()
            if ended.wait(0.01):
                return

    photos = PhotoQueue(tmp_path, lambda job, progress: {"seconds": 1.0}, 2, 2, 60, prepare=prepare)
    photos.start()
    assert entered.wait(SECONDS)
    job = photos.reserve("a.png")
    photos.submit(job)
    deadline = time.monotonic() + SECONDS
    while job.state != DONE and time.monotonic() < deadline:
        time.sleep(0.005)
    ended.set()
    photos.stop()
    assert job.state == DONE


def test_a_full_queue_refuses_and_takes_again(bench):
    def places():
        return bench.client.get("/photos").json()["places"]

    assert places() == 2
    first = bench.upload().json()["id"]
    assert places() == 1
    bench.upload()
    assert places() == 0
    refused = bench.upload()
    assert refused.status_code == 429
    assert "at most 2 photos may wait" in error(refused)
    assert refused.headers["retry-after"] == "2"
    bench.go.set()
    bench.until(first, DONE)
    bench.until(bench.upload().json()["id"], DONE)


def test_failures_carry_the_program_s_words_and_others_go_on(bench, capsys):
    bench.go.set()
    assert bench.until(bench.upload("bad.png").json()["id"], "failed")["error"] == "no face found"
    broken = bench.until(bench.upload("broken.png").json()["id"], "failed")["error"]
    assert broken == NO_SPACE
    assert capsys.readouterr().err == FULL.format(bench.folder)
    bench.until(bench.upload().json()["id"], DONE)


@pytest.mark.parametrize(
    ("name", "content", "status", "message"),
    [
        ("a.png", b"x" * 10_001, 413, "at most 0.01 MB"),
        ("a.txt", b"not a photo", 415, "must be an image, got a file in an unknown format"),
        ("a.png", picture()[:20], 415, "must be a"),
        ("a.nef", picture(), 415, "a camera's raw file"),
        ("a.png", iter([b""]), 400, "must be sent as the body"),
    ],
)
def test_wrong_uploads_are_refused_and_leave_nothing(bench, name, content, status, message):
    refused = bench.upload(name, content)
    assert refused.status_code == status
    assert message in error(refused)
    assert list(bench.folder.iterdir()) == []
    assert bench.upload().status_code == 202


def test_a_form_is_no_photo(bench):
    refused = bench.upload("a.png", b"--x\r\n", headers={"content-type": "multipart/form-data; boundary=x"})
    assert (refused.status_code, error(refused)) == (
        415, "a photo must be the body of the request itself, got a form (curl: --data-binary @FILE)"
    )  # fmt: skip
    assert list(bench.folder.iterdir()) == []


@pytest.mark.parametrize("made", [True, False])
def test_an_upload_to_a_full_disk_is_refused_and_leaves_nothing(bench, monkeypatch, capsys, made):
    class FullDisk(io.BytesIO):
        def write(self, content):
            raise OSError(28, "No space left on device")

    def no_folder(path, **settings):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as full:
        if made:
            full.setattr("builtins.open", lambda path, mode: FullDisk())
        else:
            full.setattr("pathlib.Path.mkdir", no_folder)
        refused = bench.upload()
    assert (refused.status_code, error(refused)) == (507, NO_SPACE)
    assert capsys.readouterr().err == FULL.format(bench.folder)
    assert list(bench.folder.iterdir()) == []
    assert [bench.upload().status_code for _ in range(2)] == [202, 202]  # its place is free


def test_a_body_of_a_declared_size_that_is_too_large_is_not_read(bench):
    async def receive():
        pytest.fail("the body must not be read")

    async def send(message):
        answers.append(message)

    answers, host = [], HERE.removeprefix("http://").encode()
    headers = [(b"host", host), (b"content-length", b"10001")]
    scope = {"type": "http", "http_version": "1.1", "method": "POST", "scheme": "http", "path": "/photos"}
    scope |= {"query_string": b"name=a.png", "headers": headers, "server": None, "client": None, "root_path": ""}
    asyncio.run(bench.app(scope, receive, send))
    assert answers[0]["status"] == 413
    assert list(bench.folder.iterdir()) == []


def test_a_body_of_undeclared_size_is_cut_off(bench):
    refused = bench.upload("a.png", (b"x" * 1000 for _ in range(50)))
    assert refused.status_code == 413
    assert list(bench.folder.iterdir()) == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"host": "localhost:1234"}, 200),
        ({"host": "[::1]:8000"}, 200),
        ({"host": "192.168.1.5:8000"}, 200),
        ({"host": "evil.example"}, 403),
        ({"host": "127.0.0.1.evil.example:8000"}, 403),
        ({"host": ""}, 403),
        ({"host": "[::1"}, 403),
        ({"origin": HERE}, 200),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "http://127.0.0.1:8001"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://["}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "none"}, 200),
    ],
)
def test_only_the_page_itself_may_ask(bench, headers, status):
    answer = bench.client.get("/", headers=headers)
    assert answer.status_code == status
    assert answer.headers["content-security-policy"] == POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
    if status == 403:
        assert bench.client.post("/photos", headers=headers, content=picture()).status_code == 403
        assert list(bench.folder.iterdir()) == []


LINK = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("GET", LINK, 200),
        ("GET", LINK | {"sec-fetch-site": "same-site"}, 200),
        ("GET", LINK | {"sec-fetch-dest": "iframe"}, 403),
        ("GET", LINK | {"sec-fetch-mode": "no-cors"}, 403),
        ("GET", LINK | {"origin": "http://evil.example"}, 403),
        ("GET", LINK | {"host": "evil.example"}, 403),
        ("POST", LINK, 403),
    ],
)
def test_a_link_from_elsewhere_opens_the_page_and_nothing_else(bench, method, headers, status):
    address = "/photos" if method == "POST" else "/"
    assert bench.client.request(method, address, headers=headers).status_code == status


def test_a_name_of_the_operator_is_permitted(tmp_path):
    bench = Bench(tmp_path, **{"serve.names": ["faces.example"]})
    https = {"host": "Faces.example", "origin": "https://faces.example"}
    assert bench.client.get("/", headers=https).status_code == 200
    assert bench.client.get("/", headers={"host": "other.example"}).status_code == 403
    bench.photos.stop()


def test_what_is_removed_leaves_no_file(bench):
    """Waiting, in work and finished photos; by the user, by time and by number."""
    working, waiting = bench.upload().json()["id"], bench.upload().json()["id"]
    bench.until(working, WORKING)
    for identifier in (working, waiting):
        assert bench.client.delete(f"/photos/{identifier}").status_code == 204
    bench.go.set()
    done = bench.upload().json()["id"]
    bench.until(done, DONE)
    assert len(list(bench.folder.iterdir())) == 1
    bench.now = 59.9
    assert bench.client.get(f"/photos/{done}").status_code == 200
    bench.now = 60.0
    assert bench.client.get(f"/photos/{done}").status_code == 404
    assert list(bench.folder.iterdir()) == []


def test_only_so_many_results_are_held(tmp_path):
    bench = Bench(tmp_path, **{"serve.results": 2})
    bench.go.set()
    identifiers = []
    for _ in range(3):
        bench.now += 1
        identifiers.append(bench.upload().json()["id"])
        bench.until(identifiers[-1], DONE)
    codes = [bench.client.get(f"/photos/{identifier}").status_code for identifier in identifiers]
    assert codes == [404, 200, 200]
    told = "there is no such photo, or no longer: photos are removed after 1 minute or 2 later photos"
    assert error(bench.client.get(f"/photos/{identifiers[0]}")) == told
    bench.photos.stop()


def test_unknown_addresses_and_methods_are_one_line(bench):
    assert error(bench.client.get("/../etc/passwd")) == "there is no such page"
    assert bench.client.put("/photos").status_code == 405
    assert "there is no such photo, or no longer" in error(bench.client.get("/photos/guess"))


def test_names_are_harmless(bench):
    for name in ("../../etc/passwd", "C:\\x\\passwd", "pass\nwd", "<b>.png"):
        job = bench.photos.reserve(name)
        assert job.photo.parent == job.folder
        assert "/" not in job.name
        assert job.name.isprintable()
        bench.photos.remove(job)


def test_the_packages_are_those_of_the_requirements():
    names = {line.split("==")[0] for line in (ROOT / "requirements-serve.txt").read_text().splitlines()}
    assert {"starlette", "uvicorn"} <= names
