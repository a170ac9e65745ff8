"""The scalp of a whole head in the colours that the photo shows there: of hair, a cap, or bare skin."""

import dataclasses
from dataclasses import dataclass

import numpy as np
import scipy.sparse
import tensorflow as tf

from lib.face_image.region import AROUND, PhotoRegion
from lib.geometry.camera import Camera
from lib.images.sampling import sample_image
from lib.mesh_export.texture_baking import FULL_COSINE, LEAST_COSINE, inside_mask
from lib.mesh_export.texture_fill import edge_laplacian, membrane
from lib.mesh_renderer.fragments import triangle_ids
from lib.synthetic.appearance.canonical import CanonicalFace
from lib.synthetic.appearance.hair import hair_flow
from lib.synthetic.appearance.noise import noise
from model.morphable_model import MorphableModel, PosedFace
from model.projection import delit_albedo, facing_cosine

# Least share of the scalp that the photo must show.
LEAST_SEEN = 0.003
# Weight of what looks like bare skin for the colour of what is not seen: a high forehead is no colour of hair.
BARE_WEIGHT = 0.05
# Differences (root mean square of the log of colours) from the skin at which the scalp counts as bare and as covered.
BARE, COVERED = 0.2, 0.45
DARKEST = 0.03
# Where hair is not seen, its brightness varies by this much (of its log), in strands of this size [mm].
STRANDS, STRAND_SIZE = 0.1, (5.0, 30.0, 1.0)


@dataclass(frozen=True, eq=False)
class PaintedScalp:
    """The scalp of one reconstruction.

    Attributes:
      albedo: [N, 3] colour of the scalp without light, RGB; 0 elsewhere.
      camera: that of the crops with a wider field of view, because crops end below the crown.
      readable: [S, S] float32, 1 on pixels of that camera whose colours may be read, on the scalp and the face.
    """

    albedo: np.ndarray
    camera: Camera
    readable: np.ndarray


class Scalp:
    """The scalp of one whole head.

    Args:
      morphable: a head whose model has the region "scalp".
      camera: of the crops.

    Attributes:
      share: [N] in [0, 1], share of the scalp's colour at each vertex.
    """

    def __init__(self, morphable: MorphableModel, camera: Camera):
        self._morphable, self._camera, self._wide = morphable, camera, _widened(camera)
        model = morphable.face_model
        self.share = model.regions["scalp"]
        flow = np.pad(hair_flow(CanonicalFace(model).points), ((0, 0), (0, 1)))
        self._strands = np.exp(STRANDS * noise(flow, STRAND_SIZE, seed=0, octaves=2))[:, None]
        self._rows = np.flatnonzero(self.share > 0)
        number = np.zeros(model.vertex_count, np.int32)
        number[self._rows] = np.arange(len(self._rows))
        inner = (self.share[model.triangles] > 0).all(axis=1)
        self._laplacian: scipy.sparse.csr_matrix = edge_laplacian(number[model.triangles[inner]], len(self._rows))

    def __call__(
        self, face: PosedFace, skin: np.ndarray, readable: np.ndarray, region: PhotoRegion | None
    ) -> PaintedScalp:
        """Reads the scalp's colours in a photo and continues them where it is not seen.

        Args:
          face: a batch of one, with the shading of the whole head.
          skin: [N, 3] albedo of the bare head.
          readable: [H, W] pixels of the crop that show the face's skin.
          region: the photo's pixels around the crop; None if they show nothing but the face.

        Returns:
          The colours; those of the brows if the photo hardly shows the scalp.
        """
        camera, rows = self._wide, self._rows
        albedo = np.zeros_like(skin)
        readable = np.pad(readable.astype(np.float32), (camera.image_size[0] - len(readable)) // 2)
        if region is not None:
            image, inside = region.frame(self._camera.image_size[0], camera.image_size[0])
            corners, scalp = self._seen(face)
            shown = np.maximum(readable, scalp & inside)
            points = tf.gather(camera.project(face.vertices), rows, axis=1)
            weight = self.share[rows] * np.isin(rows, corners) * self._trusted(face, points, shown)
            if weight.sum() >= LEAST_SEEN * self.share.sum():
                colour = sample_image(tf.constant(image[None]), points)
                seen = delit_albedo(colour, tf.gather(face.shading, rows, axis=1))[0].numpy()
                seen /= np.maximum(seen.max(axis=1, keepdims=True), 1)  # bright cloth keeps its hue
                like_hair = BARE_WEIGHT + (1 - BARE_WEIGHT) * _covered(seen, skin[rows])
                hidden = membrane(self._laplacian, seen, weight * like_hair) * self._strands[rows]
                albedo[rows] = np.clip(hidden + weight[:, None] * (seen - hidden), 0, 1)
                return PaintedScalp(albedo, camera, shown)
        albedo[rows] = np.clip(self._brow_colour(skin) * self._strands[rows], 0, 1)
        return PaintedScalp(albedo, camera, readable)

    def _seen(self, face: PosedFace) -> tuple[np.ndarray, np.ndarray]:
        """Vertices whose triangles the wide camera sees, and bool [S, S], pixels that show the scalp."""
        camera, triangles = self._wide, self._morphable.face_model.triangles
        clip = camera.clip_coordinates(face.vertices)
        ids = triangle_ids(clip, self._morphable.triangles, camera.image_size)[0].numpy()
        scalp = self.share[triangles].mean(axis=1) > 0.5
        return np.unique(triangles[ids[ids >= 0]]), scalp[ids] & (ids >= 0)

    def _brow_colour(self, skin: np.ndarray) -> np.ndarray:
        """[3] albedo of the brows in `skin` [N, 3]; their darker half, because skin shows between the hairs."""
        brows = skin[self._morphable.face_model.regions["brow"] > 0.5]
        brightness = brows.mean(axis=1)
        return brows[brightness <= np.median(brightness)].mean(axis=0)

    def _trusted(self, face: PosedFace, points: tf.Tensor, shown: np.ndarray) -> np.ndarray:
        """[M] in [0, 1] for the scalp's vertices, less near the outlines of head and mask: other colours lie beyond."""
        well_inside = sample_image(tf.constant(inside_mask(shown)[None, ..., None]), points)[0, :, 0].numpy()
        vertices, normals = (tf.gather(values, self._rows, axis=1) for values in (face.vertices, face.normals))
        cosine = facing_cosine(vertices, normals, self._wide)[0, :, 0].numpy()
        return well_inside * np.clip((cosine - LEAST_COSINE) / (FULL_COSINE - LEAST_COSINE), 0, 1)


def _covered(colours: np.ndarray, skin: np.ndarray) -> np.ndarray:
    """[N] how surely colours [N, 3] are not of the skin [N, 3]: 0 for skin, 1 for anything else."""
    apart = np.log((np.maximum(colours, 0) + DARKEST) / (np.maximum(skin, 0) + DARKEST))
    distance = np.sqrt(np.square(apart).mean(axis=1))
    return np.clip((distance - BARE) / (COVERED - BARE), 0, 1)


def _widened(camera: Camera) -> Camera:
    """The camera with a margin of `AROUND` on each side of its square picture."""
    side = camera.image_size[0]
    wide = side + 2 * round(AROUND * side)
    return dataclasses.replace(camera, image_size=(wide, wide), focal_ratio=camera.focal_length / wide)
