"""Trained networks with fixed weights as plain functions of tensors.

They compute what the Keras networks of the same weights compute in inference, operation by operation. Building those
and tracing their calls takes seconds, which a program that reconstructs one photo spends on nothing else.
"""
