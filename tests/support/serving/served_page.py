"""The page of --mode serve with a small reconstructor behind it, for tests in a browser."""

import base64
import contextlib
import io
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from configs import schema
from lib.runtime.interruption import DeferredStop
from model.reconstruction.face_reconstructor import FaceReconstructor
from tests.support.gltf.three_viewer import wait
from tests.support.reconstruction_parts import SIZE, untrained_parts

MAY_WRITE = threading.Event()  # cleared, the work on a photo waits before it writes the files for download
MUST_FAIL = threading.Event()  # set, it fails there
FRAMES: list[tuple[int, ...]] = []  # shapes of the webcam's frames that arrived


def nodding(weights):
    """A face that nods, and opens every other frame whatever it can."""

    def follow(frame, seconds):
        FRAMES.append(frame.shape)
        if len(FRAMES) < 3:
            return {"state": "learning", "missing": 3 - len(FRAMES)}
        level = len(FRAMES) % 2
        return {"state": "face", "angles": [0.3 * level, 0.2, 0.0], "weights": [0.6 * level] * weights}

    return follow


@contextlib.contextmanager
def served_page(root: Path) -> Iterator[str]:
    """Address of a page; its uploads are in `root`/uploads, what it keeps in `root`/kept."""
    from model.serving.app import Service
    from model.serving.live import LiveRequests
    from model.serving.photo_queue import PhotoQueue
    from model.serving.reconstruction import PhotoWork
    from model.serving.server import PageServer, address, assets, listen

    class Work(PhotoWork):
        def write_files(self, folder, result):
            assert MAY_WRITE.wait(60)
            if MUST_FAIL.is_set():
                raise OSError(28, "No space left on device")
            super().write_files(folder, result)

    MAY_WRITE.set()
    overrides = {
        "fit.steps": 0,
        "fit.landmarks": False,
        "data.image_size": SIZE,
        "export.texture_size": 256,
        "serve.port": 0,
    }
    overrides |= {"data.root_dir": str(root), "serve.queue": 2}
    config = schema.load(overrides=overrides)
    (root / "uploads").mkdir()
    work = Work(FaceReconstructor(config, untrained_parts()), root / "kept")
    complaints = io.StringIO()
    with contextlib.redirect_stderr(complaints):
        work.warm_up(lambda stage: None)
    assert complaints.getvalue() == ""
    photos = PhotoQueue(root / "uploads", work, config.serve.queue, 10, 60)
    with listen(config.serve) as listening:
        sliders = len(work.weights(np.zeros(work.reconstruct.pipeline.face_model.layout.expression), None))
        live = LiveRequests(lambda: nodding(sliders))
        service = Service(config.serve, photos, assets(config.serve, work.shared(), live=True), live)
        running = PageServer(service, DeferredStop())
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]})
        photos.start()
        thread.start()
        yield address(listening).split()[1]
        running.should_exit = True
        thread.join()
        photos.stop()


def view(page):
    """The head's picture, int [H, W, 4], as soon as it is drawn."""
    wait(page, "view.face && !view.stale && view.canvas.height > 100")
    data = page.evaluate("view.canvas.toDataURL().split(',')[1]")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGBA"), int)


def move(page, name, value):
    """Moves a slider."""
    page.evaluate(
        """([name, value]) => {
            const input = sliders.elements[name];
            input.value = value;
            input.dispatchEvent(new Event("input", { bubbles: true }));
        }""",
        [name, value],
    )
