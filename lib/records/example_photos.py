"""Example photos for the first run of test mode."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image


def write_example_photos(folder: Path, crops: Path, names: Sequence[str], count: int = 3) -> None:
    """Writes example photos for `--mode test`: held-out synthetic faces and the portrait in scikit-image.

    All but the first are saved without alpha, so that the mask has to be computed. An existing folder is not changed.

    Args:
      folder: the default input folder of `--mode test`.
      crops: folder of the synthetic crops.
      names: names of the held-out crops.
      count: number of crops to use.
    """
    if folder.exists():
        return
    from skimage.data import astronaut  # slow to import, and needed here only

    temporary = folder.with_name(f".{folder.name}-unfinished")
    temporary.mkdir(parents=True, exist_ok=True)
    for i, name in enumerate(names[:count]):
        with Image.open(crops / name, formats=["PNG"]) as image:
            (image if i == 0 else image.convert("RGB")).save(temporary / name)
    Image.fromarray(astronaut()).save(temporary / "astronaut.png")
    temporary.rename(folder)
    print(f"{folder}: {len(list(folder.iterdir()))} example photos for --mode test")
