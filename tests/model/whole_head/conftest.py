"""The coarsest whole head, built once."""

import pytest

from lib.face_model_files.human_head import ExtendedHead, human_head_model
from lib.human_head.shipped import SHIPPED, HumanHead
from lib.synthetic.builtin.face_generator import build_face_model


@pytest.fixture(scope="package")
def source():
    return build_face_model(2000)


@pytest.fixture(scope="package")
def extended(source) -> ExtendedHead:
    return ExtendedHead.build(HumanHead.load(SHIPPED), source, "face", "head", 0)


@pytest.fixture(scope="package")
def count(source) -> int:
    """Number of vertices of the face."""
    return human_head_model(HumanHead.load(SHIPPED), source, "face", 0).vertex_count
