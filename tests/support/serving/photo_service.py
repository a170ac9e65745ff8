"""The requests of --mode serve with a stand-in for the reconstruction."""

import io
import threading
import time

from PIL import Image
from starlette import testclient

from configs import schema
from lib.errors import UserError
from model.serving.app import Service
from model.serving.photo_queue import PhotoQueue

HERE = "http://127.0.0.1:8000"
SECONDS = 60  # for anything to happen; the machine may be busy


def picture(kind="PNG"):
    stream = io.BytesIO()
    Image.new("RGB", (40, 30), (200, 150, 130)).save(stream, kind)
    return stream.getvalue()


class Bench:
    """A server whose work waits until it is let go."""

    def __init__(self, folder, **limits):
        overrides = {"serve.queue": 2, "serve.upload_mb": 0.01, "serve.minutes": 1.0} | limits
        self.section = schema.load(overrides=overrides).serve
        self.go, self.now, self.folder = threading.Event(), 0.0, folder
        self.photos = PhotoQueue(
            folder, self.work, self.section.queue, self.section.results, 60 * self.section.minutes, lambda: self.now
        )
        self.photos.start()
        self.app = Service(self.section, self.photos, {"": b"<html>"}).app()
        self.client = testclient.TestClient(self.app, base_url=HERE)

    def work(self, job, progress):
        progress.enter("finding the face")
        if "early" in job.name:
            job.results.mkdir()
            (job.results / "face.json").write_text("{}")
            progress.show({"seconds": 0.5})
        assert self.go.wait(SECONDS)
        progress.enter("fitting")
        if "bad" in job.name:
            raise UserError(f"{job.photo}: no face found")
        if "broken" in job.name:
            raise OSError(28, "No space left on device")
        job.results.mkdir(exist_ok=True)
        (job.results / "coefficients.json").write_text("{}")
        (job.results / "secret.txt").write_text("not offered")
        return {"seconds": 1.0}

    def upload(self, name="a.png", content=None, **settings):
        return self.client.post("/photos", params={"name": name}, content=content or picture(), **settings)

    def until(self, identifier, *states):
        deadline = time.monotonic() + SECONDS
        while (found := self.client.get(f"/photos/{identifier}").json())["state"] not in states:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        return found


def error(response):
    """The line of a refusal."""
    return response.json()["error"]
