"""The page in a browser."""

import base64
import io
import itertools

import numpy as np
import pytest
from PIL import Image

from lib.mesh_renderer.textured import draw_textured
from model.metrics.images import masked_psnr
from tests.support.gltf.three_viewer import wait
from tests.support.report_pages import CAMERA, CHART, DRAWN, FACE_GCN, NASTY, photo_result, write_page

RESTS = """() => {
    const view = views.get(cards.find((card) => !card.hidden));
    return !view.stale && JSON.stringify(view.pose) === JSON.stringify(view.wanted(frames.clock));
}"""


def still(page):
    """Waits for the first face and stops it in the photo's pose."""
    wait(page, DRAWN)
    choose(page, "pose", "photo")


def choose(page, name, value):
    page.locator(f"form.display input[name={name}][value={value}]").check()
    settle(page)


def settle(page):
    """Waits until the face rests."""
    wait(page, RESTS)


def pixels(page, canvas="article:not([hidden]) canvas"):
    """uint8 [H, W, 4] of a face's canvas."""
    data = page.evaluate("(canvas) => document.querySelector(canvas).toDataURL()", canvas)
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data.split(",")[1]))).convert("RGBA"))


def difference(one, other):
    return np.abs(one.astype(int) - other.astype(int)).mean()


def test_the_first_face_turns_by_itself(opened, small):
    page = opened(small, reduced_motion="no-preference")
    wait(page, DRAWN)
    assert page.locator("article canvas").first.bounding_box()["y"] < 600  # in sight without scrolling
    first = pixels(page)
    before = page.evaluate("views.get(cards[0]).pose.angles[1]")
    wait(page, f"Math.abs(views.get(cards[0]).pose.angles[1] - {before}) > 0.2")
    assert (first[..., 3] > 0).mean() > 0.1
    assert difference(first, pixels(page)) > 2


def test_switches_change_what_is_drawn(opened, small):
    page = opened(small)
    still(page)
    seen = {}
    for texture in ("coarse", "fine", "appearance", "textured", "relit", "split", "shape"):
        choose(page, "texture", texture)
        seen[texture] = pixels(page)
    choose(page, "texture", "coarse")
    choose(page, "light", "unlit")
    seen["unlit"] = pixels(page)
    names = sorted(seen)
    for i, one in enumerate(names):
        for other in names[i + 1 :]:
            assert difference(seen[one], seen[other]) > 1, (one, other)
    middle = seen["split"].shape[1] // 2
    np.testing.assert_array_equal(seen["split"][:, : middle - 1], seen["coarse"][:, : middle - 1])
    np.testing.assert_array_equal(seen["split"][:, middle + 2 :], seen["appearance"][:, middle + 2 :])


def test_what_a_texture_is_can_be_read(opened, small):
    """Not in tooltips alone, which neither a keyboard nor a finger shows; in the dialog, too."""
    page = opened(small)
    still(page)
    page.locator("form.display input[value=textured]").focus()
    page.keyboard.press("ArrowRight")
    told = page.locator("#texture-help")
    assert told.inner_text() == "The albedo with the photo's detail, under the estimated light"
    page.locator("article canvas").first.press("Enter")
    assert told.is_visible()
    page.locator("dialog input[value=shape]").check()
    assert told.inner_text() == "The shape without colours"


def test_a_face_is_drawn_after_one_that_was_coloured_is_released(opened, small):
    page = opened(small)
    still(page)
    choose(page, "texture", "coarse")
    choose(page, "texture", "textured")
    page.fill("input[name=text]", "photo3")
    wait(page, "views.get(cards[3]).face && !views.get(cards[0]).face")
    settle(page)
    assert (pixels(page)[..., 3] > 0).mean() > 0.1


@pytest.mark.parametrize("texture", ["coarse", "appearance", "textured", "relit"])
def test_the_photo_s_view_is_the_program_s_rendering(opened, small, texture):
    page = opened(small)
    still(page)
    choose(page, "texture", texture)
    photo = photo_result("photo0.jpg", seed=1)
    result = photo.reconstruction
    # The browser draws at its own size: compared after both are brought to the program's.
    size = CAMERA.image_size[0]
    drawn = Image.fromarray(pixels(page)).resize((size, size), Image.Resampling.BOX)
    drawn = np.asarray(drawn, np.float32)[None] / 255
    clip, light = CAMERA.clip_coordinates(result.coarse.face.vertices)[0].numpy(), result.coarse.face.shading[0].numpy()
    lit, albedo = photo.textures.lit, photo.textures.albedo
    rendering = {
        "coarse": lambda: result.coarse.rendering,
        "appearance": lambda: result.rendering,
        "textured": lambda: draw_textured(clip, CHART.triangles, CHART.uv, lit, size)[..., :3],
        "relit": lambda: draw_textured(clip, CHART.triangles, CHART.uv, albedo, size, light)[..., :3],
    }[texture]()
    inside = result.mask.numpy() * (drawn[..., 3:] > 0.99)
    assert inside.sum() > 0.9 * result.mask.numpy().sum()
    assert masked_psnr(drawn[..., :3], np.clip(rendering, 0, 1), inside)[0] > 30


def test_mouse_wheel_and_keys_move_the_face(opened, small):
    page = opened(small)
    still(page)
    steps = [pixels(page)]
    box = page.locator("article canvas").first.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 60, y + 20, steps=4)
    page.mouse.up()
    settle(page)
    steps.append(pixels(page))
    page.mouse.wheel(0, -300)
    wait(page, "views.get(cards[0]).held.zoom > 1.2")
    settle(page)
    steps.append(pixels(page))
    page.keyboard.press("ArrowLeft")
    settle(page)
    steps.append(pixels(page))
    page.keyboard.press("-")
    settle(page)
    steps.append(pixels(page))
    for before, after in itertools.pairwise(steps):
        assert difference(before, after) > 1
    page.keyboard.press("0")
    settle(page)
    assert difference(pixels(page), steps[0]) < 0.5


def test_two_fingers_zoom(opened, small):
    page = opened(small, has_touch=True)
    still(page)
    page.evaluate("""() => {
        const canvas = views.get(cards[0]).canvas;
        canvas.setPointerCapture = () => {};
        const send = (kind, id, x) => canvas.dispatchEvent(
            new PointerEvent(kind, { pointerId: id, pointerType: "touch", clientX: x, clientY: 50 }));
        send("pointerdown", 1, 100); send("pointerdown", 2, 150); send("pointermove", 2, 200);
    }""")
    assert page.evaluate("views.get(cards[0]).held.zoom") == pytest.approx(2)


def test_enlarged_face(opened, small):
    page = opened(small)
    still(page)
    page.locator("article canvas").nth(1).focus()
    page.keyboard.press("Enter")
    wait(page, "enlarged.face && enlarged.canvas.height > 400")
    assert page.locator("dialog h2").inner_text() == "photo1.jpg"
    before = pixels(page, "dialog canvas")
    page.locator("dialog input[value=unlit]").check()
    wait(page, "!enlarged.stale")
    assert (before[..., 3] > 0).mean() > 0.1
    assert difference(before, pixels(page, "dialog canvas")) > 1
    page.keyboard.press("Escape")
    wait(page, "!enlarged.face && !dialog.open")
    assert page.locator("form.display").count() == 1
    assert page.evaluate("[enlarged.canvas.width, enlarged.canvas.height]") == [
        1,
        1,
    ]  # nothing of it is in the next one


def names(page):
    return [card.get_attribute("data-name") for card in page.locator("article:visible").all()]


def test_sort_and_filter(opened, small):
    page = opened(small)
    assert names(page) == [f"photo{i}.jpg" for i in range(4)]
    for sort, expected in (("fine", [3, 2, 1, 0]), ("points", [0, 1, 2, 3]), ("gain", [3, 1, 2, 0])):
        page.select_option("select[name=sort]", sort)
        assert names(page) == [f"photo{i}.jpg" for i in expected], sort
    page.fill("input[name=text]", "O2")
    assert names(page) == ["photo2.jpg"]
    assert page.locator("output[name=shown]").inner_text() == "1 shown"
    page.fill("input[name=text]", "")
    page.select_option("select[name=show]", "failed")
    assert names(page) == []
    assert page.locator("#failed li:visible b").all_inner_texts() == [NASTY, "cup.jpg"]
    page.fill("input[name=text]", "nowhere")
    assert page.locator("#nothing").is_visible()
    assert page.evaluate("window.broken") is None


def test_the_chart_leads_to_the_cards(opened, small):
    """Its bars, by their fine PSNR: photo0 to photo3."""
    page = opened(small)
    bars = page.locator("#chart button")
    stops = "[...document.querySelectorAll('#chart button')].map((bar) => bar.tabIndex).join()"
    assert page.evaluate(stops) == "0,-1,-1,-1"
    bars.first.focus()
    for key, place in (("ArrowRight", 1), ("End", 3), ("ArrowRight", 3), ("ArrowLeft", 2), ("Home", 0), ("End", 3)):
        page.keyboard.press(key)
        assert page.evaluate("[...document.querySelectorAll('#chart button')].indexOf(document.activeElement)") == place
    assert page.evaluate(stops) == "-1,-1,-1,0"
    page.fill("input[name=text]", "photo1")
    assert names(page) == ["photo1.jpg"]
    bars.last.click()
    assert names(page) == [f"photo{i}.jpg" for i in range(4)]
    assert page.evaluate("document.activeElement === views.get(cards[3]).canvas")


@pytest.mark.parametrize("width", [320, 375, 900, 1280])
def test_the_switches_do_not_hide_the_name_of_a_picked_photo(opened, small, width):
    page = opened(small, width, 700)
    page.locator("#chart button").nth(2).click()
    name, switches = (page.locator(place).bounding_box() for place in ("[data-name='photo2.jpg'] h2", "form.display"))
    assert switches["y"] + switches["height"] <= name["y"]


def test_pictures_are_shown(opened, small):
    page = opened(small)
    wait(page, "[...cards[0].querySelectorAll('img')].every((image) => image.naturalWidth > 0)")
    assert page.locator("article").first.locator("img").count() == 10


def test_nothing_moves_unasked_where_that_is_not_wanted(opened, small):
    page = opened(small)
    wait(page, DRAWN)
    assert page.evaluate("[look.pose, look.texture]") == ["photo", "textured"]


def test_many_photos(opened, tmp_path):
    path = write_page(tmp_path, 80)
    page = opened(path)
    still(page)
    decoded = "[...views.values()].filter((view) => view.face).length"
    pictured = "cards.filter((card) => card.querySelector('img[src]')).length"
    assert page.evaluate(decoded) <= 5
    assert page.evaluate(pictured) <= 5
    page.evaluate("cards[60].scrollIntoView()")
    wait(page, "views.get(cards[60]).face && views.get(cards[60]).canvas.height > 150")
    wait(page, "!views.get(cards[0]).face")
    assert page.evaluate("views.get(cards[0]).canvas.width") == 1  # a picture is kept only while it may be seen
    assert page.evaluate(decoded) <= 6
    page.fill("input[name=text]", "photo79")
    wait(page, "views.get(cards[79]).face")
    assert names(page) == ["photo79.jpg"]
    page.fill("input[name=text]", "")
    page.select_option("select[name=show]", "worst")
    assert len(names(page)) == 10


def test_without_webgl_the_pictures_remain(browser, small):
    page = browser.new_page()
    page.add_init_script("HTMLCanvasElement.prototype.getContext = () => null")
    page.goto(small.as_uri())
    wait(page, "cards[0].querySelector('img').naturalWidth > 0")
    assert page.locator("#no-webgl").is_visible()
    assert not page.locator("form.display").is_visible()
    page.close()


def test_the_network_of_these_pages_makes_two_textures():
    result = photo_result("a.jpg", seed=1).reconstruction
    assert FACE_GCN.camera is CAMERA
    assert np.abs(result.appearance - result.albedo).mean() > 0.1
