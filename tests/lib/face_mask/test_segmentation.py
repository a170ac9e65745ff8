"""Masks of painted faces with known outlines: the border moves to the edges, hair and background stay out."""

import cv2
import numpy as np
import pytest

from lib.face_image.quality import Unusable
from lib.face_mask import segmentation
from lib.face_mask.segmentation import segment, unlike_the_face

POINTS = np.array([[82.0, 90], [142, 90], [112, 120], [90, 146], [134, 146]])


def painted(axes=(55, 75), background=(70, 110, 160), skin=(205, 155, 130), hair_to=0, seed=0):
    """A crop with an elliptic face, eyes, mouth, noise, hair down to row `hair_to`; returns the crop and its truth."""
    generator = np.random.default_rng(seed)
    image = np.full((224, 224, 3), background, np.uint8)
    face = np.zeros((224, 224), np.uint8)
    cv2.ellipse(image, (112, 115), axes, 0, 0, 360, skin, -1)
    cv2.ellipse(face, (112, 115), axes, 0, 0, 360, 1, -1)
    for x, y in POINTS[:2]:
        cv2.ellipse(image, (int(x), int(y)), (9, 4), 0, 0, 360, (40, 30, 25), -1)
    cv2.ellipse(image, (112, 147), (22, 5), 0, 0, 360, (150, 60, 60), -1)
    if hair_to:
        image[:hair_to] = (60, 40, 25)
        face[:hair_to] = 0
    noise = cv2.GaussianBlur(generator.normal(0, 25, image.shape), (0, 0), 1.5)
    return np.clip(image + noise, 0, 255).astype(np.uint8), face > 0


def silhouette(axes=(60, 70), centre=(112, 112)):
    mask = np.zeros((224, 224), np.uint8)
    cv2.ellipse(mask, centre, axes, 0, 0, 360, 1, -1)
    return mask > 0


def overlap(alpha, truth):
    mask = alpha > 127
    return (mask & truth).sum() / (mask | truth).sum()


@pytest.mark.parametrize(
    ("background", "skin"),
    [((70, 110, 160), (205, 155, 130)), ((30, 30, 30), (110, 70, 50)), ((180, 190, 185), (150, 160, 210))],
)
def test_border_moves_from_the_silhouette_to_the_edge(background, skin):
    crop, truth = painted(background=background, skin=skin)
    start = silhouette()
    alpha = segment(crop, POINTS, start)
    assert set(np.unique(alpha)) == {0, 255}
    assert overlap(alpha, truth) > 0.95 > overlap(start * 255, truth)


def test_hair_over_the_forehead_stays_out():
    crop, truth = painted(hair_to=68)
    alpha = segment(crop, POINTS, silhouette())
    assert overlap(alpha, truth) > 0.93
    assert (alpha[:62] > 0).mean() < 0.01


def test_dark_above_the_brows_starts_as_background():
    """Whatever GrabCut makes of it: hair inside of the silhouette must not teach it the face's colours."""
    crop, truth = painted(hair_to=68)
    image = cv2.resize(crop, (segmentation.WORKING_SIDE,) * 2, interpolation=cv2.INTER_CUBIC)
    face, truth = (
        cv2.resize(mask.astype(np.uint8), image.shape[:2], interpolation=cv2.INTER_NEAREST) > 0
        for mask in (silhouette(), truth)
    )
    everywhere = np.ones_like(face)
    labels = segmentation._trimap(image, POINTS * 256 / 224, face, everywhere, segmentation.BANDS)
    probable = (labels == cv2.GC_PR_FGD) | (labels == cv2.GC_FGD)
    hair = face & (np.arange(256)[:, None] < 74)
    assert hair.sum() > 500
    assert probable[hair].mean() < 0.02
    assert probable[face & truth].mean() > 0.9


def test_eyes_and_mouth_belong_to_the_face():
    crop, _ = painted()
    alpha = segment(crop, POINTS, silhouette())
    for x, y in POINTS.astype(int):
        assert (alpha[y - 3 : y + 4, x - 3 : x + 4] == 255).all()


def test_one_piece_without_holes():
    crop, _ = painted(seed=3)
    crop[20:40, 20:40] = crop[100, 112]  # a patch of skin colour elsewhere
    crop[125:132, 70:78] = (20, 200, 30)  # a mark on the cheek
    alpha = segment(crop, POINTS, silhouette())
    assert cv2.connectedComponents(alpha)[0] == 2
    assert cv2.connectedComponents(255 - alpha)[0] == 2


def test_skin_coloured_surroundings_do_not_swallow_the_mask():
    crop, truth = painted(background=(200, 150, 128))
    alpha = segment(crop, POINTS, silhouette())
    assert overlap(alpha, truth) > 0.75


def test_nothing_outside_of_the_photo():
    crop, _ = painted()
    valid = np.ones((224, 224), bool)
    valid[:, :70] = False
    crop[~valid] = 0
    alpha = segment(crop, POINTS, silhouette(), valid)
    assert (alpha[:, :70] == 0).all()
    assert alpha[115, 90] == 255


def test_a_face_whose_features_are_outside_of_the_photo_is_cut_off():
    crop, _ = painted()
    valid = np.zeros((224, 224), bool)
    valid[:, :10] = True
    with pytest.raises(Unusable, match="face cut off: eyes, nose and mouth are outside the photo"):
        segment(crop, POINTS, silhouette(), valid)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_colours_are_compared_with_however_few(count):
    sure = np.zeros((224, 224), bool)
    sure[100, 100 : 100 + count] = True
    unlike = unlike_the_face(painted()[0], sure)
    assert np.isfinite(unlike).all()
    assert unlike.any() == (count == 2)


def test_soft_border_other_sizes_and_determinism():
    crop, truth = painted()
    alpha = segment(crop, POINTS, silhouette(), soft=True)
    share = ((alpha > 0) & (alpha < 255)).mean()
    assert 0 < share < 0.05
    np.testing.assert_array_equal(alpha, segment(crop, POINTS, silhouette(), soft=True))
    half = cv2.resize(crop, (112, 112), interpolation=cv2.INTER_AREA)
    small = segment(half, POINTS / 2, silhouette()[::2, ::2])
    assert overlap(small, truth[::2, ::2]) > 0.93


def test_wrong_input_is_refused():
    crop, _ = painted()
    with pytest.raises(ValueError, match="silhouette must be"):
        segment(crop, POINTS, np.zeros((224, 224), bool))
    with pytest.raises(ValueError, match="crop must be"):
        segment(crop[:100], POINTS, silhouette()[:100])
    with pytest.raises(ValueError, match="crop must be"):
        segment(crop.astype(np.float32), POINTS, silhouette())
