"""Seeded split of images into training, validation and test sets by name, independent of the other files."""

import hashlib
import itertools
from collections.abc import Iterable, Mapping
from pathlib import Path

from lib.errors import UserError
from lib.files.atomic import atomic_path
from lib.files.file_names import line_fault

PARTS = ("train", "val", "test")


def split(names: Iterable[str], fractions: Mapping[str, float], seed: int) -> dict[str, list[str]]:
    """Assigns every name by a hash of name and seed, so that adding or removing files does not move others.

    If a part stays empty by chance (few files), it gets the name with the closest hash from a part that can spare one:
    three or more files fill all parts, two fill train and val, one goes to train.

    Args:
      names: unique file names, in any order.
      fractions: shares of "val" and "test", together below 1; the rest is for training.
      seed: different seeds give independent splits.

    Returns:
      {"train", "val", "test"}: sorted names.
    """
    names = sorted(names)
    if len(set(names)) != len(names):
        repeated = next(a for a, b in itertools.pairwise(names) if a == b)
        raise ValueError(f"names must be unique, got '{repeated}' twice")
    test_end, val_end = fractions["test"], fractions["test"] + fractions["val"]
    if min(fractions["test"], fractions["val"]) < 0 or val_end >= 1:
        raise ValueError(f"fractions of val and test must be at least 0 and together below 1, got {dict(fractions)}")
    position = {name: _position(name, seed) for name in names}
    parts: dict[str, list[str]] = {part: [] for part in PARTS}
    for name in names:
        place = position[name]
        parts["test" if place < test_end else "val" if place < val_end else "train"].append(name)
    # Interval of hash values of each part, to find the closest name for an empty part.
    middle = {"train": (val_end + 1) / 2, "val": (test_end + val_end) / 2, "test": test_end / 2}
    wanted = [part for part in PARTS if part == "train" or fractions[part] > 0]
    for part in wanted[: len(names)]:
        if not parts[part]:
            # A later part gives even its only name to an earlier part, because training comes first.
            donors = [p for p in PARTS if len(parts[p]) > 1 or (parts[p] and p not in wanted[: len(names)])]
            candidates = [name for p in donors for name in parts[p]]
            moved = min(candidates, key=lambda name: (abs(position[name] - middle[part]), name))
            next(members for members in parts.values() if moved in members).remove(moved)
            parts[part].append(moved)
    return {part: sorted(members) for part, members in parts.items()}


def _position(name: str, seed: int) -> float:
    """Hash in [0, 1) of the name and the seed; the same on every machine."""
    digest = hashlib.sha256(f"{seed}\0{name}".encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:7], "big") / 2**56


def save_split(folder: Path, parts: Mapping[str, Iterable[str]]) -> None:
    """Writes image_train.txt, image_val.txt and image_test.txt, one name per line.

    Raises:
      ValueError: a name is not one line of UTF-8 text.
    """
    for name in itertools.chain(*parts.values()):
        if fault := line_fault(name):
            raise ValueError(fault)
    for part in PARTS:
        with atomic_path(split_path(folder, part)) as temporary:
            temporary.write_text("".join(f"{name}\n" for name in parts[part]), encoding="utf-8")


def load_split(folder: Path) -> dict[str, list[str]]:
    """Reads the files written by `save_split`.

    Raises:
      UserError: a file is missing, the training part is empty, or a name is in two parts.
    """
    parts = {}
    for part in PARTS:
        path = split_path(folder, part)
        if not path.is_file():
            raise UserError(f"{path}: must list the {part} images, got no file (python create_bin.py writes it)")
        try:
            # Not splitlines(), which also splits at characters that are allowed in names.
            parts[part] = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
        except UnicodeDecodeError:
            raise UserError(f"{path}: must be UTF-8 text, got other bytes (python create_bin.py writes it)") from None
        if parts[part] == [""]:
            parts[part] = []
    if not parts["train"]:
        raise UserError(f"{split_path(folder, 'train')}: must list at least one image, got none")
    seen: dict[str, str] = {}
    for part, names in parts.items():
        for name in names:
            if name in seen:
                raise UserError(f"{folder}: parts must not overlap, got '{name}' in {seen[name]} and {part}")
            seen[name] = part
    return parts


def split_path(folder: Path, part: str) -> Path:
    """Path of the list of one part."""
    return Path(folder) / f"image_{part}.txt"
