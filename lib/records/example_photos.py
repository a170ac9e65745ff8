"""Example photos for the first run of test mode."""

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from lib.errors import InUse, UserError
from lib.files.locks import sole_writer


def write_example_photos(folder: Path, crops: Path, names: Sequence[str], count: int = 3) -> None:
    """Writes example photos for `--mode test`: held-out synthetic faces and the portrait in scikit-image.

    All but the first are saved without alpha, so that the mask has to be computed. An existing folder is not changed.
    Where they cannot be written, a line says so: what they come with is done.

    Args:
      folder: the default input folder of `--mode test`.
      crops: folder of the synthetic crops.
      names: names of the held-out crops.
      count: number of crops to use.
    """
    if folder.exists():
        return
    temporary = folder.with_name(f".{folder.name}-unfinished")
    try:
        with sole_writer(folder, "writing example photos"):
            shutil.rmtree(temporary, ignore_errors=True)  # of a run that was killed
            try:
                temporary.mkdir(parents=True)
                _write(temporary, crops, names[:count])
                temporary.rename(folder)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
    except InUse:  # another run writes them
        return
    except (OSError, UserError) as error:
        if not folder.exists():
            reason = getattr(error, "strerror", None) or error
            print(f"{folder}: no example photos for --mode test, got: {reason}", file=sys.stderr)
        return
    print(f"{folder}: {len(list(folder.iterdir()))} example photos for --mode test")


def _write(folder: Path, crops: Path, names: Sequence[str]) -> None:
    from skimage.data import astronaut  # slow to import, and needed here only

    for i, name in enumerate(names):
        with Image.open(crops / name, formats=["PNG"]) as image:
            (image if i == 0 else image.convert("RGB")).save(folder / name)
    Image.fromarray(astronaut()).save(folder / "astronaut.png")
