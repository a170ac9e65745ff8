"""The page in windows of many sizes."""

import pytest

from tests.support.gltf.three_viewer import wait
from tests.support.report_pages import DRAWN

OUTSIDE = """() => [...document.querySelectorAll("body *")].filter((element) => {
    const box = element.getBoundingClientRect();
    return box.width && (box.left < 0 || box.right > innerWidth + 0.5);
}).map((element) => element.outerHTML.slice(0, 80))"""
TEXTURES = "[...display.querySelectorAll('[name=texture]')]"
HIDDEN = "dialog.scrollHeight - dialog.clientHeight"  # rows of the dialog that must be scrolled to


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_phone(opened, small, scheme):
    page = opened(small, 375, 812, color_scheme=scheme, has_touch=True)
    wait(page, DRAWN)
    assert page.locator("article canvas").first.bounding_box()["y"] < 700
    assert page.evaluate(OUTSIDE) == []
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, background[4:-1].split(","))) < 200) == (scheme == "dark")


@pytest.mark.parametrize("digits", ["", "0000"])
def test_nothing_lies_outside_of_the_window(opened, small, digits):
    """With the numbers of four photos, and of many."""
    page = opened(small)
    wait(page, DRAWN)
    count = page.locator(".summary dd").nth(1)
    assert count.inner_text() == "4 of 6"
    count.evaluate("(element, digits) => { element.textContent = `4${digits} of 6${digits}`; }", digits)
    for width in range(320, 1300, 20):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate(OUTSIDE) == [], width


@pytest.mark.parametrize(
    "size",
    [
        (800, 360),
        (568, 320),
        (375, 812),
        (375, 500),
        (320, 480),
        (320, 521),
        (721, 521),
        (900, 600),
        (1024, 520),
        (1440, 900),
    ],
)
def test_the_enlarged_face_is_seen_as_a_whole(opened, small, size):
    page = opened(small, *size)
    wait(page, "renderer")
    page.evaluate("enlarge(cards[0])")
    wait(page, "enlarged.face && !enlarged.stale && enlarged.canvas.height > 100")
    # Whatever the chosen texture's description, nothing moves.
    heights = page.evaluate(f"{TEXTURES}.map((texture) => (texture.click(), [{HIDDEN}, display.offsetHeight].join()))")
    assert set(heights) == {f"0,{page.evaluate('display.offsetHeight')}"}
    box = page.locator("dialog canvas").bounding_box()
    assert box["width"] == pytest.approx(box["height"], abs=1)
    assert min(box["x"], box["y"]) >= 0
    assert box["x"] + box["width"] <= size[0]
    assert box["y"] + box["height"] <= size[1]


def test_descriptions_of_textures_take_the_same_room(opened, small):
    """They stand over the faces, which must not move when one texture is compared with another."""
    page = opened(small)
    height = "document.getElementById('texture-help').offsetHeight"
    for width in range(320, 1300, 20):
        page.set_viewport_size({"width": width, "height": 800})
        heights = page.evaluate(f"{TEXTURES}.map((texture) => (texture.click(), {height}))")
        assert len(set(heights)) == 1, width
