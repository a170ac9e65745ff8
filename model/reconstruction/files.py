"""Names of the files that test mode writes for each photo, and their removal; files of others are left alone.

This module does not import TensorFlow: the process that starts the others removes what a killed one has left.
"""

import contextlib
import os
import re
from pathlib import Path

from lib.errors import UserError
from lib.face_image.earlier_results import PICTURES, is_coefficients
from lib.files.own_files import has_keys, is_own

# Texture -> its file, in the folder of mesh.obj.
TEXTURES = {"albedo": "mesh_albedo.png", "lit": "mesh_lit.png", "normals": "mesh_normals.png"}
# Format of meshes -> the files it may write.
FILES = {
    "obj": ("mesh.obj", "mesh.mtl", *TEXTURES.values()),
    "glb": ("mesh.glb", "mesh_lit.glb", "mesh_vertex_colors.glb"),
    "ply": ("mesh.ply",),
    "neutral": ("neutral.obj",),
    "rig": ("rig.glb",),
    "usdz": ("mesh.usdz", "rig.usdz"),
}
# A result's mark is written before all its other files, and removed after them.
MARK = "coefficients.json"
_MARKS = {
    "metrics.json": (has_keys("photo", "psnr_coarse"), has_keys("photos", "psnr_merged")),
    MARK: (is_coefficients,),
}
# Of a result, with meshes in all formats.
_MESHES = (name for names in FILES.values() for name in names)
_ALL_FILES = (*PICTURES, "landmarks.txt", "landmarks_now.txt", *_MESHES, *_MARKS)


def check_result_folder(folder: Path, *also: str) -> None:
    """Checks that the files of a result, and `also` others, may be written to a folder.

    Raises:
      UserError: it holds a file under one of these names that is not of an earlier result.
    """
    if (file := foreign_file(folder, *also)) is not None:
        raise UserError(
            f"{file}: must be an earlier result's file to be replaced, got another one (choose another folder, or move "
            "the file)"
        )


def foreign_file(folder: Path, *also: str) -> Path | None:
    """A file under the name of a result's, or one of `also`, in a folder without a result's mark; None if none is.

    Empty files do not count.
    """
    present = set(os.listdir(folder)) if folder.is_dir() else set()
    files = [folder / name for name in (*_ALL_FILES, *also) if name in present]
    taken = [file for file in files if file.is_file() and file.stat().st_size]
    marks = [file for file in taken if file.name in _MARKS]
    foreign = [file for file in marks if not any(is_own(file, kind) for kind in _MARKS[file.name])]
    return next(iter(foreign if marks else taken), None)


def remove_other_faces(folder: Path, faces: int | None) -> None:
    """Removes results of an earlier run that found more faces in a photo, or was told to find others.

    Args:
      folder: the photo's; may be missing.
      faces: number of its folders face_0, face_1, ... that stay; None if the one result is in `folder` itself.
    """
    kept = {f"face_{number}" for number in range(faces or 0)}
    others = [path for path in folder.glob("face_[0-9]*") if path.is_dir() and re.fullmatch(r"face_\d+", path.name)]
    others = [path for path in others if path.name not in kept]
    for other in others if faces is None else [folder, *others]:
        if foreign_file(other) is not None:
            continue
        for file in (other / name for name in _ALL_FILES):
            if file.is_file():
                file.unlink()
    for other in others:
        if not any(other.iterdir()):  # nobody else's files are in it
            other.rmdir()


def remove_results(folder: Path) -> None:
    """Removes the results of an earlier run from the folder of a photo, or of a face, that has failed now."""
    with contextlib.suppress(OSError):  # perhaps the reason of the failure
        remove_other_faces(folder, 0)
