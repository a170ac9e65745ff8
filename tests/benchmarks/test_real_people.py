"""The benchmark of real people: whose photos count, and its measures."""

import numpy as np
import pytest
from PIL import Image

from benchmarks import real_people
from benchmarks.real_people import front_map, photos_of_people, summarise
from lib.errors import UserError
from lib.synthetic.builtin.face_generator import build_face_model


def folder_of(tmp_path, *names: str):
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    return tmp_path


def test_photos_belong_to_the_folder_they_lie_in(tmp_path):
    folder = folder_of(tmp_path, "ann/1.png", "ann/2.png", "bob/1.png", "loose.png")
    assert [(name, path.name) for name, path in photos_of_people(folder)] == [
        ("ann", "1.png"),
        ("ann", "2.png"),
        ("bob", "1.png"),
    ]


@pytest.mark.parametrize("names", [("ann/1.png", "bob/1.png"), ("ann/1.png", "ann/2.png"), ("1.png", "2.png")])
def test_verification_needs_two_people_and_two_photos_of_one(tmp_path, names):
    with pytest.raises(UserError, match="at least two people"):
        photos_of_people(folder_of(tmp_path, *names))


def test_a_photo_that_fails_is_left_out_with_its_reason(tmp_path, monkeypatch):
    def measure(reconstruct, path):
        if path.name == "1.png":
            raise ValueError("a fault of the decoder")
        return 1.0, np.zeros(3), np.zeros(2)

    monkeypatch.setattr(real_people, "measure_photo", measure)
    folder = folder_of(tmp_path, "ann/1.png", "ann/2.png", "bob/3.png")
    people, rows, left_out = real_people.measure_photos(None, photos_of_people(folder))
    assert (people, len(rows)) == (["ann", "bob"], 2)
    ((path, reason),) = left_out.items()
    assert path == str(folder / "ann" / "1.png")
    assert reason == "a fault of the decoder"


def test_people_are_told_apart_by_what_differs_between_them():
    model, generator = build_face_model(2000), np.random.default_rng(0)
    people = generator.normal(size=[2, model.layout.size])
    rows = []
    for number in (0, 0, 1, 1):
        coefficients = generator.normal(size=model.layout.size)
        part = model.layout.slices["identity"]
        coefficients[part] = people[number, part] + 0.01 * coefficients[part]
        embedding = np.eye(4)[number]
        rows.append((float(len(rows)), coefficients.astype(np.float32), embedding))
    found = summarise(model, ["ann", "ann", "bob", "bob"], rows)
    assert found["landmarks_percent"] == 1.5
    assert found["shape_auc"] == found["identity"]["auc"] == 1.0
    assert found["albedo_auc"] < 1.0
    assert (found["photos"], found["people"]) == (4, 2)


def test_mapped_coefficients_are_as_far_apart_as_their_shapes():
    model = build_face_model(2000)
    one, other = np.random.default_rng(0).normal(size=(2, len(model.identity_basis)))
    shapes = np.tensordot(one - other, model.identity_basis[:, model.front_mask], 1)
    mapped = (one - other) @ front_map(model)
    assert mapped.shape == one.shape
    assert np.linalg.norm(mapped) == pytest.approx(np.linalg.norm(shapes), rel=1e-5)


def test_landmark_files_beside_the_photos_are_not_taken_for_the_detectors(tmp_path, monkeypatch):
    seen = []

    class Stop(Exception):
        pass

    def load(config):
        seen.append(config.prepare.beside)
        raise Stop

    monkeypatch.setattr(real_people.FaceReconstructor, "load", load)
    folder = folder_of(tmp_path, "ann/1.png", "ann/2.png", "bob/3.png")
    with pytest.raises(Stop):
        real_people.main(["--input", str(folder), "--output", str(tmp_path / "out.json"), "prepare.beside=true"])
    assert seen == [False]
