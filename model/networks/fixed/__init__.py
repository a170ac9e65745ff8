"""Trained networks with fixed weights as plain functions of tensors.

They compute what Keras networks with the same weights compute in inference, operation by operation, without the seconds
that building and tracing Keras networks would add before the first photo.
"""
