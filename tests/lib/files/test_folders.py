"""Folders in which nothing may be written."""

import dataclasses
import errno
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from configs import schema
from lib.errors import UserError
from lib.face_mesh.groups import POINTS
from lib.face_mesh.surface_points import SurfacePoints
from lib.face_model.face_model import FaceModel
from lib.face_model_files import human_head
from lib.face_model_files.human_head import ExtendedHead
from lib.files import folders
from lib.files.atomic import atomic_path
from lib.files.folders import cache_in, make_folder
from lib.files.locks import sole_user
from lib.mesh_export.stored_chart import load_chart
from lib.mesh_sampling import load_or_build
from model.dense_landmarks import calibration, source
from tests.support.faces import built_in_face
from tests.support.meshes import wavy_grid


@pytest.fixture(params=[errno.EACCES, errno.EROFS])
def closed(request, tmp_path, monkeypatch):
    """A folder in which nothing may be made; patched, because the administrator may write anywhere."""
    folder = tmp_path / "closed"
    folder.mkdir()
    make, open_file = Path.mkdir, os.open

    def refuse(path):
        if folder in Path(path).parents:
            raise OSError(request.param, os.strerror(request.param), str(path))

    def refusing_mkdir(path, *arguments, **options):
        if not path.exists():
            refuse(path)
        make(path, *arguments, **options)

    def refusing_open(path, flags, *arguments, **options):
        if flags & os.O_CREAT:
            refuse(path)
        return open_file(path, flags, *arguments, **options)

    monkeypatch.setattr(Path, "mkdir", refusing_mkdir)
    monkeypatch.setattr(os, "open", refusing_open)
    return folder


def test_it_is_named_with_what_to_do(closed):
    wanted = f"{closed}: must be a folder that can be written, got: .*choose another folder with --output"
    with pytest.raises(UserError, match=wanted):
        make_folder(closed / "a" / "b")
    with pytest.raises(UserError, match=wanted), atomic_path(closed / "file"):
        pass
    with pytest.raises(UserError, match=wanted), sole_user(closed, "a test"):
        pass


def test_a_cache_in_it_is_left_out_with_one_line(closed, capsys):
    folders._report_no_cache.cache_clear()
    for name in ("a", "b"):
        with cache_in(closed), atomic_path(closed / name) as path:
            path.write_text("never written")
    assert capsys.readouterr().err.splitlines() == [
        f"{closed}: cannot be written; what would be kept here is made again in each run"
    ]
    assert not list(closed.iterdir())


def test_other_faults_of_a_cache_are_raised(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="must be a folder, got a file"), cache_in(tmp_path / "file"):
        make_folder(tmp_path / "file" / "below")


def test_everything_that_a_reconstruction_keeps_is_made_without_a_cache(closed, monkeypatch):
    model, extended = built_in_face(2000), object.__new__(ExtendedHead)
    extended.__dict__.update(model=model, chart=SimpleNamespace(vertex=[0], uv=[0], triangles=[0]))
    assert FaceModel.cached(closed / "model.npz", lambda: model) is model
    monkeypatch.setattr(human_head, "load_built_in", lambda _: model)
    monkeypatch.setattr(ExtendedHead, "build", lambda *_: extended)
    assert ExtendedHead.load(closed, "face", "head") is extended
    vertices, triangles = wavy_grid(8, 8)
    assert len(load_or_build(closed / "mesh", vertices, triangles, (2,)).vertices) == 2
    bare = dataclasses.replace(model, name="mine", uv=np.zeros_like(model.uv))
    np.testing.assert_array_equal(load_chart(bare, closed).mesh_triangles, bare.triangles)
    points = SurfacePoints(np.zeros([POINTS, 3], np.int32), np.ones([POINTS, 3], np.float32))
    monkeypatch.setattr(calibration, "calibrate", lambda _: points)
    config = schema.load(overrides={"data.root_dir": str(closed), "face_model.source": "mine.npz"})
    assert source.surface_points(config, bare) is points
    assert not list(closed.iterdir())
