"""Rendering of synthetic RGBA crops with ground truth into a folder, in parallel and resumable."""

import hashlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from lib.errors import UserError
from lib.face_model.face_model import FaceModel
from lib.files.atomic import atomic_path
from lib.files.folders import make_folder
from lib.files.numpy_files import DamagedFile, check_npz, read_npz, report_remade, write_npz
from lib.runtime.quiet_tensorflow import import_tensorflow
from lib.runtime.worker_pool import run_jobs
from lib.synthetic.method import METHOD

TRUTH = "truth.npz"
_PER_CROP = ("coefficients", "identity_id", "true_albedo", "landmarks")


def render_dataset(
    face_model: FaceModel, folder: Path, count: int, image_size: int, seed: int, workers: int
) -> list[str]:
    """Renders crops 0..count-1 of a seed to `folder`/face_NNNNNN.png and their ground truth to `folder`/truth.npz.

    Existing crops with the same face model, renderer, seed and size are kept: an interrupted run continues where it
    stopped, and a larger count renders only the missing crops. Other files with these names are replaced.

    Args:
      face_model: the model from which faces are sampled.
      folder: output folder; created if missing.
      count: number of crops.
      image_size: side of the square crops [px].
      seed: crop i depends only on (seed, i).
      workers: number of processes.

    Returns:
      The file names of all crops, in order.

    Raises:
      UserError: a process was killed, usually because memory ran out.
    """
    folder = Path(folder)
    make_folder(folder)
    key = crops_key(face_model.fingerprint, image_size, seed)
    collected = _collected(folder, key)
    _remove_others(folder, key, collected)
    done = _finished(folder, key, collected)
    missing = [i for i in range(count) if i not in done]
    if missing:
        _render(face_model, folder, missing, image_size, seed, workers, key)
    _collect(folder, count, key, face_model.fingerprint)
    return [crop_name(i) for i in range(count)]


def crop_name(index: int) -> str:
    """File name of a synthetic crop."""
    return f"face_{index:06d}.png"


def is_crop_name(name: str) -> bool:
    """True if `crop_name` gives such a name."""
    return re.fullmatch(r"face_\d{6,}\.png", name) is not None


def load_names(folder: Path) -> tuple[list[str], str]:
    """Names of the crops whose ground truth is in `folder`, and their `crops_key`, as `load_truth` but much faster.

    Raises:
      OSError, DamagedFile: the folder holds no ground truth.
    """
    truth = read_npz(Path(folder) / TRUTH, ("names", "key"))
    return truth["names"].tolist(), str(truth["key"])


def load_truth(folder: Path) -> dict[str, np.ndarray]:
    """Loads the ground truth of the crops in `folder`; row i belongs to the crop names[i].

    Returns:
      names [n]; face_model, the fingerprint of the model; coefficients [n, K]; identity_id [n]; true_albedo [n, N, 3]
      float16, RGB in [0, 1] with all detail; landmarks [n, 68, 2] in pixels.

    Raises:
      UserError: the folder holds no ground truth.
    """
    path = Path(folder) / TRUTH
    try:
        return read_npz(path, ("names", "face_model", *_PER_CROP))
    except (OSError, DamagedFile) as error:
        raise UserError(
            f"{path}: must hold the truth of synthetic crops, got {error} (python create_bin.py renders them)"
        ) from error


def crops_key(face_model: str, image_size: int, seed: int) -> str:
    """Hash of all inputs of the crops: rendering method, fingerprint of the face model, size and seed."""
    return hashlib.sha256(f"{METHOD} {face_model} {image_size} {seed}".encode()).hexdigest()[:16]


def _part(folder: Path, key: str, index: int) -> Path:
    return folder / f".parts-{key}" / f"{index:06d}.npz"


def write_part(folder: Path, key: str, index: int, truth: Mapping[str, np.ndarray]) -> None:
    """Writes the ground truth of one crop, which waits for the others."""
    write_npz(_part(folder, key, index), truth)


def _collected(folder: Path, key: str) -> int:
    """Number of crops whose truth is in truth.npz; 0 if it is damaged, or of another model, renderer, size or seed."""
    truth = folder / TRUTH
    if not truth.exists():
        return 0
    try:
        data = read_npz(truth, ("key", "names", "face_model"))
        check_npz(truth, _PER_CROP)  # which take hundreds of megabytes for thousands of crops
    except DamagedFile as error:
        report_remade(truth, error)
        return 0
    return len(data["names"]) if str(data["key"]) == key else 0


def _remove_others(folder: Path, key: str, collected: int) -> None:
    """Deletes what belongs to another model, renderer, size or seed, and leftovers of a killed run."""
    for leftover in folder.glob(".face_*.png"):
        leftover.unlink()
    if not collected:
        (folder / TRUTH).unlink(missing_ok=True)
    for other in folder.glob(".parts-*"):
        if other.name != f".parts-{key}":
            _remove_folder(other)
    if not collected and not (folder / f".parts-{key}").exists():
        for crop in folder.glob("face_[0-9][0-9][0-9][0-9][0-9][0-9].png"):
            crop.unlink()


def _remove_folder(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()


def _finished(folder: Path, key: str, collected: int) -> set[int]:
    """Indices of the finished crops."""
    parts = {int(path.stem) for path in (folder / f".parts-{key}").glob("[0-9]*.npz") if _is_intact(path)}
    return {i for i in parts.union(range(collected)) if (folder / crop_name(i)).is_file()}


def _is_intact(part: Path) -> bool:
    """True if the truth of a crop can be read; otherwise it is reported, and the crop is rendered again."""
    try:
        read_npz(part, _PER_CROP)
    except DamagedFile as error:
        report_remade(part, error)
        return False
    return True


def _render(
    face_model: FaceModel, folder: Path, indices: list[int], image_size: int, seed: int, workers: int, key: str
) -> None:
    """Renders the crops `indices` and writes each with its part of the ground truth."""
    _part(folder, key, 0).parent.mkdir(exist_ok=True)
    arguments = (face_model, folder, image_size, seed, key)
    with tqdm(desc="render", total=len(indices), unit="crop", dynamic_ncols=True) as bar:
        for _ in run_jobs(indices, _make_renderer, arguments, workers, _lost):
            bar.update()


def _make_renderer(face_model: FaceModel, folder: Path, image_size: int, seed: int, key: str) -> Callable[[int], None]:
    """Builds the function with which a worker process renders and writes the crop of an index."""
    import_tensorflow()
    from lib.synthetic.photos import PhotoSettings, SyntheticFaces

    # One photo per person: the split is by file, and no person may be in two parts.
    faces = SyntheticFaces(face_model, image_size, seed, PhotoSettings(photos_per_identity=1))

    def render(index: int) -> None:
        face = faces.sample(index)
        truth = {
            "coefficients": np.asarray(face.coefficients, np.float32),
            "identity_id": np.asarray(face.identity_id),
            "true_albedo": np.asarray(face.true_albedo, np.float16),
            "landmarks": np.asarray(face.landmarks, np.float32),
        }
        write_part(folder, key, index, truth)
        # The image is written last: if it exists, so does the ground truth.
        with atomic_path(folder / crop_name(index)) as temporary:
            Image.fromarray(np.dstack([face.image, face.alpha]), "RGBA").save(temporary, compress_level=3)

    return render


def _lost(index: int) -> str:
    return (
        f"rendering must keep its processes, got one killed at {crop_name(index)} (too little memory? give "
        "more, or use fewer --workers, and repeat the command; it continues where it stopped)"
    )


def _collect(folder: Path, count: int, key: str, fingerprint: str) -> None:
    """Moves the parts of crops 0..count-1 into truth.npz; those of later crops stay for a larger count."""
    truth, parts = folder / TRUTH, _part(folder, key, 0).parent
    if not parts.exists():
        return
    earlier: dict[str, np.ndarray] = load_truth(folder) if truth.exists() else {}
    total = max(count, len(earlier.get("names", ())))
    stacked: dict[str, np.ndarray] = {}
    for name in _PER_CROP:
        stacked[name] = _joined(folder, key, name, total, earlier.pop(name, None))  # one of them twice at a time
    names = [crop_name(i) for i in range(total)]
    write_npz(truth, {"names": names, "key": key, "face_model": fingerprint, **stacked})
    for i in range(len(names)):
        _part(folder, key, i).unlink(missing_ok=True)
    if not any(parts.glob("[0-9]*.npz")):
        _remove_folder(parts)


def _joined(folder: Path, key: str, name: str, count: int, earlier: np.ndarray | None) -> np.ndarray:
    """An array of the truth of crops 0..count-1: the rows of the parts, and the earlier ones of the others."""
    joined = None
    for i in range(count):
        part = _part(folder, key, i)
        if part.exists():
            row = read_npz(part, (name,))[name]
        elif earlier is not None:
            row = earlier[i]
        else:
            raise FileNotFoundError(part)
        if joined is None:
            joined = np.empty((count, *row.shape), row.dtype)
        joined[i] = row
    return np.zeros(0) if joined is None else joined
