"""Numbers of the published alignment; without TensorFlow, which the camera's module imports."""

# Side of the crops [px]. Pixel distances in crops of other sizes are scaled to it.
REFERENCE_SIZE = 224
# Focal length in image sides, and distance from the camera to the origin [dm].
FOCAL_RATIO, DISTANCE = 1015.0 / REFERENCE_SIZE, 10.0
