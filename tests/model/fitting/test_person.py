"""The robust mean of one person's coefficients."""

import numpy as np

from model.fitting.person import robust_mean


def test_copies_of_a_photo_do_not_silence_the_others():
    """Also if they were fitted in other batches, and rounded differently."""
    generator = np.random.default_rng(0)
    vectors = generator.normal(0, 1, (4, 80))
    copies = vectors[:1] + generator.normal(0, 1e-4, (9, 80))
    np.testing.assert_allclose(robust_mean(np.concatenate([vectors, copies])), robust_mean(vectors), rtol=1e-6)
    np.testing.assert_allclose(robust_mean(np.repeat(vectors[:1], 3, axis=0)), vectors[0], rtol=1e-6)
