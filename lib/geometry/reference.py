"""The size of crop that pixel distances refer to; without TensorFlow, which the camera's module imports."""

# Side of the published crops [px]. Pixel distances in crops of other sizes are scaled to it.
REFERENCE_SIZE = 224
