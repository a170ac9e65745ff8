"""The perspective camera: projection from world space (decimetres) to pixels and to clip space."""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf

from lib.geometry.reference import DISTANCE, FOCAL_RATIO, REFERENCE_SIZE


@dataclass(frozen=True)
class Camera:
    """A pinhole at (0, 0, distance) looking along -z, square pixels, principal point in the middle.

    Pixel coordinates are (x right, y down). Pixel i spans [i, i + 1), so its centre is at i + 0.5 and the image centre
    at (W / 2, H / 2).

    Attributes:
      image_size: (H, W).
      focal_ratio: focal length in image heights; 1015 px on 224 px is the camera of Deep3D and of the paper.
      distance: distance from the camera to the origin, decimetres.
      near, far: clipping planes, decimetres; they only bound what is drawn.
    """

    image_size: tuple[int, int] = (REFERENCE_SIZE, REFERENCE_SIZE)
    focal_ratio: float = FOCAL_RATIO
    distance: float = DISTANCE
    near: float = 0.1
    far: float = 100.0

    def __post_init__(self):
        if len(self.image_size) != 2 or min(self.image_size) < 1:
            raise ValueError(f"image_size must be (height, width) in pixels, got {self.image_size}")
        if self.focal_ratio <= 0:
            raise ValueError(f"focal_ratio must be positive, got {self.focal_ratio}")
        if not 0 < self.near < self.far:
            raise ValueError(f"clipping planes must be 0 < near < far, got near {self.near}, far {self.far}")

    @property
    def focal_length(self) -> float:
        """Focal length in pixels."""
        return self.focal_ratio * self.image_size[0]

    def depth(self, vertices: tf.Tensor) -> tf.Tensor:
        """Depth of points along the camera's axis: [..., 3] world -> [...] decimetres."""
        return self.distance - vertices[..., 2]

    def project(self, vertices: tf.Tensor) -> tf.Tensor:
        """Projects points to pixel coordinates.

        Args:
          vertices: [B, N, 3] world, decimetres.

        Returns:
          [B, N, 2] (x, y) pixels. Points nearer than `near` or behind the camera are projected as if at depth `near`,
          so that values and gradients stay finite; they are never visible.
        """
        height, width = self.image_size
        scale = self.focal_length / tf.maximum(self.depth(vertices), self.near)
        return tf.stack([width / 2 + scale * vertices[..., 0], height / 2 - scale * vertices[..., 1]], axis=-1)

    def clip_coordinates(self, vertices: tf.Tensor) -> tf.Tensor:
        """OpenGL clip coordinates: [B, N, 3] world -> [B, N, 4]; divided by w: x right, y up, z = -1 at `near`."""
        height, width = self.image_size
        depth = self.depth(vertices)
        span = self.far - self.near
        return tf.stack(
            [
                vertices[..., 0] * (2 * self.focal_length / width),
                vertices[..., 1] * (2 * self.focal_length / height),
                depth * ((self.far + self.near) / span) - 2 * self.far * self.near / span,
                depth,
            ],
            axis=-1,
        )

    def depth_of_clip(self, z: tf.Tensor) -> tf.Tensor:
        """Depth [dm] of points from z / w of their `clip_coordinates`: -1 is `near`, 1 is `far`."""
        return 2 * self.far * self.near / (self.far + self.near - z * (self.far - self.near))
