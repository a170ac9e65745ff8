"""Synthetic faces for pre-training, rendered once, in parallel and resumable, into files with checksums."""

import hashlib
import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from lib.errors import UserError
from lib.face_model.face_model import FaceModel
from lib.files.folders import make_folder
from lib.files.json_files import write_json
from lib.runtime.worker_pool import run_jobs
from lib.synthetic.face_files import FaceFiles
from lib.synthetic.method import METHOD

CHUNK = 32  # faces per job; progress is recorded after each


@dataclass(frozen=True)
class FaceSet:
    """Rendered faces with ground truth.

    Attributes:
      folder: folder of the files.
      images: [S, H, W, 4] uint8 RGBA, memory-mapped; alpha 255 on visible skin.
      coefficients: [S, K] float32, true coefficients of each face.
      identities: [S] int64, equal for images of the same person.
    """

    folder: Path
    images: np.ndarray
    coefficients: np.ndarray
    identities: np.ndarray

    def split(self, held_out: float) -> tuple[np.ndarray, np.ndarray]:
        """Indices of the training faces and of the faces of held-out people; see `hold_out`."""
        held = hold_out(self.identities, held_out)
        return np.flatnonzero(~held), np.flatnonzero(held)


def hold_out(identities: np.ndarray, share: float) -> np.ndarray:
    """Mask [S] of faces of held-out people, a share `share` of all people.

    People are selected by a hash of the identity number, so that more faces do not change the assignment.

    Raises:
      UserError: no people are left for training, fewer than two are held out, or none of these has two faces.
    """
    people, counts = np.unique(identities, return_counts=True)
    digest = {p: int.from_bytes(hashlib.sha256(f"held out {p}".encode()).digest()[:8]) / 2.0**64 for p in people}
    chosen = np.array([digest[p] < share for p in people])
    if chosen.all() or chosen.sum() < 2 or counts[chosen].max() < 2:
        raise UserError(
            "pretrain.count: must be enough for people to train on and for two to hold out, got "
            f"{len(people)} people of which {chosen.sum()} would be held out (render more faces, or raise "
            "pretrain.held_out)"
        )
    return chosen[np.searchsorted(people, identities)]


def recipe(face_model: FaceModel, image_size: int, seed: int, count: int) -> dict:
    """The inputs that determine the images: face model, rendering method, size, seed and count."""
    return {
        "face_model": face_model.fingerprint,
        "renderer": METHOD,
        "image_size": image_size,
        "seed": seed,
        "count": count,
    }


def recipe_hash(recipe: dict) -> str:
    """Short hash that names the folder of a recipe."""
    return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:12]


def load_or_render(
    folder: Path,
    recipe: dict,
    coefficient_count: int,
    make_source: Callable,
    arguments: tuple,
    workers: int = 1,
    count_option: str = "pretrain.count",
) -> FaceSet:
    """Loads the faces of a recipe after rendering the missing ones, and again those that are damaged.

    Args:
      folder: parent folder; the faces go to `pretrain-<hash of the recipe>` below it.
      recipe: from `recipe`.
      coefficient_count: K.
      make_source, arguments: `make_source(*arguments).sample(index)` returns a face with image, alpha, coefficients and
        identity_id that depend only on the index; picklable, because every worker builds its own source.
      workers: number of processes.
      count_option: the option that set the number of faces, for the message about a full disk.

    Raises:
      UserError: too little free disk space.
      DiskFull: the disk filled up meanwhile; finished faces are kept.
    """
    count, size = recipe["count"], recipe["image_size"]
    folder = set_folder(folder, recipe)
    make_folder(folder)
    shapes: dict[str, tuple[tuple[int, ...], type]] = {
        "images": ((count, size, size, 4), np.uint8),
        "coefficients": ((count, coefficient_count), np.float32),
        "identities": ((count,), np.int64),
    }
    files = FaceFiles(folder, shapes, CHUNK)
    begun = files.exists
    if not begun:
        _check_space(folder, files.size, count_option)
    missing, damaged = files.examine()
    if damaged:
        print(
            f"{folder}: faces {', '.join(f'{c * CHUNK} to {min((c + 1) * CHUNK, count) - 1}' for c in damaged[:3])}"
            f"{', ...' if len(damaged) > 3 else ''} are damaged, rendered again",
            file=sys.stderr,
        )
    write_json(folder / "recipe.json", recipe)
    jobs = [(chunk, list(range(chunk * CHUNK, min((chunk + 1) * CHUNK, count)))) for chunk in missing]
    if begun and (lacking := sum(len(faces) for chunk, faces in jobs if chunk not in damaged)):
        print(f"{folder}: {lacking} of {count} faces are missing, rendered now", file=sys.stderr)
    bar = tqdm(total=count, initial=count - sum(len(j[1]) for j in jobs), desc="render faces", unit="face")
    with bar:
        for chunk, faces in run_jobs(jobs, _make_renderer, (make_source, arguments), workers, _lost):
            files.write(chunk, faces)
            bar.update(len(faces["identities"]))
    coefficients, identities = (np.array(files.load(name)) for name in ("coefficients", "identities"))
    return FaceSet(folder, files.load("images"), coefficients, identities)


def set_folder(folder: Path, recipe: dict) -> Path:
    """Folder of a recipe's faces."""
    return Path(folder) / f"pretrain-{recipe_hash(recipe)}"


def _check_space(folder: Path, needed: int, count_option: str) -> None:
    free = shutil.disk_usage(folder).free
    if free < 1.05 * needed + 1e8:
        raise UserError(
            f"{folder}: {needed / 1e6:.0f} MB must be free for the synthetic faces, got {free / 1e6:.0f} MB "
            f"(lower {count_option}, or choose another --root_dir)"
        )


def _make_renderer(make_source: Callable, arguments: tuple) -> Callable[[tuple[int, list[int]]], tuple[int, dict]]:
    source = make_source(*arguments)
    return lambda job: (job[0], _render(source, job[1]))


def _lost(job: tuple[int, list[int]]) -> str:
    _, faces = job
    return (
        f"rendering must keep its processes, got one killed at one of the faces {faces[0]} to {faces[-1]} (too little "
        "memory? give more, or use fewer --workers, and repeat the command; it continues where it stopped)"
    )


def _render(source, indices: list[int]) -> dict[str, np.ndarray]:
    faces = [source.sample(index) for index in indices]
    return {
        "images": np.stack([np.dstack([face.image, face.alpha]) for face in faces]),
        "coefficients": np.stack([face.coefficients for face in faces]),
        "identities": np.array([face.identity_id for face in faces]),
    }
