"""The coarsest whole head."""

import pytest

from lib.face_model.face_model import FaceModel
from lib.face_model_files.human_head import ExtendedHead
from tests.support.faces import built_in_face, coarse_head, extended_head


@pytest.fixture(scope="package")
def source() -> FaceModel:
    return built_in_face(2000)


@pytest.fixture(scope="package")
def extended() -> ExtendedHead:
    return extended_head()


@pytest.fixture(scope="package")
def count() -> int:
    """Number of vertices of the face."""
    return coarse_head("face").vertex_count
