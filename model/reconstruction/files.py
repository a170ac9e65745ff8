"""Names of the files that test mode writes for each photo, and their removal.

This module does not import TensorFlow: the process that starts the others removes what a killed one has left.
"""

import contextlib
from pathlib import Path

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
# Of a result, with meshes in all formats.
_ALL_FILES = (
    "crop.png", "coarse.png", "fine.png", "overlay.png", "landmarks.png", "landmarks.txt", "landmarks_now.txt",
    "coefficients.json", "metrics.json", *(name for names in FILES.values() for name in names),
)  # fmt: skip


def remove_other_faces(folder: Path, faces: int | None) -> None:
    """Removes results of an earlier run that found more faces in a photo, or was told to find others.

    Args:
      folder: the photo's; may be missing.
      faces: number of its folders face_0, face_1, ... that stay; None if the one result is in `folder` itself.
    """
    kept = {f"face_{number}" for number in range(faces or 0)}
    others = [path for path in folder.glob("face_[0-9]*") if path.is_dir() and path.name not in kept]
    for other in others if faces is None else [folder, *others]:
        for name in _ALL_FILES:
            (other / name).unlink(missing_ok=True)
    for other in others:
        if not any(other.iterdir()):  # nobody else's files are in it
            other.rmdir()


def remove_results(folder: Path) -> None:
    """Removes the results of an earlier run from the folder of a photo, or of a face, that has failed now."""
    with contextlib.suppress(OSError):  # perhaps the reason of the failure
        remove_other_faces(folder, 0)
