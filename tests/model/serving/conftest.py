"""The requests with a stand-in for the reconstruction; the whole page, and a browser."""

import pytest

from tests.support.gltf.three_viewer import chromium
from tests.support.serving.served_page import served_page

CAMERA = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")


@pytest.fixture
def bench(tmp_path):
    pytest.importorskip("starlette.testclient", reason="needs requirements-serve.txt")
    from tests.support.serving.photo_service import Bench

    made = Bench(tmp_path)
    yield made
    made.go.set()
    made.photos.stop()


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """Address of a page, and the folder of its uploads and of what it keeps."""
    pytest.importorskip("uvicorn", reason="needs requirements-serve.txt")
    root = tmp_path_factory.mktemp("serve")
    with served_page(root) as url:
        yield url, root


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright of requirements-dev.txt")
    with playwright.sync_playwright() as started:
        instance = chromium(started, *CAMERA)
        yield instance
        instance.close()
