"""model/training/occlusion.py."""

import numpy as np
import pytest
import tensorflow as tf

from model.training.occlusion import RADII, unoccluded_vertices

POINTS = tf.constant(np.random.default_rng(0).uniform(-0.8, 0.8, (400, 3)).astype(np.float32))


def test_the_share_of_faces_and_equal_seeds():
    unoccluded = unoccluded_vertices(POINTS, 500, tf.constant([1, 2]), 0.4).numpy()
    assert unoccluded.shape == (500, 400, 1)
    assert set(np.unique(unoccluded)) == {0.0, 1.0}
    assert abs((unoccluded.min(axis=(1, 2)) == 0).mean() - 0.4) < 0.1
    np.testing.assert_array_equal(unoccluded, unoccluded_vertices(POINTS, 500, tf.constant([1, 2]), 0.4))
    assert (unoccluded != unoccluded_vertices(POINTS, 500, tf.constant([1, 3]), 0.4).numpy()).any()
    np.testing.assert_array_equal(unoccluded_vertices(POINTS, 20, tf.constant([1, 2]), 0.0), 1.0)


@pytest.mark.parametrize(("share", "count"), [(1.0, 200), (0.4, 500)])
def test_parts_are_sides_or_discs(share, count):
    """Parts cut off by a plane or a ball are connected, unlike single vertices drawn at random."""
    points = POINTS.numpy()
    sides = discs = 0
    for face in unoccluded_vertices(POINTS, count, tf.constant([5, 6]), share).numpy()[..., 0]:
        hidden = points[face == 0]
        if not len(hidden):
            continue
        middle = hidden.mean(axis=0)
        spread = np.linalg.norm(hidden - middle, axis=1).max()
        if spread <= RADII[1] * 1.5:
            discs += 1
            assert np.linalg.norm(hidden[:, None] - hidden[None], axis=-1).max() <= 2 * RADII[1] + 1e-5
        else:
            sides += 1
            # A plane parts them: the hidden and the shown are on average well apart along one direction.
            axis = middle - points[face == 1].mean(axis=0)
            axis /= np.linalg.norm(axis)
            wrong = ((points @ axis > np.quantile(points @ axis, face.mean())) == (face == 1)).mean()
            assert wrong < 0.25
    assert sides > 60
    assert discs > 40
