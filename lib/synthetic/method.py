"""Version of the synthetic photos: part of the key of everything that is rendered from them and kept."""

# Raise it when the same face model, size, seed and index begin to give another photo; its module imports nothing, so
# that keys can be compared before TensorFlow is loaded.
METHOD = "procedural photos, 1"
