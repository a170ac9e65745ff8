"""The local page in headless Chromium where something fails or is done at the wrong moment."""

import contextlib
import json
import time
import urllib.error
import urllib.request

import numpy as np
import pytest

from tests.support.gltf.three_viewer import wait
from tests.support.photo_corpus import portrait
from tests.support.serving.served_page import MAY_WRITE, MUST_FAIL, move, view

ENDED = "photos.every(({ state }) => state == 'done' || state == 'failed')"


@pytest.fixture
def opened(served, browser):
    """Opens the page; afterwards no exception may have reached the browser, and all photos are removed."""
    pages, problems = [], []

    def open_page(script=""):
        page = browser.new_page(viewport={"width": 1200, "height": 900}, reduced_motion="reduce")
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.add_init_script(script)
        page.goto(served[0])
        pages.append(page)
        return page

    yield open_page
    for page in pages:
        for button in page.locator("#photos .remove").all()[::-1]:
            button.click()
        page.close()
    assert problems == []


def give(page, folder, *names):
    for name in names:
        portrait().save(folder / name)
    page.set_input_files("#choose", [folder / name for name in names])


def test_a_head_that_does_not_come_leaves_the_page_as_it_was(opened, tmp_path):
    page = opened()
    give(page, tmp_path, "one.png", "two.png")
    wait(page, f"photos.length == 2 && {ENDED} && opened && !loading")
    first, second = page.locator("#photos li").all()
    page.route("**/face.json", lambda route: route.abort())
    second.locator(".open").click()
    wait(page, "!loading && photos[1].item.querySelector('.trouble').textContent")
    assert second.locator(".trouble").inner_text().startswith("The head cannot be shown: the program does not answer")
    assert second.locator(".state").inner_text() == "done"
    assert page.evaluate("opened.id === photos[0].id && opened.mesh !== undefined")
    assert [item.get_attribute("aria-current") for item in (first, second)] == ["true", None]

    page.unroute("**/face.json")
    second.locator(".open").click()
    wait(page, "opened.id === photos[1].id && view.face && !view.stale")
    assert second.locator(".trouble").inner_text() == ""
    assert [item.get_attribute("aria-current") for item in (first, second)] == [None, "true"]

    gone = {"status": 404, "body": json.dumps({"error": "this photo is gone"})}
    page.route("**/face.json", lambda route: route.fulfill(**gone))
    first.locator(".open").click()
    wait(page, "photos[0].state === 'failed'")
    assert first.locator(".state").inner_text() == "this photo is gone"
    assert first.locator(".open").is_disabled()
    assert page.evaluate("opened.id === photos[1].id")


def test_links_go_with_the_files_that_the_program_has_removed(served, opened, tmp_path):
    page = opened()
    give(page, tmp_path, "me.png")
    wait(page, f"{ENDED} && opened && document.querySelector('#downloads [download]')")
    address = f"{served[0]}photos/{page.evaluate('photos[0].id')}"
    urllib.request.urlopen(urllib.request.Request(address, method="DELETE"))
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    wait(page, "photos[0].state === 'failed'")
    assert page.locator("#photos .state").inner_text().startswith("there is no such photo, or no longer")
    assert page.locator("#downloads").inner_text().split("\n") == ["This view (PNG)", "there are no other files"]


def test_a_finished_photo_stays_done_while_the_program_does_not_answer(opened, tmp_path):
    page = opened()
    give(page, tmp_path, "me.png")
    wait(page, f"photos.length === 1 && {ENDED}")
    page.route(f"**/photos/{page.evaluate('photos[0].id')}", lambda route: route.abort())
    for _ in range(2):  # when the second look has failed, what follows the first has been done
        with page.expect_event("requestfailed"):
            page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    assert page.locator("#photos .state").inner_text() == "done"
    page.unroute_all()


def test_photos_that_wait_for_a_place_outlast_a_fault_of_the_proxy(opened, tmp_path):
    page, told = opened(), "photos[0].item.querySelector('.state').textContent"
    page.route("**/photos", lambda route: route.fulfill(body='{"places": 0}'))
    give(page, tmp_path, "one.png", "two.png")
    wait(page, f"photos.length === 2 && {told} === 'waiting for a place in the queue'")
    page.unroute("**/photos")
    page.route("**/photos", lambda route: route.fulfill(status=503, body="<html>busy"))
    wait(page, f'{told} === "the server\'s answer is 503"')
    page.unroute("**/photos")
    wait(page, ENDED)
    assert page.locator("#photos .state").all_inner_texts() == ["done", "done"]


def test_what_all_heads_share_is_asked_for_again(opened, tmp_path):
    page = opened()
    page.route("**/shared.json", lambda route: route.fulfill(status=503, body="<html>busy"))
    give(page, tmp_path, "me.png")
    wait(page, f"{ENDED} && photos[0].item.querySelector('.trouble').textContent")
    assert page.locator(".trouble").inner_text() == "The head cannot be shown: the server's answer is 503"
    assert page.evaluate("opened === null && result.hidden")
    page.unroute("**/shared.json")
    page.locator("#photos .open").click()
    wait(page, "view.face && !view.stale")
    assert page.locator("#movements input").count() == page.evaluate("shared.blend_shapes.names.length") > 0


def test_browsers_that_cannot_unpack_a_head_show_pictures_and_files(opened, tmp_path):
    page = opened("delete window.DecompressionStream")
    give(page, tmp_path, "me.png")
    wait(page, "photos[0]?.state === 'done' && opened")
    assert page.locator("#no-webgl").is_visible()
    links = page.locator("#downloads").inner_text()
    assert "GLB" in links
    assert "This view" not in links
    assert page.locator("#pictures img").count() == 4
    assert [page.locator(place).is_visible() for place in ("form.sliders", "canvas")] == [False, False]


def test_a_head_stays_where_its_files_cannot_be_written(opened, tmp_path, capsys):
    page = opened()
    MUST_FAIL.set()
    try:
        MAY_WRITE.clear()
        give(page, tmp_path, "me.png")
        wait(page, "view.face && !view.stale")
        assert "other files are being written" in page.locator("#downloads").inner_text()
        MAY_WRITE.set()
        wait(page, "photos[0].state === 'failed'")
    finally:
        MAY_WRITE.set()
        MUST_FAIL.clear()
    assert page.locator("#downloads").inner_text().split("\n") == ["This view (PNG)", "there are no other files"]
    assert page.locator("#photos .state").inner_text() == "the disk of this page's program is full; try again later"
    assert page.locator("#photos .open").is_enabled()
    assert page.locator("#photos [aria-current]").count() == 1


def test_files_that_are_gone_and_photos_that_are_removed_meanwhile(opened, tmp_path):
    """In a browser that stores nothing for pages."""
    page = opened("Object.defineProperty(window, 'sessionStorage', { get() { throw new DOMException('no'); } })")
    page.evaluate("void (uploads = new Promise((done) => { window.begin = done; }))")
    give(page, tmp_path, "moved.png", "removed.png")
    (tmp_path / "moved.png").unlink()
    page.evaluate("window.removed = photos[1], discard(removed), begin()")
    wait(page, ENDED)
    assert page.locator("#photos .state").all_inner_texts() == ["it cannot be read: it is a folder, or gone"]
    late = {"id": "a", "state": "done", "position": 0, "facts": {"seconds": 1}, "files": ["face.json"]}
    page.evaluate("(status) => take(status, removed)", late)
    assert page.evaluate("[loading, opened, news.textContent.includes('removed')]") == [None, None, False]


def test_the_keyboard_stays_in_the_list_of_photos(opened, tmp_path):
    page = opened()
    for name in ("one.png", "two.png"):
        (tmp_path / name).write_text("no picture")
    page.set_input_files("#choose", [tmp_path / "one.png", tmp_path / "two.png"])
    wait(page, f"photos.length === 2 && {ENDED}")
    page.locator("#photos .remove").first.focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Remove two.png"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "choose"


def live_is_free(url):
    """Whether another visitor could begin at this moment."""
    with contextlib.suppress(urllib.error.HTTPError):
        started = json.load(urllib.request.urlopen(urllib.request.Request(f"{url}live", method="POST")))
        urllib.request.urlopen(urllib.request.Request(f"{url}live/{started['id']}", method="DELETE"))
        return True
    return False


def test_the_live_head_ends_in_time(served, opened, tmp_path):
    """Stopped while it begins; with its camera; with the page."""
    page, held = opened(), []
    give(page, tmp_path, "me.png")
    wait(page, f"{ENDED} && view.face && !view.stale")
    button = page.get_by_role("button", name="Live")
    page.route("**/live", lambda route: held.append(route))
    button.click()
    for _ in range(500):
        if not held:
            page.wait_for_timeout(20)
    button.click()
    with page.expect_request_finished(lambda request: request.method == "DELETE"):
        held[0].continue_()
    assert page.evaluate("session === null && !view.canvas.classList.contains('mirrored')")
    page.unroute("**/live")

    button.click()
    wait(page, "liveState.textContent === TOLD.face && liveRate.textContent.endsWith('from frame to head')")
    page.evaluate("session.stream.getVideoTracks()[0].dispatchEvent(new Event('ended'))")
    assert page.evaluate("[session, liveState.textContent]") == [None, "The camera has been switched off."]
    page.wait_for_timeout(500)

    button.click()
    wait(page, "session?.id && view.held")
    assert not live_is_free(served[0])
    page.evaluate("forget(photos[0].id)")
    page.goto("about:blank")
    deadline = time.monotonic() + 3  # after five seconds, it would be free in any case
    while not live_is_free(served[0]):
        assert time.monotonic() < deadline
        page.wait_for_timeout(100)


def test_a_frame_that_fails_does_not_end_the_live_head(opened, tmp_path):
    page, failures = opened(), []
    give(page, tmp_path, "me.png")
    wait(page, f"{ENDED} && view.face && !view.stale")

    def fail(route, most):
        if route.request.method == "POST" and len(failures) < most:
            failures.append(429 if len(failures) % 2 else 500)
            return route.fulfill(status=failures[-1], body=json.dumps({"error": "it has failed"}))
        return route.continue_()

    page.route("**/live/*", lambda route: fail(route, 4))
    page.get_by_role("button", name="Live").click()
    wait(page, "liveState.textContent === TOLD.face")
    assert failures == [500, 429, 500, 429]
    page.unroute("**/live/*")
    page.route("**/live/*", lambda route: fail(route, 1000))
    wait(page, "session === null")
    assert page.evaluate("liveState.textContent") == "it has failed"
    assert len(failures) == 9


def lose_graphics(page, meanwhile="null"):
    """Takes the page's WebGL context away, and gives it back after a script."""
    page.evaluate("(window.loss = renderer.gl.getExtension('WEBGL_lose_context')).loseContext()")
    wait(page, "renderer.lost")
    page.evaluate(meanwhile)
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    page.evaluate("loss.restoreContext()")
    wait(page, "!renderer.lost")


def test_a_head_outlives_the_loss_of_its_graphics(opened, tmp_path):
    page = opened()
    give(page, tmp_path, "me.png")
    wait(page, f"{ENDED} && view.face && !view.stale")
    move(page, "jawOpen", 1)
    open_mouth = view(page)
    page.get_by_role("button", name="As in the photo").click()
    wait(page, "changes.every((change) => Math.abs(change) < 1e-6)")
    assert np.abs(view(page) - open_mouth).mean() > 0.1
    lose_graphics(page)
    move(page, "jawOpen", 1)
    assert np.abs(view(page) - open_mouth).mean() < 0.1

    choose = "document.querySelector('#result input[value={}]').click()"
    page.evaluate(choose.format("coarse"))
    coarse = view(page)
    page.evaluate(choose.format("textured"))
    assert np.abs(view(page) - coarse).mean() > 1
    lose_graphics(page, meanwhile=choose.format("coarse"))
    assert np.abs(view(page) - coarse).mean() < 0.1


def test_a_head_is_drawn_after_one_that_was_coloured(opened, tmp_path):
    page, problems = opened(), []
    page.on("console", lambda message: problems.append(message.text))
    give(page, tmp_path, "one.png", "two.png")
    wait(page, f"photos.length == 2 && {ENDED} && view.face && !view.stale")
    for texture in ("coarse", "textured"):
        page.evaluate(f"document.querySelector('#result input[value={texture}]').click()")
        view(page)
    page.evaluate("show(photos.find(({ id }) => id !== opened.id), false)")
    wait(page, "opened.id === photos[1].id && view.face")
    assert (view(page)[..., 3] > 0).mean() > 0.1
    assert problems == []


def test_a_head_out_of_sight_is_not_drawn(opened, tmp_path):
    page = opened()
    give(page, tmp_path, "me.png")
    wait(page, f"{ENDED} && view.face && !view.stale")
    page.set_viewport_size({"width": 375, "height": 500})
    page.evaluate("document.querySelector('#pictures').lastElementChild.scrollIntoView()")
    wait(page, "!view.visible && frames.frame === 0")
    move(page, "jawOpen", 1)
    wait(page, "frames.frame === 0")
    assert page.evaluate("view.stale")
    page.evaluate("view.canvas.scrollIntoView()")
    wait(page, "view.visible && !view.stale && frames.frame !== 0")
    page.set_viewport_size({"width": 1200, "height": 900})


def test_a_camera_that_is_granted_too_late_is_switched_off(opened):
    page = opened("""
        const real = MediaDevices.prototype.getUserMedia;
        [window.grants, window.streams] = [[], []];
        MediaDevices.prototype.getUserMedia = function (wanted) {
            return new Promise((done) => grants.push(async () => {
                const stream = await real.call(this, wanted);
                streams.push(stream);
                done(stream);
            }));
        };
    """)
    button = page.get_by_role("button", name="Take a photo")
    button.click()
    page.keyboard.press("Escape")
    wait(page, "!camera.open && starting === null")
    button.click()
    page.evaluate("grants[0]()")
    page.evaluate("grants[1]()")
    wait(page, "!shoot.disabled && video.videoWidth > 0")
    states = "streams.map((given) => given.getVideoTracks()[0].readyState)"
    assert page.evaluate(states) == ["ended", "live"]
    page.keyboard.press("Escape")
    wait(page, f"{states}.join() === 'ended,ended'")
