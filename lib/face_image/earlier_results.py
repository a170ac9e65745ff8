"""Results of earlier runs within a folder of photos, which are no photos: told by the marks that runs leave."""

import sys
from collections.abc import Collection
from pathlib import Path

from lib.files.file_names import printable
from lib.files.own_files import IsOwn, begins, has_keys, is_own
from lib.files.shards import FOLDER

# Of one result, without the textures of its meshes.
PICTURES = ("crop.png", "coarse.png", "fine.png", "overlay.png", "landmarks.png")
is_coefficients = has_keys("coefficients", "face_model")
is_summary = has_keys("given", "reconstructed", "failed")
is_evaluation = has_keys("images", "protocol", "mean")

_PREPARED = ("crops", "sheets")
# A file that marks a folder -> its kind, and the pictures and folders of pictures that a run writes beside it.
_MARKS: dict[str, tuple[IsOwn, tuple[str, ...]]] = {
    "coefficients.json": (
        is_coefficients, (*PICTURES, "mesh_albedo.png", "mesh_lit.png", "mesh_normals.png", "sheet.png"),
    ),
    "summary.json": (is_summary, ("sheet.png",)),
    "images.json": (is_evaluation, ("images.png", "sheet.png")),
    "progress.jsonl": (begins(b'{"source": '), _PREPARED),
}  # fmt: skip
_LARGEST = 50_000_000  # bytes of a mark; others' lists of pictures may be far larger
_told: set[Path] = set()


def results_in(folder: Path, folders: Collection[str], names: Collection[str]) -> set[str]:
    """Those of the sub-folders and files of a folder that an earlier run has written, and that look like photos."""
    results = {*_PREPARED} if FOLDER in folders else set()
    for mark, (kind, pictures) in _MARKS.items():
        if mark in names and {*pictures}.intersection([*folders, *names]) and _is_mark(folder / mark, kind):
            results.update(pictures)
    return results.intersection([*folders, *names])


def _is_mark(path: Path, kind: IsOwn) -> bool:
    try:
        return path.is_file() and path.stat().st_size <= _LARGEST and is_own(path, kind)
    except OSError:  # somebody else's, whatever it is
        return False


def tell_of_results(folders: Collection[Path]) -> None:
    """Prints, once in a process, that the results of earlier runs in these folders are not taken for photos."""
    new = [folder for folder in folders if folder.resolve() not in _told]
    _told.update(folder.resolve() for folder in new)
    if new:
        which = f"{len(new)} folders, the first " if len(new) > 1 else ""
        print(f"left out: results of earlier runs in {which}{printable(str(new[0]))}", file=sys.stderr)
