"""Test mode on a folder: every photo reconstructed and written; a bad photo never stops the others."""

import time
from pathlib import Path

from tqdm import tqdm

from configs import schema
from lib.face_image.photo_io import photo_paths, result_names
from model.photos.errors import PHOTO_ERRORS
from model.reconstruction.face_reconstructor import FaceReconstructor
from model.reconstruction.files import RUN_FILES
from model.reconstruction.result_folder import ResultFolder


def reconstruct_folder(config: schema.Config, source: Path, output: Path) -> dict[str, str]:
    """Reconstructs every photo of a folder with the run's best texture network.

    For each photo `<output>/<its place in source>/<name>/` receives renderings, landmarks, meshes, coefficients and
    metrics; in `output` stand index.html, the page that shows them all, summary.csv, summary.json, failed.txt and a
    picture sheet.

    Args:
      config: the effective configuration.
      source: folder of photos, nested or not.
      output: folder of the results.

    Returns:
      The photos that could not be reconstructed: name -> reason.

    Raises:
      UserError: there is no photo, no trained network, or not one photo could be reconstructed.
    """
    source, output = Path(source), Path(output)
    paths = photo_paths(source, skip=output)
    reconstruct = FaceReconstructor.load(config)
    results = ResultFolder(reconstruct, source, output)
    names = result_names(paths, source, taken=RUN_FILES)
    bar = tqdm(paths, "reconstruct", unit="photo", dynamic_ncols=True)
    for path in bar:
        bar.set_postfix_str(path.name)
        started = time.monotonic()
        try:
            result = reconstruct(path)
            results.add(path, names[path], result, time.monotonic() - started)
        except PHOTO_ERRORS as error:
            results.fail(path, error)
    return results.finish()
