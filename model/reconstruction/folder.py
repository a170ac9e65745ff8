"""Test mode on a folder of photos; a photo that fails does not stop the others."""

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

    Renderings, landmarks, meshes, coefficients and metrics of a photo go to `<output>/<path below source>/<name>/`.
    `output` also receives index.html, a page that shows all results, summary.csv, summary.json, failed.txt and
    sheet.png.

    Args:
      config: the effective configuration.
      source: folder of photos, with or without sub-folders.
      output: folder for the results.

    Returns:
      Photos that could not be reconstructed: name -> reason.

    Raises:
      UserError: there is no photo or no trained network, or all photos failed.
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
