"""The human head shipped in data/ as a face model; albedo and painted regions come from the built-in face."""

import hashlib
from pathlib import Path

import numpy as np

from lib.face_model.face_model import FaceModel
from lib.face_model_files.assembly import FACE_REACH
from lib.face_model_files.correspondence import Correspondence
from lib.face_model_files.inner_parts import head_albedo, head_regions, is_inner
from lib.human_head.expressions import STRENGTH, expression_prior
from lib.human_head.shipped import SHIPPED, HumanHead
from lib.human_head.surface import build_surface
from lib.synthetic.builtin.face_generator import METHOD as BUILT_IN_METHOD
from lib.synthetic.builtin.face_generator import load_face_model as load_built_in

NAME = "human head"
# Part of the cache key: increase the number when a change makes the same file give a different model.
METHOD = "human head, 2"
# Vertices of the face at each level of subdivision, for the choice of the level.
_COUNTS = (2900, 10_900, 42_000)


def level_for(vertex_count: int) -> int:
    """Level of subdivision whose face comes nearest to a number of vertices, in proportion."""
    return int(np.argmin([abs(np.log(vertex_count / count)) for count in _COUNTS]))


def load_human_head(cache_dir: Path, area: str = "face", vertex_count: int = 10_000) -> FaceModel:
    """Loads an area of the head from the cache; builds and stores it if missing.

    Args:
      cache_dir: folder of the cache, also of the built-in model's.
      area: "face", "ears" (face with ears) or "head".
      vertex_count: approximate number of vertices of the face; other areas have the same density.

    Raises:
      UserError: the shipped file is missing or damaged.
      OSError: the cache can be neither read nor written.
    """
    level = level_for(vertex_count)
    digest = hashlib.sha256(f"{METHOD}\n{BUILT_IN_METHOD}\n".encode() + SHIPPED.read_bytes()).hexdigest()[:16]
    cached = Path(cache_dir) / f"human_head_{area}_{level}_{digest}.npz"
    return FaceModel.cached(
        cached, lambda: human_head_model(HumanHead.load(SHIPPED), load_built_in(cache_dir), area, level)
    )


def human_head_model(head: HumanHead, source: FaceModel, area: str = "face", level: int = 1) -> FaceModel:
    """Builds the face model.

    Args:
      head: the shipped head.
      source: model of albedo and painted regions.
      area, level: see `build_surface`.
    """
    surface = build_surface(head, area, level)
    shape = surface.mean(head.mean.astype(np.float64))
    shape = shape - shape.mean(axis=0) * (0, 1, 1)
    match = Correspondence(shape, surface.triangles, surface.landmarks, surface.mirror, source)
    inner = is_inner(surface.regions)
    regions = head_regions(surface.regions, match, inner)
    upper_lip = shape[surface.landmarks[62], 2]
    mean_albedo, albedo_basis = head_albedo(surface.regions, shape, upper_lip, match, regions)
    front = match.mask(source.front_mask) & (match.distance < FACE_REACH) & ~inner
    front |= (surface.regions["eye"] > 0.5) & (surface.regions["iris"] > 0)
    return FaceModel(
        name=NAME,
        mean_shape=shape,
        identity_basis=surface.displacements(head.identity),
        expression_basis=surface.displacements(head.expression) * STRENGTH,
        mean_albedo=mean_albedo,
        albedo_basis=albedo_basis,
        triangles=surface.triangles,
        landmarks=surface.landmarks,
        skin_mask=match.mask(source.skin_mask) & ~inner & (surface.regions["lips"] < 0.5),
        front_mask=front,
        mirror_index=surface.mirror,
        uv=surface.uv,
        regions=regions,
        expression_names=head.names["expressions"],
        expression_prior=expression_prior(),
        people={**head.population, "names": np.array(head.names["targets"])},
    )
