"""A run replaces the files of an earlier run, and no others."""

import pytest

from lib.errors import UserError
from model.reconstruction.replaceable import check_replaceable

OWN = {
    "index.html": b"<!DOCTYPE html>\n<title>3D faces from photos</title>",
    "summary.csv": b"photo,psnr_coarse,psnr_fine\r\n",
    "summary.json": b'{"given": 1, "reconstructed": 0, "failed": {"a.jpg": "x"}, "seconds": 1}',
    "failed.txt": b"a.jpg: no face found\n",
    "sheet.png": b"\x89PNG\r\n\x1a\n...",
}
FOREIGN = {
    "index.html": b"<!DOCTYPE html>\n<title>My home page</title>",
    "summary.csv": b"name,amount\n",
    "summary.json": b"[1, 2]",
    "failed.txt": b"shopping list\n",
    "sheet.png": b"GIF89a",
}


def test_an_earlier_runs_files_are_replaceable(tmp_path):
    check_replaceable(tmp_path / "missing")
    for name, content in OWN.items():
        (tmp_path / name).write_bytes(content)
    check_replaceable(tmp_path)
    (tmp_path / "failed.txt").write_bytes(b"")
    check_replaceable(tmp_path)


@pytest.mark.parametrize("name", OWN)
def test_another_file_is_named(tmp_path, name):
    for own, content in OWN.items():
        (tmp_path / own).write_bytes(content)
    (tmp_path / name).write_bytes(FOREIGN[name])
    with pytest.raises(UserError, match=f"{name}: must be an earlier run's file to be replaced"):
        check_replaceable(tmp_path)
