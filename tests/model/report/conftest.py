"""Pages in a browser: headless Chromium, whose WebGL runs on the processor."""

import pytest

from tests.support.gltf.three_viewer import chromium
from tests.support.report_pages import NASTY, write_page


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright of requirements-dev.txt")
    with playwright.sync_playwright() as started:
        instance = chromium(started)
        yield instance
        instance.close()


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return write_page(tmp_path_factory.mktemp("small"), 4, [NASTY, "cup.jpg"])


@pytest.fixture
def opened(browser):
    """Opens pages; afterwards there must have been no message, no request but for the page, and no overflow."""
    contexts = []

    def open_page(path, width=1280, height=900, **settings):
        # A face that turns unasked keeps the processor busy with drawing; only one test waits for that.
        settings = {"reduced_motion": "reduce"} | settings
        context = browser.new_context(viewport={"width": width, "height": height}, **settings)
        page = context.new_page()
        messages, requests = [], []
        page.on("console", lambda message: messages.append(message.text))
        page.on("pageerror", lambda error: messages.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        contexts.append((context, page, path, messages, requests))
        page.goto(path.as_uri(), wait_until="domcontentloaded")
        return page

    yield open_page
    for context, page, path, messages, requests in contexts:
        wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        context.close()
        assert messages == []
        assert [url for url in requests if not url.startswith("data:")] == [path.as_uri()]
        assert wide <= 0
