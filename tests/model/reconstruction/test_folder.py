"""Test mode on a small folder, with the de-lit projection in the texture network's place."""

import csv
import json
import os
import re

import numpy as np
import pytest
import skimage.data
import tensorflow as tf
from PIL import Image

from configs import schema
from lib.errors import UserError
from lib.face_image.alignment import FIVE_FROM_68
from model.fitting.masks import readable_mask
from model.fitting.placement import PointPlacement
from model.reconstruction import folder as reconstruction
from tests.support.helpers import read_mesh
from tests.support.photo_corpus import BAD_PHOTOS, portrait, portrait_pixels, write_bad
from tests.support.reconstruction_parts import SIZE, detected_once, untrained_parts


@pytest.fixture(scope="module")
def pipeline():
    with detected_once():
        yield untrained_parts()


def folder_of(path, **images):
    path.mkdir()
    for name, pixels in images.items():
        stem, _, suffix = name.rpartition("_")
        if isinstance(pixels, bytes):
            (path / f"{stem}.{suffix}").write_bytes(pixels)
        else:
            Image.fromarray(pixels).save(path / f"{stem}.{suffix}")
    return path


def run(monkeypatch, pipeline, source, output, **overrides):
    monkeypatch.setattr("model.reconstruction.face_reconstructor.load_pipeline", lambda config: pipeline)
    monkeypatch.setattr("model.reconstruction.face_reconstructor.restore_texture_network", lambda loaded: None)
    monkeypatch.setattr("model.reconstruction.folder.use_one_thread", lambda: None)  # it would last beyond this test
    config = schema.load(
        overrides={"data.workers": 1, "fit.steps": 30, "data.image_size": SIZE, "export.texture_size": 256} | overrides
    )
    return reconstruction.reconstruct_folder(config, source, output)


@pytest.fixture(scope="module")
def done(tmp_path_factory, pipeline):
    """One folder with everything in it: portraits, their masks, a cup, a broken file, landmarks that are deleted."""
    portrait = portrait_pixels()
    alpha = np.zeros(portrait.shape[:2] + (1,), np.uint8)
    alpha[85:185, 105:190] = 255
    root = tmp_path_factory.mktemp("photos")
    elsewhere = np.zeros_like(alpha)
    elsewhere[250:290, 20:60] = 255
    source = folder_of(
        root / "in",
        portrait_png=portrait,
        portrait_jpg=portrait,
        masked_png=np.concatenate([portrait, alpha], axis=-1),
        elsewhere_png=np.concatenate([portrait, elsewhere], axis=-1),
        cup_jpg=skimage.data.coffee()[::2, ::2],
        broken_jpg=b"\xff\xd8\xff no photo",
        lost_png=portrait,
    )
    np.save(source / "lost.npy", np.zeros([5, 2]))
    lost, make = source / "lost.npy", reconstruction.make_worker
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(reconstruction, "make_worker", lambda *given: lost.unlink() or make(*given))
        failed = run(monkeypatch, pipeline, source, root / "out")
    return root / "out", failed


def test_bad_photos_do_not_stop_the_folder(done):
    output, failed = done
    assert set(failed) == {"cup.jpg", "broken.jpg", "elsewhere.png", "lost.png"}
    assert failed["lost.png"].startswith("lost.npy: must stay until its photo is read")
    assert "mask must overlap the face, got no overlap" in failed["elsewhere.png"]
    assert failed["cup.jpg"].startswith("no face found")
    lines = (output / "failed.txt").read_text().splitlines()
    assert [line.split(":")[0] for line in lines] == sorted(failed)
    assert sorted(path.name for path in output.iterdir() if path.is_dir()) == ["masked", "portrait_jpg", "portrait_png"]


def test_files_of_a_photo(done, pipeline):
    folder = done[0] / "portrait_png"
    for name, mode in (
        ("crop", "RGBA"),
        ("coarse", "RGBA"),
        ("fine", "RGBA"),
        ("overlay", "RGB"),
        ("landmarks", "RGB"),
    ):
        with Image.open(folder / f"{name}.png") as image:
            assert (image.size, image.mode) == ((SIZE, SIZE), mode), name
    for name in ("mesh.obj", "mesh.ply", "neutral.obj"):
        vertices, triangles, colours = read_mesh(folder / name)
        assert len(vertices) == pipeline.face_model.vertex_count, name
        np.testing.assert_array_equal(triangles, pipeline.face_model.triangles)
        assert (colours is not None) == (name == "mesh.ply")
    for name in ("mesh_albedo", "mesh_lit", "mesh_normals"):
        with Image.open(folder / f"{name}.png") as image:
            assert (image.size, image.mode) == ((256, 256), "RGB"), name
    assert {path.name for path in folder.glob("*.glb")} == {"mesh.glb", "mesh_lit.glb", "mesh_vertex_colors.glb"}


def test_no_mesh_is_written_when_none_is_wanted(tmp_path, monkeypatch, pipeline):
    source = folder_of(tmp_path / "in", portrait_png=portrait_pixels())
    run(monkeypatch, pipeline, source, tmp_path / "out", **{"fit.steps": 0, "export.formats": []})
    assert not list((tmp_path / "out" / "portrait").glob("*mesh*"))
    assert (tmp_path / "out" / "portrait" / "fine.png").exists()


def test_coefficients_draw_the_same_landmarks_on_the_photo(done, pipeline):
    content = json.loads((done[0] / "portrait_png" / "coefficients.json").read_text())
    layout = pipeline.face_model.layout
    assert {name: len(values) for name, values in content["coefficients"].items()} == layout.counts
    flat = np.concatenate([content["coefficients"][name] for name in layout.counts])[None].astype(np.float32)
    landmarks = pipeline.face_gcn.morphable.posed(tf.constant(flat), pipeline.camera).landmarks[0].numpy()
    transform = np.array(content["photo_to_crop"])
    in_photo = np.array(content["landmarks_in_photo"])
    np.testing.assert_allclose(in_photo @ transform[:, :2].T + transform[:, 2], landmarks, atol=1e-3)
    # They lie on the face: the five points near the detected ones.
    detected = np.array(content["detected_points_in_photo"])
    distance = np.linalg.norm(FIVE_FROM_68 @ in_photo - detected, axis=1)
    assert distance.max() < 0.1 * np.linalg.norm(detected[1] - detected[0])
    assert not content["mask_given"]


def test_metrics_and_summaries_agree(done):
    output, failed = done
    summary = json.loads((output / "summary.json").read_text())
    assert (summary["given"], summary["reconstructed"], summary["failed"]) == (7, 3, failed)
    single = [json.loads(path.read_text()) for path in sorted(output.glob("*/metrics.json"))]
    for key in ("psnr_coarse", "psnr_fine", "coverage"):
        assert summary[key] == pytest.approx(np.mean([metrics[key] for metrics in single]), abs=1e-3)
    assert summary["five_point_residual_px_max"] == pytest.approx(
        max(metrics["five_point_residual_px_max"] for metrics in single), abs=1e-3
    )
    for metrics in single:
        assert metrics["psnr_fine"] > metrics["psnr_coarse"] > 10
        assert metrics["five_point_residual_px"] < 3  # 468 landmarks count for more than the five
        assert 0.6 < metrics["coverage"] <= 1
    with open(output / "summary.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["photo"] for row in rows] == ["masked.png", "portrait.jpg", "portrait.png", *sorted(failed)]
    assert [bool(row["failed"]) for row in rows] == [False] * 3 + [True] * 4
    with Image.open(output / "sheet.png") as sheet:
        assert sheet.width % SIZE == 0
        assert sheet.height > 3 * SIZE


def test_the_page_has_every_photo_and_every_failure(done):
    text = (done[0] / "index.html").read_text(encoding="utf-8")
    assert re.findall('<article data-name="([^"]+)"', text) == ["masked.png", "portrait.jpg", "portrait.png"]
    assert re.findall('<li data-name="([^"]+)"', text) == ["broken.jpg", "cup.jpg", "elsewhere.png", "lost.png"]
    assert all((done[0] / link).is_dir() for link in re.findall('<a href="([^"]+)"', text))


def test_a_given_mask_is_taken(done):
    folder = done[0] / "masked"
    content = json.loads((folder / "coefficients.json").read_text())
    assert content["mask_given"]
    with Image.open(folder / "crop.png") as image:
        alpha = np.asarray(image)[..., 3]
    rows, columns = np.nonzero(alpha > 127)
    corners = np.array([[columns.min(), rows.min()], [columns.max() + 1, rows.max() + 1]])
    transform = np.array(content["photo_to_crop"])
    expected = np.array([[105, 85], [190, 185]]) @ transform[:, :2].T + transform[:, 2]
    np.testing.assert_allclose(corners, expected, atol=1.5)


def test_all_faces_of_a_photo_have_results_of_their_own(tmp_path, monkeypatch, pipeline, capsys):
    portrait = portrait_pixels()
    two = np.zeros((300, 700, 3), np.uint8)
    two[:, :300], two[:240, 460:] = portrait, portrait[:240, ::-1][:, 30:270]
    source = folder_of(tmp_path / "in", two_png=two, portrait_png=portrait, cup_jpg=skimage.data.coffee()[::2, ::2])
    options = {"fit.steps": 0, "export.formats": [], "prepare.faces": "all"}
    failed = run(monkeypatch, pipeline, source, tmp_path / "out", **options)
    assert list(failed) == ["cup.jpg"]
    rows = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert (rows["given"], rows["reconstructed"]) == (4, 3)
    for folder in ("two/face_0", "two/face_1", "portrait/face_0"):
        assert (tmp_path / "out" / folder / "fine.png").is_file()
    contents = [json.loads(path.read_text()) for path in (tmp_path / "out" / "two").glob("*/coefficients.json")]
    middles = [np.mean(content["detected_points_in_photo"], axis=0)[0] for content in contents]
    assert sorted(middle < 350 for middle in middles) == [False, True]
    assert "two.png, face 1" in capsys.readouterr().out
    for name in ("cup.jpg", "portrait.png"):  # the runs that follow are about the other photo
        (source / name).unlink()
    Image.fromarray(portrait).save(source / "two.png")
    (tmp_path / "out" / "two" / "face_1" / "notes.txt").write_text("mine")
    run(monkeypatch, pipeline, source, tmp_path / "out", **options)
    names = [path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").glob("*/face_*/*")]
    assert {name for name in names if "/face_1/" in name} == {"two/face_1/notes.txt"}, "of two faces, one was left"
    run(monkeypatch, pipeline, source, tmp_path / "out", **options | {"prepare.faces": "largest"})
    assert [path.name for path in (tmp_path / "out").glob("two/face_*")] == ["face_1"], "notes.txt is in it"
    run(monkeypatch, pipeline, source, tmp_path / "out", **options)
    assert not list((tmp_path / "out").glob("two/*.*"))


def test_one_photo_is_an_input_and_what_was_changed_is_said(tmp_path, monkeypatch, pipeline, capsys):
    portrait = portrait_pixels()
    source = folder_of(tmp_path / "in", lying_png=np.rot90(portrait), other_png=portrait)
    options = {"fit.steps": 0, "export.formats": []}
    assert run(monkeypatch, pipeline, source / "lying.png", tmp_path / "out", **options) == {}
    assert [path.name for path in (tmp_path / "out").iterdir() if path.is_dir()] == ["lying"]
    content = json.loads((tmp_path / "out" / "lying" / "coefficients.json").read_text())
    assert content["quarter_turns"] == 3
    assert f"lying.png: {content['remark']}" in capsys.readouterr().out
    assert "clockwise" in content["remark"]


def test_landmarks_in_3d_and_their_vertices(done, pipeline):
    folder = done[0] / "portrait_png"
    content = json.loads((folder / "coefficients.json").read_text())["landmarks_3d"]
    vertices = read_mesh(folder / "mesh.obj")[0]
    np.testing.assert_array_equal(content["vertices"], pipeline.face_model.landmarks)
    np.testing.assert_allclose(content["positions"], vertices[content["vertices"]], atol=1e-5)
    table = np.loadtxt(folder / "landmarks.txt")
    np.testing.assert_array_equal(table[:, 0], np.arange(68))
    np.testing.assert_array_equal(table[:, 1], content["vertices"])
    np.testing.assert_allclose(table[:, 2:], content["positions"], atol=1e-5)
    now = np.loadtxt(folder / "landmarks_now.txt")
    np.testing.assert_allclose(now, table[content["now_challenge"], 2:])
    # Corners of the eyes from the image's left to its right, base of the nose below them, mouth below that.
    assert now.shape == (7, 3)
    assert (np.diff(now[:4, 0]) > 0).all()
    assert now[:4, 1].min() > now[4, 1] > now[5:, 1].max()
    assert now[5, 0] < now[4, 0] < now[6, 0]


def test_nothing_reconstructed_is_an_error_that_says_why(tmp_path, monkeypatch, pipeline):
    source = folder_of(tmp_path / "in", cup_jpg=skimage.data.coffee()[::2, ::2])
    earlier = [tmp_path / "out" / name for name in ("sheet.png", "cup/mesh.obj", "cup/face_0/mesh.glb")]
    (tmp_path / "out/cup/face_0").mkdir(parents=True)
    for path in earlier:
        path.touch()
    with pytest.raises(UserError, match=r"none of 1 reconstructed .*cup\.jpg: no face found"):
        run(monkeypatch, pipeline, source, tmp_path / "out")
    assert (tmp_path / "out" / "failed.txt").read_text().startswith("cup.jpg: no face found")
    assert not any(path.exists() for path in earlier), "results of an earlier run would look like this one's"


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (ValueError("points must span\na face"), "points must span a face"),
        (AttributeError("a fault of the program"), "a fault of the program (AttributeError at test_folder.py:"),
    ],
)
def test_whatever_fails_in_a_photo_is_listed_and_the_next_one_is_done(tmp_path, monkeypatch, pipeline, fault, reason):
    portrait = portrait_pixels()
    source = folder_of(tmp_path / "in", a_png=portrait, b_png=portrait)
    place = PointPlacement.__call__
    raised = [fault]

    def fail_first(self, *arguments):
        if raised:
            raise raised.pop()
        return place(self, *arguments)

    monkeypatch.setattr(PointPlacement, "__call__", fail_first)
    failed = run(monkeypatch, pipeline, source, tmp_path / "out", **{"fit.steps": 0, "export.formats": []})
    assert list(failed) == ["a.png"]
    assert failed["a.png"].startswith(reason)
    assert (tmp_path / "out" / "b" / "crop.png").is_file()


def test_without_a_fit_the_coefficients_are_the_regressors(tmp_path, monkeypatch, pipeline):
    source = folder_of(tmp_path / "in", portrait_png=portrait_pixels())
    assert run(monkeypatch, pipeline, source, tmp_path / "out", **{"fit.steps": 0}) == {}
    found = json.loads((tmp_path / "out/portrait/coefficients.json").read_text())["coefficients"]
    regressed = pipeline.regress(np.zeros([1, SIZE, SIZE, 4], np.float32)).coefficients[0].numpy()
    for name, part in pipeline.face_model.layout.slices.items():
        np.testing.assert_array_equal(found[name], regressed[part])


def test_broken_files_in_nested_folders_do_not_stop_the_good_ones(tmp_path, monkeypatch, pipeline):
    source = tmp_path / "in"
    source.mkdir()
    write_bad(source)
    for name in ("a/same.jpg", "b/same.tiff", "b/same.webp"):
        (source / name).parent.mkdir(exist_ok=True)
        portrait().save(source / name)
    failed = run(monkeypatch, pipeline, source, source / "out", **{"fit.steps": 0, "export.formats": []})
    assert failed.keys() == BAD_PHOTOS.keys()
    for name, words in BAD_PHOTOS.items():
        assert words in failed[name], failed[name]
    assert (source / "out" / "failed.txt").read_text().splitlines() == [f"{n}: {r}" for n, r in failed.items()]
    found = sorted(path.relative_to(source / "out").as_posix() for path in source.glob("out/**/crop.png"))
    assert found == ["a/same/crop.png", "b/same_tiff/crop.png", "b/same_webp/crop.png"]


def test_photos_named_like_the_results_files_and_in_other_encodings(tmp_path, monkeypatch, pipeline):
    source = tmp_path / "in"
    source.mkdir()
    for name in ("index.html.png", "sheet.png.png", "summary.csv.png", os.fsdecode(b"caf\xe9.png")):
        portrait().save(source / name)
    (source / os.fsdecode(b"bad\xe9.png")).write_bytes(b"no image")
    failed = run(monkeypatch, pipeline, source, tmp_path / "out", **{"fit.steps": 0, "export.formats": []})
    assert failed.keys() == {"bad\\udce9.png"}
    assert (tmp_path / "out" / "index.html").is_file()
    assert (tmp_path / "out" / "sheet.png").is_file()
    names = {"index_html_png", "sheet_png_png", "summary_csv_png", os.fsdecode(b"caf\xe9")}
    assert {path.parent.name for path in (tmp_path / "out").glob("*/crop.png")} == names
    assert "caf\\udce9.png" in (tmp_path / "out" / "summary.csv").read_text(encoding="utf-8")


def test_confidence_bound_is_used(tmp_path, monkeypatch, pipeline):
    source = folder_of(tmp_path / "in", portrait_png=portrait_pixels())
    with pytest.raises(UserError, match="no face found"):
        run(monkeypatch, pipeline, source, tmp_path / "out", **{"test.min_confidence": 1.0})


def test_placing_changes_the_shape_only_as_needed(pipeline):
    place = PointPlacement(pipeline.face_model, pipeline.camera)
    layout = pipeline.face_model.layout
    truth = np.zeros([1, layout.size], np.float32)
    truth[0, layout.slices["angles"]] = [0.1, -0.3, 0.05]
    truth[0, layout.slices["identity"]] = np.random.default_rng(0).normal(size=layout.identity)
    truth[0, layout.slices["light"]] = 0.1
    landmarks = pipeline.face_gcn.morphable.posed(tf.constant(truth), pipeline.camera).landmarks[0].numpy()
    turned_away = truth.copy()
    turned_away[0, layout.slices["angles"]] = 0
    placed = place(turned_away, FIVE_FROM_68 @ landmarks)
    found = pipeline.face_gcn.morphable.posed(tf.constant(placed), pipeline.camera).landmarks[0].numpy()
    assert np.abs(FIVE_FROM_68 @ (found - landmarks)).max() < 0.5
    np.testing.assert_allclose(placed[0, layout.slices["angles"]], [0.1, -0.3, 0.05], atol=0.08)
    np.testing.assert_array_equal(placed[0, layout.slices["light"]], truth[0, layout.slices["light"]])
    change = placed[0, layout.slices["identity"]] - truth[0, layout.slices["identity"]]
    assert np.abs(change).max() < 0.5


def test_colours_are_read_inside_a_found_mask_and_up_to_the_border_of_a_given_one():
    alpha = np.zeros((9, 9), np.float32)
    alpha[2:7, 2:7] = 1
    alpha[1, 2:7] = 0.4  # the soft rim of a found mask
    inner = np.zeros((9, 9))
    inner[3:6, 3:6] = 1
    np.testing.assert_array_equal(readable_mask(alpha, given=False), inner)
    np.testing.assert_array_equal(readable_mask(alpha, given=True), alpha)
