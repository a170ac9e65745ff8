"""The local page in headless Chromium."""

import io
import json
import time
import urllib.request
import zipfile

import numpy as np
import pytest
from PIL import Image

from tests.support.gltf.three_viewer import wait
from tests.support.photo_corpus import portrait
from tests.support.serving.served_page import FRAMES, MAY_WRITE, move, view

OVERFLOW = "document.documentElement.scrollWidth - innerWidth"
# Controls that stick out of their half of the result, and sliders too short to be moved.
CRAMPED = """() => [...document.querySelectorAll("#result label, #result .sliders > label input")].filter((element) => {
    const { right, width } = element.getBoundingClientRect();
    return right > element.closest(".controls").getBoundingClientRect().right + 0.5 || (element.type && width < 60);
}).map((element) => element.outerHTML)"""


def test_photos_become_heads_that_move(served, browser, tmp_path):
    url, root = served
    portrait().save(tmp_path / "<b>me.png")
    Image.new("RGB", (200, 200), (90, 120, 90)).save(tmp_path / "wall.jpg")
    page = browser.new_page(viewport={"width": 1200, "height": 900}, reduced_motion="reduce")
    problems, requests = [], []
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(url)
    page.set_input_files("#choose", [tmp_path / "<b>me.png", tmp_path / "wall.jpg"])
    wait(page, "photos.length == 2 && photos.every(({ state }) => state == 'done' || state == 'failed')")
    good, bad = page.locator("#photos li").all()
    assert good.locator(".open").inner_text() == "<b>me.png"
    assert bad.locator(".state").inner_text().startswith("no face found (it should be turned by less than")
    assert page.evaluate("look.pose") == "photo"  # nothing moves unasked

    first = view(page)
    assert (first[..., 3] > 0).mean() > 0.1
    for change in (("jawOpen", 1), ("strength", 150), ("turned", 90), ("gain", 40)):
        before = view(page)
        move(page, *change)
        assert np.abs(view(page) - before).mean() > 0.1, change
    assert page.evaluate("look.texture") == "relit"  # the photo's own pixels cannot be lit anew
    # A slider tells its value itself; live regions beside it would be read out at each step, and with every live frame.
    assert page.locator("#result output").count() == 0
    shown = page.locator(".sliders label").filter(has=page.locator("[name=gain]")).locator(".value")
    assert (shown.inner_text(), shown.get_attribute("aria-hidden")) == ("40 %", "true")
    page.get_by_role("button", name="As in the photo").click()
    page.locator("#result input[value=textured]").check()
    wait(page, "sliders.elements.jawOpen.value < 0.9 && !view.stale")
    assert np.abs(view(page) - first).mean() < 0.3
    page.locator("#result input[value=coarse]").check()
    assert page.locator("#texture-help").inner_text() == "The face model's own albedo"  # not in a tooltip alone
    assert page.locator("#result input[type=radio]:not([title])").count() == 0
    assert np.abs(view(page) - first).mean() > 1

    page.evaluate("describe({ ...photos[0], facts: { ...photos[0].facts, remark: 'is dim', warning: 'Not stored.' } })")
    assert page.locator("#result .facts").inner_text().endswith(" s. The photo is dim. Not stored.")
    links = {link.inner_text(): link.get_attribute("href") for link in page.locator("#downloads a").all()}
    assert {"GLB", "OBJ (zip)", "Rig (GLB)", "coefficients.json", "PNG", "This view (PNG)"} <= links.keys()
    with page.expect_download() as download:
        page.click("#this-view")
    assert Image.open(download.value.path()).size[0] > 100

    def content(text):
        return urllib.request.urlopen(url.rstrip("/") + links[text]).read()

    assert content("Rig (GLB)")[:4] == b"glTF"
    assert json.loads(content("coefficients.json"))["photo"] == "<b>me.png"
    with zipfile.ZipFile(io.BytesIO(content("OBJ (zip)"))) as archive:
        assert {"mesh.obj", "mesh.mtl", "mesh_albedo.png"} <= set(archive.namelist())
    (kept,) = (root / "kept").iterdir()
    assert kept.name.startswith("_b_me_")
    assert (kept / "mesh.glb").is_file()

    page.set_viewport_size({"width": 375, "height": 812})
    assert page.evaluate(OVERFLOW) <= 0
    page.reload()
    wait(page, "photos.length == 2 && view.face")  # found again
    for button in page.locator("#photos .remove").all()[::-1]:
        button.focus()
        page.keyboard.press("Enter")
    wait(page, "photos.length == 0 && document.querySelector('#result').hidden")
    deadline = time.monotonic() + 10
    while list((root / "uploads").iterdir()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert problems == []
    assert all(request.startswith((url, "data:", "blob:")) for request in requests)
    page.close()


def test_controls_fit_windows_of_any_width(served, browser, tmp_path):
    portrait().save(tmp_path / "me.png")
    page = browser.new_page(viewport={"width": 1200, "height": 900}, reduced_motion="reduce")
    page.goto(served[0])
    page.set_input_files("#choose", [tmp_path / "me.png"])
    wait(page, "view.face && photos[0].state === 'done'")
    for width in range(320, 1300, 20):
        page.set_viewport_size({"width": width, "height": 800})
        assert (page.evaluate(OVERFLOW), page.evaluate(CRAMPED)) == (0, []), width
    page.locator("#photos .remove").click()
    page.close()


def test_a_finger_turns_the_head_in_both_directions(served, browser, tmp_path):
    """Also upwards, where it would scroll the page."""
    portrait().save(tmp_path / "me.png")
    page = browser.new_page(viewport={"width": 700, "height": 360}, reduced_motion="reduce", has_touch=True)
    page.goto(served[0])
    page.set_input_files("#choose", [tmp_path / "me.png"])
    wait(page, "view.face && photos[0].state === 'done'")
    page.evaluate("view.canvas.scrollIntoView({ block: 'center' })")
    before, scrolled = page.evaluate("[view.pose.angles, scrollY]")
    box = page.locator("#result canvas").bounding_box()
    assert box["height"] < 300  # of the window's 360
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    touch = page.context.new_cdp_session(page)
    for kind, steps in (("touchStart", [0]), ("touchMove", range(0, 101, 10)), ("touchEnd", [None])):
        for step in steps:
            points = [] if step is None else [{"x": x + step, "y": y - step}]
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    turned = np.subtract(page.evaluate("view.held.angles"), before)
    expected = np.pi * 100 / box["width"]
    np.testing.assert_allclose(turned, [-expected, expected, 0], atol=0.02)
    assert page.evaluate("scrollY") == scrolled
    page.locator("#photos .remove").click()
    page.close()


def test_the_head_is_shown_before_its_files_are_written(served, browser, tmp_path):
    url, _ = served
    portrait().save(tmp_path / "me.png")
    page = browser.new_page(viewport={"width": 1200, "height": 900}, reduced_motion="reduce")
    page.goto(url)
    MAY_WRITE.clear()
    page.set_input_files("#choose", [tmp_path / "me.png"])
    assert (view(page)[..., 3] > 0).mean() > 0.1
    assert page.evaluate("photos[0].state") == "working"
    assert page.locator("#downloads").inner_text().split("\n") == ["This view (PNG)", "other files are being written"]
    assert page.locator("#pictures img").count() == 0
    page.locator("#this-view").focus()
    MAY_WRITE.set()
    wait(page, "photos[0].state == 'done'")
    assert page.evaluate("document.activeElement.id") == "this-view"  # links are added beside it
    page.evaluate("window.shown = [...document.querySelectorAll('#pictures img')], describe(photos[0])")
    assert page.evaluate("shown.every((image) => image.isConnected)")  # and pictures are not fetched again
    assert "OBJ (zip)" in page.locator("#downloads").inner_text()
    assert "being written" not in page.locator("#downloads").inner_text()
    wait(page, "[...document.querySelectorAll('#pictures img')].filter((image) => image.naturalWidth > 0).length == 4")
    page.locator("#photos .remove").click()
    page.close()


def test_a_photo_is_sent_once_also_where_the_queue_is_full(served, browser, tmp_path):
    """The queue has two places."""
    page, sent = browser.new_page(viewport={"width": 1200, "height": 900}, reduced_motion="reduce"), []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    page.goto(served[0])
    MAY_WRITE.clear()
    files = [tmp_path / f"{number}.png" for number in range(4)]
    for file in files:
        portrait().save(file)
    page.set_input_files("#choose", files)
    told = ["waiting: one photo is before it", "waiting for a place in the queue", "waiting to be sent"]
    texts = "photos.slice(1).map(({ item }) => item.querySelector('.state').textContent)"
    wait(page, f"JSON.stringify({texts}) === {json.dumps(json.dumps(told, separators=(',', ':')))}")
    MAY_WRITE.set()
    wait(page, "photos.every(({ state }) => state === 'done')")
    assert len(sent) == 4
    for button in page.locator("#photos .remove").all()[::-1]:
        button.click()
    page.close()


def test_the_camera_s_photo_goes_into_the_queue(served, browser):
    """Chromium's stand-in for a camera shows no face, and the page says so."""
    url, _ = served
    page = browser.new_page(viewport={"width": 375, "height": 812}, reduced_motion="reduce")
    page.goto(url)
    page.get_by_role("button", name="Take a photo").click()
    wait(page, "!shoot.disabled && video.videoWidth > 0")
    assert page.evaluate(OVERFLOW) <= 0
    page.click("#shoot")
    wait(page, "photos[0]?.state == 'failed'")
    assert "no face found" in page.locator("#photos .state").inner_text()
    assert page.evaluate("stream === null && !camera.open")
    page.close()


def test_the_head_follows_the_webcam(served, browser, tmp_path):
    url, _ = served
    portrait().save(tmp_path / "me.png")
    page = browser.new_page(viewport={"width": 1200, "height": 900}, reduced_motion="reduce")
    problems, ended = [], []
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("requestfinished", lambda request: ended.append((request.method, request.url)))
    page.goto(url)
    page.set_input_files("#choose", [tmp_path / "me.png"])
    wait(page, "view.face && !view.stale && changes.length > 0")
    still = page.evaluate("JSON.stringify([view.pose.angles, changes])")
    rates = "new MutationObserver(() => rates.push(liveRate.textContent)).observe(liveRate, { childList: true })"
    page.evaluate(f"void (window.rates = [], {rates})")
    page.get_by_role("button", name="Live").click()
    wait(page, "view.held?.angles[0] === 0.3 && changes[0] !== 0")
    wait(page, "view.held?.angles[0] === 0")
    wait(page, "/^[0-9]+ frames a second, [0-9]+ ms/.test(liveRate.textContent)")
    assert page.evaluate("rates.filter((rate) => rate && !/^[0-9]/.test(rate))") == []  # before there is a rate, too
    assert set(FRAMES) == {(480, 640, 3)}
    assert page.evaluate("view.canvas.classList.contains('mirrored')")
    page.get_by_role("button", name="Live").click()
    wait(page, "session === null && liveVideo.srcObject === null && !view.stale")
    wait(page, f"JSON.stringify([view.pose.angles, changes]) === {json.dumps(still)}")
    page.locator("#photos .remove").click()
    wait(page, "photos.length === 0")
    for _ in range(100):  # the seat becomes free
        if any(method == "DELETE" and "/live/" in address for method, address in ended):
            break
        page.wait_for_timeout(100)
    else:
        pytest.fail(f"the session must be given back, got {ended}")
    assert problems == []
    page.close()
