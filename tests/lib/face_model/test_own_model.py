"""A face model of the user's own in other units, colours or orientation is refused, with the likely cause."""

import dataclasses
import re

import numpy as np
import pytest

from lib.errors import UserError
from lib.face_model.own_model import check_own_model
from lib.face_model_files.published import load_published
from tests.support.faces import built_in_face, coarse_head
from tests.support.golden_face import golden_face_model
from tests.support.helpers import ROOT


@pytest.mark.parametrize("make", [golden_face_model, lambda: built_in_face(2000), lambda: coarse_head("head")])
def test_models_in_order_are_accepted(make):
    check_own_model(make(), "model.npz", built_in_face(2000))


# All landmarks but the outer corners of the eyes in another order, so that the distance between these stays.
SHUFFLED = np.insert(np.random.default_rng(0).permutation(np.delete(np.arange(68), (36, 45))), (36, 44), (36, 45))


def scaled(model, factor):
    return {
        name: getattr(model, name) * np.float32(factor) for name in ("mean_shape", "identity_basis", "expression_basis")
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (lambda m: scaled(m, 0.1), r"mean_shape must be in decimetres, .* got 0\.09447 \(metres\? multiply .* by 10\)"),
        (lambda m: scaled(m, 10), r"got 9\.447 \(centimetres\? multiply .* by 0\.1\)"),
        (lambda m: scaled(m, 100), r"got 94\.47 \(millimetres\? multiply .* by 0\.01\)"),
        (lambda m: scaled(m, 1e4), r"got 9447 \(other units\?\)"),
        (lambda m: {"mean_albedo": 255 * m.mean_albedo}, r"mean_albedo must be within 0\.\.1, got .*0 to 255\?"),
        (lambda m: {"mean_albedo": m.mean_albedo - 0.5}, r"mean_albedo must be within 0\.\.1, got -.*clip it"),
        (
            lambda m: {"triangles": m.triangles[:, ::-1]},
            r"triangles must be counter-clockwise .* got .*reverse every row",
        ),
        (
            lambda m: {"mean_shape": m.mean_shape[:, [0, 2, 1]] * np.float32([1, -1, 1])},
            r"mean_shape must be a face that looks along \+z, .*, got one turned by 9\d degrees",
        ),
        (
            lambda m: {"landmarks": m.landmarks[SHUFFLED]},
            r"landmarks must lie as on a face, within 25 mm .*, got \d\d mm",
        ),
    ],
)
def test_a_model_of_other_conventions_is_refused(tmp_path, monkeypatch, changes, message):
    model = golden_face_model()
    monkeypatch.setattr(type(model), "CENTROID_TOLERANCE", 10.0)
    model = dataclasses.replace(model, **changes(model))
    path = tmp_path / "mine.npz"
    model.save(path)
    with pytest.raises(UserError, match=rf"mine\.npz: .*{message}"):
        load_published(path, tmp_path)


def test_the_reference_lists_what_a_file_holds_and_the_guide_how_to_write_one(tmp_path):
    """A file of the arrays that the table does not call optional loads, and the guide's block runs on it."""
    table = (ROOT / "docs/reference/file_formats.md").read_text(encoding="utf-8").split("## Face model")[1]
    rows = [row.split("|") for row in table.split("##")[0].splitlines() if row.startswith("| `")]
    needed = [n for row in rows if "optional" not in row[3] for n in re.findall("`(.*?)`", row[1])]
    model = dataclasses.replace(coarse_head("face"), name="mine")
    model.save(tmp_path / "whole.npz")
    with np.load(tmp_path / "whole.npz") as data:
        listed = {name.replace("<name>", "").rstrip(".") for row in rows for name in re.findall("`(.*?)`", row[1])}
        assert {name for name in data if not name.startswith(("people/", "regions/"))} <= listed
        assert {"people/", "regions/"} <= listed
        arrays = {name: data[name] for name in needed}
    np.savez(tmp_path / "bare.npz", **arrays)
    assert load_published(tmp_path / "bare.npz", tmp_path).vertex_count == model.vertex_count
    guide = (ROOT / "docs/guide/own_face_model.md").read_text(encoding="utf-8").split("### Arrays of your own")[1]
    block = guide.split("```python\n")[1].split("```")[0].replace("data/mine", str(tmp_path))
    plain = {n: arrays[n] for n in needed[needed.index("mean_shape") : needed.index("uv") + 1]}
    plain["expression_basis"] = plain["expression_basis"][:3]
    exec(compile(block, "guide", "exec"), {"arrays": plain, "eye": model.regions["eye"], "iris": model.regions["iris"]})
    assert load_published(tmp_path / "model.npz", tmp_path).expression_strength == 0.5
