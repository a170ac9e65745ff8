"""Small inputs of the programs: a folder in which every mode runs in seconds, made once and copied for each attempt."""

import contextlib
import csv
import functools
import hashlib
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmarks.soak.attempts import locked
from benchmarks.soak.runs.child import Child, Ended
from configs import schema
from lib.files.numpy_files import read_npz

SIZE, CROPS, PHOTOS, FRAMES = 48, 8, 2, 8
CONFIG = "soak.yaml"
# What determines the programs' output, the inputs and the judges.
FOLDERS = ("lib", "model", "configs", "data", "benchmarks/soak", "tests/support")
CODE = (":(glob)*.py", ":(glob)requirements*.txt", *FOLDERS)
# Names of values that hold a time, which no two runs share.
_TIMES = ("seconds", "seconds_per_photo", "frames_per_second", "milliseconds")
_SECONDS = re.compile(r"(?<=>)[0-9.]+ s(?=<)")  # on a page


def small_options(folder: Path) -> dict[str, dict[str, Any]]:
    """Options with which every mode takes seconds; weights are read from `folder`."""
    return {
        "data": {"image_size": SIZE, "synthetic_count": CROPS, "workers": 1},
        "face_model": {"source": "built-in", "vertex_count": 2000},
        "texture": {"factors": [3, 3, 3, 3], "nz": 8},
        "regressor": {"width": 4, "image_size": 32, "weights": str(folder / "regressor.npz")},
        "identity": {"width": 4, "image_size": 32, "embedding": 16, "weights": str(folder / "identity.npz")},
        "loss": {"identity": 0.0},
        "train": {"epochs": 2, "batch_size": 2, "samples": 1},
        "schedule": {"warmup": 1},
        "gan": {"critic_steps": 2},
        "fit": {"steps": 2},
        "export": {"texture_size": 256},
        "prepare": {"min_width": 20.0},
        "pretrain": {
            "count": 64, "image_size": 32, "held_out": 0.4, "batch_size": 8, "regressor_updates": 4,
            "identity_updates": 4, "checkpoint_every": 2, "vertices": 50, "mirror": False,
        },
        "mask": {"count": 32, "updates": 2, "batch_size": 2},
        "evaluate": {"detector_faces": 0, "identity_people": 0, "runs": ["default"]},
    }  # fmt: skip


def make_base(folder: str) -> None:
    """Writes configuration, untrained weights and photos to a new folder; runs in a child, because of TensorFlow."""
    from model.pipeline import load_face_model
    from tests.support.photo_corpus import portrait
    from tests.support.toy_faces import save_untrained_networks
    from utils import seed_everything

    root = Path(folder)
    (root / CONFIG).write_text(yaml.safe_dump(small_options(root)))
    config = schema.load(root / CONFIG)
    seed_everything(0)
    save_untrained_networks(config, load_face_model(config))
    shutil.rmtree(root / "data")  # the cache of the face model, which the runs make themselves
    (root / "photos" / "more").mkdir(parents=True)
    for number in range(PHOTOS):
        photo = portrait().resize((300 - 20 * number,) * 2)
        photo.save(root / "photos" / ("more" if number % 2 else "") / f"{number}.{'jpg' if number % 3 else 'png'}")


def make_people(folder: str) -> None:
    """Adds a short video, its frames as a folder, and photos of two people with landmark files; runs in a child."""
    from lib.face_image.detection import detect_faces
    from lib.images.png import png_bytes
    from model.video.video_file import write_video
    from tests.support.photo_corpus import portrait

    root, photo = Path(folder), portrait().resize((200, 200))
    frames = [np.roll(np.asarray(photo), 3 * number, axis=1) for number in range(FRAMES)]
    write_video(root / "clip.mp4", frames, 25.0)
    (root / "frames").mkdir()
    for number, frame in enumerate(frames):
        (root / "frames" / f"{number}.png").write_bytes(png_bytes(frame))
    for name in ("one/0.jpg", "one/1.png", "two/0.png"):
        path = root / "people" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        photo.save(path)
        np.savetxt(path.with_suffix(".txt"), detect_faces(np.asarray(photo), refine=True)[0].points)


class World:
    """The folder of the soak's inputs and attempts.

    Args:
      folder: created if missing.
      worker: number of the process among those that share the folder; each makes its attempts in a folder of its own.

    Attributes:
      inputs: what attempts start from; made anew when the program or the soak has changed.
      attempts, references: folders of attempts and of facts about undisturbed runs.
    """

    def __init__(self, folder: Path, worker: int = 0):
        self.folder = Path(folder).resolve()
        self.inputs = self.folder / "inputs" / code_version()
        self.attempts = self.folder / "attempts" / str(worker)
        # Some files name the folder in which they were made, so each process has undisturbed runs of its own.
        self.references = self.folder / "references" / str(worker)

    def lock(self, name: str) -> contextlib.AbstractContextManager[None]:
        """Holds what only one process at a time may make."""
        return locked(self.folder / "locks" / name)

    def stage(self, name: str, before: str | None, make: Callable[[Path], None]) -> Path:
        """A folder of inputs, made once: `make` adds to a copy of the stage `before`."""
        path = self.inputs / name
        with self.lock(f"inputs-{name}"):
            if not path.exists():
                building = self.inputs / f"{name}.building"
                shutil.rmtree(building, ignore_errors=True)
                building.mkdir(parents=True)
                if before is not None:
                    shutil.copytree(self.inputs / before, building, dirs_exist_ok=True)
                make(building)
                building.rename(path)
        return path

    def base(self) -> Path:
        """Configuration, weights and photos."""

        def make(folder: Path) -> None:
            succeed(Child("benchmarks.soak.world:make_base", (str(folder),), folder))
            text = (folder / CONFIG).read_text()
            (folder / CONFIG).write_text(text.replace(str(folder), str(folder.with_name("base"))))

        return self.stage("base", None, make)

    def unpretrained(self) -> Path:
        """The same without weights."""
        self.base()

        def make(folder: Path) -> None:
            for name in ("regressor", "identity"):
                (folder / f"{name}.npz").unlink()

        return self.stage("unpretrained", "base", make)

    def packed(self) -> Path:
        """The same with packed crops, and no cache."""
        self.base()
        return self.stage("packed", "base", lambda folder: succeed(run(folder, "create_bin")))

    def trained(self) -> Path:
        """The same with a trained texture network."""
        self.packed()
        return self.stage("trained", "packed", lambda folder: succeed(run(folder, "main", "--mode", "train")))

    def people(self) -> Path:
        """The same with a video and photos of people."""
        self.trained()

        def make(folder: Path) -> None:
            succeed(Child("benchmarks.soak.world:make_people", (str(folder),), folder))

        return self.stage("people", "trained", make)

    def copy(self, stage: Path, name: str) -> Path:
        """A fresh copy of a stage for an attempt."""
        path = self.attempts / name
        self.remove(path)
        shutil.copytree(stage, path)
        self.own_weights(path)
        return path

    def own_weights(self, folder: Path) -> None:
        """Lets a copy of a stage read its own copies of the weights."""
        if (path := folder / CONFIG).is_file():
            path.write_text(path.read_text().replace(str(self.inputs / "base"), str(folder)))

    def forget_other_inputs(self) -> None:
        """Removes the inputs that other versions of the code have made."""
        for path in (self.folder / "inputs").glob("*"):
            if path != self.inputs:
                shutil.rmtree(path)

    def keep(self, path: Path, name: str) -> None:
        """Copies what a lost attempt has left, and the logs next to it, to losses/."""
        if not path.is_dir():
            return
        kept = self.folder / "losses" / name
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(path, kept, symlinks=True)
        for log in filter(Path.is_file, path.parent.glob(f"{path.name}.*")):  # and no pipes
            shutil.copy(log, kept.parent / f"{name}{log.name.removeprefix(path.name)}")

    def remove(self, path: Path) -> None:
        """Removes the folder of an attempt and the logs next to it."""
        shutil.rmtree(path, ignore_errors=True)
        for log in path.parent.glob(f"{path.name}.*"):
            log.unlink()


def run(folder: Path, program: str, *arguments: str, **options: Any) -> Child:
    """Starts a program with the small configuration in a folder."""
    return Child(program, ["--config", CONFIG, *arguments], folder, **options)


def succeed(child: Child) -> Ended:
    """Waits for a child that must succeed; the soak cannot go on otherwise."""
    ended = child.wait()
    if ended.code != 0:
        raise RuntimeError(f"an undisturbed run must succeed, got exit code {ended.code}: {ended.errors[-2000:]}")
    return ended


@functools.cache
def code_version() -> str:
    """Hash of everything in the repository that determines what attempts do and how they are judged."""
    digest = hashlib.sha256()
    for name in _code_files():
        digest.update(name.encode() + (schema.REPOSITORY / name).read_bytes())
    return digest.hexdigest()[:16]


def _code_files() -> list[str]:
    """Paths of the files of CODE in the repository; where there is no git, of all files of these folders."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *CODE]
    try:
        done = subprocess.run(command, cwd=schema.REPOSITORY, capture_output=True, text=True, check=True)
        names = {name for name in done.stdout.split("\0") if name}
    except (OSError, subprocess.CalledProcessError):
        patterns = [part.removeprefix(":(glob)") if "*" in part else f"{part}/**/*" for part in CODE]
        found = [path for pattern in patterns for path in schema.REPOSITORY.glob(pattern)]
        kept = [path.relative_to(schema.REPOSITORY) for path in found]
        names = {path.as_posix() for path in kept if not {"__pycache__", "generated"} & set(path.parts)}
    return sorted(name for name in names if (schema.REPOSITORY / name).is_file())


def digests(folder: Path, patterns: Iterable[str]) -> dict[str, str]:
    """Relative path -> digest of everything in each file but times; of archives: of their arrays.

    The header of a checkpoint or weight file holds times, and checksums of arrays that are compared themselves.
    """
    paths = sorted({path for pattern in patterns for path in folder.glob(pattern) if path.is_file()})
    return {path.relative_to(folder).as_posix(): _digest(path) for path in paths}


def differing(found: dict[str, str], expected: dict[str, str]) -> list[str]:
    """Names of files that are missing, unexpected or different."""
    return sorted(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name))


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    if path.suffix == ".npz":
        for name, array in sorted(read_npz(path).items()):
            if name != "header":
                digest.update(f"{name} {array.dtype} {array.shape}".encode() + np.ascontiguousarray(array).tobytes())
    elif path.suffix == ".json":
        digest.update(json.dumps(_timeless(json.loads(path.read_text())), sort_keys=True).encode())
    elif path.suffix == ".csv":
        with open(path, newline="", encoding="utf-8") as stream:
            digest.update(json.dumps(_timeless(list(csv.DictReader(stream)))).encode())
    elif path.suffix == ".html":
        digest.update(_SECONDS.sub("", path.read_text(encoding="utf-8")).encode())
    else:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _timeless(part) for name, part in value.items() if name not in _TIMES}
    return [_timeless(part) for part in value] if isinstance(value, list) else value
