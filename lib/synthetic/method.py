"""Version of the synthetic photos: part of the cache key of everything derived from them."""

# Increase the number when a change makes the same face model, size, seed and index give a different photo. This module
# imports nothing, so that keys can be compared without loading TensorFlow.
METHOD = "procedural photos, 1"
