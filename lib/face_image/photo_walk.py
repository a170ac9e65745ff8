"""The walk through a folder of photos and its sub-folders."""

import os
from collections.abc import Iterator
from pathlib import Path

from lib.errors import UserError
from lib.face_image.earlier_results import results_in, tell_of_results

# Folders that file systems keep for themselves on a disk, and that only the system may list.
SYSTEM_FOLDERS = ("lost+found", "System Volume Information", "$RECYCLE.BIN")


def photo_folders(folder: Path, skip: Path | None) -> Iterator[tuple[Path, list[str]]]:
    """Yields each folder with the names of its files, without hidden folders and results of earlier runs.

    Links to folders are followed after all else, to folders that the walk has not seen. Those that `folder` lies in are
    left out.

    Args:
      folder: where the walk starts.
      skip: a folder to leave out, resolved.

    Raises:
      UserError: a folder cannot be listed.
    """
    above, seen, earlier = folder.resolve().parents, set(), []
    starts = [folder]
    while starts:
        links: list[Path] = []
        for start in starts:
            for parent, folders, names in os.walk(start, onerror=_unlisted):
                path = Path(parent)
                if path.resolve() in seen:
                    folders.clear()
                    continue
                seen.add(path.resolve())
                results = results_in(path, folders, names)
                if results:
                    earlier.append(path)
                folders[:] = sorted(
                    name
                    for name in folders
                    if not name.startswith(".") and name not in results and (path / name).resolve() != skip
                )
                links += [path / name for name in folders if (path / name).is_symlink()]
                yield path, [name for name in names if name not in results]
        starts = sorted(link for link in links if link.resolve() not in above)
    tell_of_results(earlier)


def _unlisted(error: OSError) -> None:
    """Refuses a folder whose photos would disappear, because `os.walk` skips what it cannot list."""
    if isinstance(error, FileNotFoundError) or Path(error.filename).name in SYSTEM_FOLDERS:
        return
    raise UserError(f"{error.filename}: must be a folder that can be read, got: {error.strerror}") from None
