"""Test mode on a folder of photos; a photo that fails does not stop the others."""

import functools
import time
from pathlib import Path

from tqdm import tqdm

from configs import schema
from lib.face_image.photo_io import input_photos, result_names
from model.photos.errors import photo_barrier
from model.reconstruction.face_reconstructor import FaceReconstructor
from model.reconstruction.files import RUN_FILES
from model.reconstruction.result_folder import ResultFolder

# Folders of a photo's faces if all are reconstructed, the largest face first.
FACE_FOLDER = "face_"


def reconstruct_folder(config: schema.Config, source: Path, output: Path) -> dict[str, str]:
    """Reconstructs the photos of a folder with the run's best texture network.

    Renderings, landmarks, meshes, coefficients and metrics of a photo go to `<output>/<path below source>/<name>/`;
    with prepare.faces=all, those of each face to a folder face_0, face_1, ... in it, the largest face first. `output`
    also receives index.html, a page that shows all results, summary.csv, summary.json, failed.txt and sheet.png.

    Args:
      config: the effective configuration.
      source: folder of photos, with or without sub-folders, or one photo.
      output: folder for the results.

    Returns:
      Photos that could not be reconstructed: name -> reason.

    Raises:
      UserError: there is no photo or no trained network, or all photos failed.
    """
    output = Path(output)
    source, paths = input_photos(source, skip=output)
    reconstruct = FaceReconstructor.load(config)
    every = config.prepare.faces == "all"
    names = result_names(paths, source, taken=RUN_FILES)
    results = ResultFolder(reconstruct, source, output)
    bar = tqdm(paths, "reconstruct", unit="photo", dynamic_ncols=True)
    with results.reported_at_the_end(len(paths)):
        for path in bar:
            bar.set_postfix_str(path.name)
            started = time.monotonic()
            found = None
            with photo_barrier(functools.partial(results.fail, path)):
                found = reconstruct.reader.find(path, None if every else 1)
            for number, face in enumerate(found.faces if found is not None else ()):
                folder = f"{names[path]}/{FACE_FOLDER}{number}" if every else names[path]
                shown = number if every else None
                with photo_barrier(functools.partial(results.fail, path, face=shown)):
                    result = reconstruct.reconstruct_face(path.name, found, face)
                    results.add(path, folder, result, time.monotonic() - started, shown)
                started = time.monotonic()
    return results.failed
