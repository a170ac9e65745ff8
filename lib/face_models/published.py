"""Face models from the folder their publishers' files lie in, converted once and kept."""

import hashlib
from collections.abc import Callable
from pathlib import Path

from lib.face_model import FaceModel
from lib.face_models.basel2009 import is_basel_2009, load_basel_2009
from lib.face_models.ict import is_ict, load_ict
from lib.synthetic.face_generator import load_face_model as load_built_in
from utils import UserError

# Which folders are recognised, and how they are read: from the folder and, for what a model lacks, the cache.
LOADERS: tuple[tuple[str, Callable[[Path], bool], Callable[[Path, Path], FaceModel]], ...] = (
    (
        "Basel Face Model 2009 (01_MorphableModel.mat or BFM_model_front.mat)",
        is_basel_2009,
        lambda folder, _: load_basel_2009(folder),
    ),
    (
        "ICT-FaceKit (generic_neutral_mesh.obj)",
        is_ict,
        lambda folder, cache_dir: load_ict(folder, load_built_in(cache_dir)),
    ),
)


def load_published(folder: Path, cache_dir: Path) -> FaceModel:
    """The face model in a folder of published files.

    Converting takes seconds to minutes, so the result is kept in `cache_dir` and used again as long as names, sizes and
    times of the files are the same.

    Args:
      folder: of the files, under their publishers' names.
      cache_dir: where the converted model is kept; is made.

    Raises:
      UserError: no known model, or a file of it is missing or wrong.
    """
    folder = Path(folder)
    load = next((load for _, is_there, load in LOADERS if is_there(folder)), None)
    if load is None:
        known = "; ".join(name for name, _, _ in LOADERS)
        raise UserError(f"{folder}: must hold the files of a face model ({known}), got none of them")
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        state = path.stat()
        digest.update(f"{path.name} {state.st_size} {state.st_mtime_ns}\n".encode())
    cached = Path(cache_dir) / f"{folder.name}-{digest.hexdigest()[:16]}.npz"
    if cached.is_file():
        return FaceModel.load(cached)
    model = load(folder, Path(cache_dir))
    model.save(cached)
    return model
