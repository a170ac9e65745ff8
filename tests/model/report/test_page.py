"""The page of a run: its contents, and when they are written."""

import base64
import io
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from lib.geometry.lighting import shading
from model.evaluation.page import write_evaluation_page
from model.reconstruction.worker import _scenes
from model.report.card import render_card
from model.report.face_data import COLOURS, encode_columns, encode_mesh, encode_textures, light_ball, light_forms
from model.report.page import Report
from tests.support.report_pages import CAMERA, CHART, FACE_MODEL, SHARED, decode_columns, photo_result

NASTY = '<img src=x onerror="alert(1)">&\'</script>.png'


class Page(HTMLParser):
    """Elements with their attributes, text, and the contents of the inert scripts."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.words, self.data, self._script = [], [], [], None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._script = dict(attrs).get("type", "code") if tag == "script" else None

    def handle_endtag(self, tag):
        self._script = None

    def handle_data(self, data):
        if self._script == "application/json":
            self.data.append(json.loads(data))
        elif self._script is None:
            self.words.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def page(path):
    return Page(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    report = Report(folder, title="<i>holiday</i>")
    report.add(render_card(photo_result("a.jpg", seed=1), "a"))
    report.fail(NASTY, "no face found in <b>it</b>")
    report.add(render_card(photo_result(NASTY, seed=2), 'odd "name" #1', links=["mesh.usdz", "rig.usdz"]))
    return page(report.finish(SHARED))


def test_names_and_reasons_are_text_and_nothing_else(written):
    assert [card["data-name"] for card in written.all("article")] == ["a.jpg", NASTY]
    assert not any("onerror" in attributes for _, attributes in written.elements)
    assert not written.all("i")
    text = "".join(written.words)
    assert text.count(NASTY) == 2  # its card and the list of failures
    assert "no face found in <b>it</b>" in text
    assert "<i>holiday</i>" in text
    odd = "odd%20%22name%22%20%231/"
    assert [link["href"] for link in written.all("a")] == ["a/", odd, f"{odd}mesh.usdz", f"{odd}rig.usdz"]
    labels = ["files of a.jpg", *(f"{file} of {NASTY}" for file in ("files", "mesh.usdz", "rig.usdz"))]
    assert [link["aria-label"] for link in written.all("a")] == labels  # in a list of links, cards have the same names
    pictures = [image for image in written.all("img") if image["alt"].startswith(NASTY)]
    assert len(pictures) == 10
    assert all(set(image) == {"data-picture", "width", "height", "alt", "title"} for image in pictures)


def test_only_the_page_s_own_scripts_may_run_and_nothing_is_requested(written):
    policy = next(meta["content"] for meta in written.all("meta") if "http-equiv" in meta)
    assert "default-src 'none'" in policy
    scripts = re.search(r"script-src ([^;]+)", policy).group(1).split()
    assert len(scripts) == len([s for s in written.all("script") if "type" not in s])
    assert all(source.startswith("'sha256-") for source in scripts)
    for _, attributes in written.elements:
        assert not attributes.get("src")
        assert attributes.get("href", "").startswith("data:") or "://" not in attributes.get("href", "")


def test_head_states_the_means(written):
    text = " ".join("".join(written.words).split())
    assert "2 of 3" in text
    assert "+8.5 dB" in text
    assert "22.0 dB coarse → 30.5 dB fine" in text
    assert "1 photo was not reconstructed" in text


def test_switches_are_described_to_those_who_cannot_point_at_them(written):
    assert all(switch["title"] for switch in written.all("input") if switch["type"] == "radio")


def test_a_card_has_every_picture_and_the_mesh(written):
    *faces, shared = written.data
    assert [len(face["pictures"]) for face in faces] == [10, 10]
    for content in faces[0]["pictures"].values():
        assert base64.b64decode(content)[8:12] == b"WEBP"
    columns = decode_columns(shared["mesh"]["block"], shared["mesh"]["triangles"], [np.uint32] * 3)
    np.testing.assert_array_equal(np.stack(columns, axis=-1), FACE_MODEL.triangles)
    for content in faces[0]["textures"].values():
        assert base64.b64decode(content)[8:12] == b"WEBP"
    chart = shared["mesh"]["chart"]
    vertex, u, v = decode_columns(chart["block"], chart["vertices"], [np.uint32, np.uint16, np.uint16])
    np.testing.assert_array_equal(vertex, CHART.vertex)
    np.testing.assert_allclose(np.stack([u, v], axis=-1) / 65535, CHART.uv, atol=1e-5)
    corners = decode_columns(chart["triangles"], shared["mesh"]["triangles"], [np.uint32] * 3)
    np.testing.assert_array_equal(np.stack(corners, axis=-1), CHART.triangles)
    assert shared["camera"]["distance"] == CAMERA.distance


def test_mesh_numbers_come_back():
    result = photo_result("a.jpg", seed=3)
    mesh = encode_mesh(result)
    columns = decode_columns(mesh["block"], FACE_MODEL.vertex_count, [np.uint16] * 3 + [np.uint8] * 9)
    low, high = np.array(mesh["low"]), np.array(mesh["high"])
    shape = low + np.stack(columns[:3], axis=-1) / 65535 * (high - low)
    np.testing.assert_allclose(shape, result.reconstruction.coarse.face.shape[0], atol=3e-5)
    expected = (result.reconstruction.coarse.albedo, result.reconstruction.albedo, result.reconstruction.appearance)
    for k, (name, colour) in enumerate(zip(COLOURS, expected, strict=True)):
        found = np.stack(columns[3 + 3 * k : 6 + 3 * k], axis=-1) / 255 * mesh["tops"][name]
        np.testing.assert_allclose(found, np.maximum(colour[0], 0), atol=mesh["tops"][name] / 255)
    assert mesh["tops"]["appearance"] > 1  # brighter than white is kept


def test_textures_are_embedded_at_most_at_their_largest_side():
    result = photo_result("a.jpg", seed=1)
    result.textures.lit = np.zeros((1500, 1500, 3), np.uint8)
    found = {name: base64.b64decode(content) for name, content in encode_textures(result).items()}
    sizes = {name: Image.open(io.BytesIO(content)).size for name, content in found.items()}
    assert sizes == {"lit": (1024, 1024), "albedo": (256, 256)}
    pixels = np.asarray(Image.open(io.BytesIO(found["albedo"])))
    assert np.abs(pixels.astype(int) - result.textures.albedo).mean() < 3


def test_columns_of_differences_wrap_around():
    rows = ([5, 250, 3], np.uint8), ([65535, 0, 1], np.uint16), ([0, 2**32 - 1, 7], np.uint32)
    columns = [np.array(values, kind) for values, kind in rows]
    decoded = decode_columns(encode_columns(columns), 3, [kind for _, kind in rows])
    for found, column in zip(decoded, columns, strict=True):
        np.testing.assert_array_equal(found, column)


def test_quadratic_forms_are_the_light():
    random = np.random.default_rng(0)
    light = random.normal(0, 0.3, 27)
    normals = random.normal(size=[200, 3])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    h = np.concatenate([normals, np.ones([200, 1])], axis=1)
    forms = light_forms(light)
    np.testing.assert_allclose(forms, forms.transpose(0, 2, 1), atol=1e-9)
    expected = shading(tf.constant(normals[None]), tf.constant(light[None]))[0]
    np.testing.assert_allclose(np.einsum("si,cij,sj->sc", h, forms, h), expected, atol=1e-9)


def test_the_ball_is_bright_where_the_light_comes_from():
    light = np.zeros(27)
    light[[3, 12, 21]] = -0.4  # that band is negated: from the right
    ball = light_ball(light, 64)
    assert ball.shape == (64, 64, 4)
    assert ball[32, 55, 0] > ball[32, 8, 0] + 40
    assert (ball[0, 0, 3], ball[32, 32, 3]) == (0, 255)


def test_an_unfinished_page_leaves_the_earlier_one(tmp_path):
    (tmp_path / "index.html").write_text("earlier")
    report = Report(tmp_path, title="photos")
    report.add(render_card(photo_result("a.jpg", seed=1), "a"))
    del report
    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]
    assert (tmp_path / "index.html").read_text() == "earlier"


def test_cards_leave_the_memory_as_they_come(tmp_path):
    report = Report(tmp_path, title="photos")
    result = photo_result("a.jpg", seed=1)
    for number in range(3):
        report.add(render_card(result, "a", f"{number}.jpg"))
    kept = sum(len(str(value)) for value in vars(report).values())
    assert kept < 5000
    assert (tmp_path / "index.html").exists() is False
    assert len(page(report.finish(SHARED)).all("article")) == 3


def test_cards_that_arrive_out_of_order_are_shown_in_order(tmp_path):
    report = Report(tmp_path, title="photos")
    for name in ("c.jpg", "a.jpg"):
        report.add(render_card(photo_result(name, seed=1), name[0]))
    report.fail("d.jpg", "no face found")
    report.fail("b.jpg", "no face found")
    written = page(report.finish(SHARED, ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]))
    assert [card["data-name"] for card in written.all("article")] == ["a.jpg", "c.jpg"]
    assert [line["data-name"] for line in written.all("li") if "data-name" in line] == ["b.jpg", "d.jpg"]


def test_nothing_but_failures_is_a_page_too(tmp_path):
    report = Report(tmp_path, title="photos")
    report.fail("cup.jpg", "no face found")
    written = page(report.finish(SHARED))
    assert not written.all("article")
    assert "open" in written.all("details")[0]
    assert all("hidden" in form for form in written.all("form") if "method" not in form)


def test_a_name_that_is_no_text_and_a_number_that_is_none(tmp_path):
    report = Report(tmp_path, title="photos")
    report.add(render_card(photo_result("bad\udcff.jpg", seed=1, psnr_fine=float("nan")), "bad\udcff"))
    assert "nan" not in "".join(page(report.finish(SHARED)).words)


def test_the_page_of_an_evaluation_has_table_and_sheet(tmp_path):
    psnr = {"coarse": 18.44, "projection": 32.4, "fine": 32.81, "optimum": 39.3}
    error = {"coarse": 0.093, "projection": None, "fine": 0.0744, "optimum": None}
    cosine = {"coarse": 0.44, "projection": 0.99693, "fine": 0.99804, "optimum": 0.9999}
    textures = {"photo_view": psnr, "identity": cosine, "new_views": None, "albedo_hidden": error}
    identity = {"auc": 0.97931, "tar_at_far": {"0.01": 0.7512, "0.001": None}, "people": 16}
    metrics = {"partial": False, "faces": 56, "textures": textures, "identity": identity}
    metrics |= {"split": "test", "trained_with_split": True}
    picture = Image.new("RGB", (40, 20000), "red")  # higher than WebP takes
    written = page(write_evaluation_page(tmp_path, metrics, picture))
    words = [word.strip() for word in written.words if word.strip()]
    start = words.index("photo's view, dB")
    assert words[start : start + 16] == (
        ["photo's view, dB", "identity, cosine", "albedo hidden", "coarse", "18.44", "0.4400", "0.0930"]
        + ["projection", "32.40", "0.9969", "fine", "32.81", "0.9980", "0.0744", "optimum", "39.30"]
    )
    assert "Identity network, photos of 16 new people: AUC 0.979, TAR 75.1% at FAR 0.01." in words
    best = [attributes.get("class") for attributes in written.all("td")]
    assert [i for i, name in enumerate(best) if name == "best"] == [7, 8, 9]  # all of fine, not the optimum
    (image,) = written.all("img")
    assert image["src"].startswith("data:image/webp;base64,")
    assert int(image["height"]) == 16383
    assert image["alt"] == "Faces of the test split: photo, textures, overlay", "no new views without a truth"
    assert picture.size == (40, 20000)


def test_a_card_links_to_the_scenes_that_were_exported():
    assert _scenes(("obj", "glb", "rig")) == []
    assert _scenes(("glb", "usdz")) == ["mesh.usdz"]
    assert _scenes(("rig", "usdz")) == ["mesh.usdz", "rig.usdz"]
