"""Differentiable mesh renderer: the TensorFlow 2 successor of the package mesh-renderer 1.4, on a small interface."""
