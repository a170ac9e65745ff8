"""Face models that many tests share. Nothing changes them; to build them takes a third of a second, a head seconds."""

import functools

from lib.face_mesh.surface_points import SurfacePoints
from lib.face_model.face_model import FaceModel
from lib.face_model_files.human_head import ExtendedHead, human_head_model
from lib.human_head.shipped import SHIPPED, HumanHead
from lib.synthetic.builtin.face_generator import build_face_model
from model.dense_landmarks.source import SHIPPED as POINTS
from model.dense_landmarks.source import at_texture_coordinates, read_points

# Of (vertex_count, seed).
built_in_face = functools.cache(build_face_model)


@functools.cache
def built_in_points() -> SurfacePoints:
    """The face mesh's points on the built-in face of 2,500 vertices."""
    return at_texture_coordinates(built_in_face(2500), read_points(POINTS["built-in face"]).uv)


@functools.cache
def coarse_head(area: str) -> FaceModel:
    """An area of the human head, as coarse as there is one."""
    return human_head_model(HumanHead.load(SHIPPED), built_in_face(2000), area, 0)


@functools.cache
def extended_head() -> ExtendedHead:
    """The same whole head beyond its face."""
    return ExtendedHead.build(HumanHead.load(SHIPPED), built_in_face(2000), "face", "head", 0)
