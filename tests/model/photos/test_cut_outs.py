"""Alpha of a whole person is no mask of the face; one of the face stays."""

import dataclasses

import numpy as np
import pytest
import skimage.data

from lib.face_image.alignment import align, five_points
from lib.face_image.detection import Face
from lib.geometry.camera import Camera
from model.fitting.masks import MaskFinder
from model.morphable_model import MorphableModel
from model.photos.cut_outs import REMARK, without_cut_out
from model.photos.reader import AlignedPhoto
from tests.support.faces import built_in_face
from tests.support.photo_corpus import ASTRONAUT_FIVE as FIVE


@pytest.fixture(scope="module")
def find_mask():
    return MaskFinder(MorphableModel(built_in_face(2000)), Camera())


@pytest.fixture(scope="module")
def coefficients(find_mask):
    return np.zeros([1, find_mask.model.layout.size], np.float32)


def photo(alpha, own=True):
    pixels, model = skimage.data.astronaut(), built_in_face(2000)
    alignment = align(pixels, FIVE, five_points(model.mean_shape[model.landmarks]))
    return AlignedPhoto(
        "p", pixels.shape[:2], Face(np.zeros(4), FIVE, 1.0), alignment, alpha, remark="x", own_alpha=own
    )


def test_a_whole_person_only_bounds_the_mask_that_is_found(find_mask, coefficients):
    person = np.ones((224, 224), np.float32)
    person[:, :60] = 0  # through a cheek
    given = photo(person)
    found = without_cut_out(given, find_mask, coefficients)
    assert found.alpha is None
    assert found.remark == f"x; {REMARK}"
    np.testing.assert_array_equal(found.alignment.inside, given.alignment.inside & (person > 0))
    np.testing.assert_array_equal(found.covered, given.alignment.inside)
    assert find_mask(found.alignment, found.alpha, coefficients)[:, :60].max() == 0


def test_a_mask_beside_the_face_stays(find_mask, coefficients):
    beside = photo(1 - find_mask.silhouette(coefficients).astype(np.float32))
    assert without_cut_out(beside, find_mask, coefficients) is beside


def test_a_face_and_a_mask_file_stay(find_mask, coefficients):
    face = find_mask.silhouette(coefficients).astype(np.float32)
    for kept in (photo(face), photo(np.ones_like(face), own=False), photo(None, own=False)):
        assert without_cut_out(kept, find_mask, coefficients) is kept
    grown = dataclasses.replace(photo(face), alpha=np.ones_like(face))
    assert without_cut_out(grown, find_mask, coefficients) is not grown
