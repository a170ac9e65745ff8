"""Seeded split of images into training, validation and test sets by name; copies of an image stay together."""

import hashlib
import itertools
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from lib.errors import UserError
from lib.files.atomic import atomic_path
from lib.files.file_names import line_fault, printable
from lib.files.json_files import write_json

PARTS = ("train", "val", "test")
CHECKSUMS = "split.json"
_AGAIN = "python create_bin.py writes both again"


def split(
    names: Iterable[str], fractions: Mapping[str, float], seed: int, repeats: Mapping[str, str] = MappingProxyType({})
) -> dict[str, list[str]]:
    """Assigns every name by a hash of name and seed, so that adding or removing files does not move others.

    Of images with the same content, the first one's name counts: a copy that is called something earlier may move them.

    If a part stays empty by chance (few files), it gets the name with the closest hash from a part that can spare one:
    three or more distinct images fill all parts, two fill train and val, one goes to train.

    Args:
      names: unique file names, in any order.
      fractions: shares of "val" and "test", together below 1; the rest is for training.
      seed: different seeds give independent splits.
      repeats: name of an image -> that of another with the same content, which is no repeat itself; it goes to the same
        part, so that no image is both trained on and held out.

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
    names = [name for name in names if name not in repeats]
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
    part_of = {name: part for part, members in parts.items() for name in members}
    for repeat, first in repeats.items():
        parts[part_of[first]].append(repeat)
    return {part: sorted(members) for part, members in parts.items()}


def _position(name: str, seed: int) -> float:
    """Hash in [0, 1) of the name and the seed; the same on every machine."""
    digest = hashlib.sha256(f"{seed}\0{name}".encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:7], "big") / 2**56


def save_split(folder: Path, parts: Mapping[str, Iterable[str]]) -> None:
    """Writes image_train.txt, image_val.txt and image_test.txt, one name per line, and split.json with checksums.

    Raises:
      ValueError: a name is not one line of UTF-8 text.
    """
    for name in itertools.chain(*parts.values()):
        if fault := line_fault(name):
            raise ValueError(fault)
    checksums = {}
    for part in PARTS:
        content = "".join(f"{name}\n" for name in parts[part]).encode()
        with atomic_path(split_path(folder, part)) as temporary:
            temporary.write_bytes(content)
        checksums[part] = hashlib.sha256(content).hexdigest()
    write_json(Path(folder) / CHECKSUMS, {"sha256": checksums})


def load_split(folder: Path, names: Iterable[str]) -> dict[str, list[str]]:
    """Reads the files written by `save_split` and checks that they split exactly these records.

    Splits of earlier versions have no checksums. They are accepted if they are complete: every record is in one part,
    and the parts hold no other name.

    Args:
      folder: folder of the split.
      names: names of all records.

    Raises:
      UserError: a file is missing, truncated or changed, the training part is empty, a name is in two parts, or the
        parts do not hold the names of the records.
    """
    contents = {part: _read(split_path(folder, part), part) for part in PARTS}
    _compare_checksums(Path(folder), contents)
    parts = {part: _names(split_path(folder, part), content) for part, content in contents.items()}
    if not parts["train"]:
        raise UserError(f"{split_path(folder, 'train')}: must list at least one image, got none")
    seen: dict[str, str] = {}
    for part, listed in parts.items():
        for name in listed:
            if name in seen:
                raise UserError(f"{folder}: parts must not overlap, got '{name}' in {seen[name]} and {part}")
            seen[name] = part
    records = set(names)
    if foreign := [name for name in seen if name not in records]:
        raise _foreign(
            split_path(folder, seen[foreign[0]]),
            f"it lists '{printable(foreign[0])}', which is not a record ({len(foreign)} such names)",
        )
    if len(seen) < len(records):
        missing = min(records - seen.keys())
        raise _foreign(Path(folder), f"{len(records) - len(seen)} records are in no part, first '{printable(missing)}'")
    return parts


def _read(path: Path, part: str) -> bytes:
    if not path.is_file():
        raise UserError(f"{path}: must list the {part} images, got no file (python create_bin.py writes it)")
    return path.read_bytes()


def _names(path: Path, content: bytes) -> list[str]:
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise UserError(f"{path}: must be UTF-8 text, got other bytes (python create_bin.py writes it)") from None
    # Lines may end as on Windows. Not splitlines(), which also splits at characters that are allowed in names.
    text = text.replace("\r\n", "\n").removesuffix("\n")
    return text.split("\n") if text else []


def _compare_checksums(folder: Path, contents: Mapping[str, bytes]) -> None:
    path = folder / CHECKSUMS
    if not path.exists():
        return
    try:
        expected = json.loads(path.read_bytes())["sha256"]
        wrong = [part for part in PARTS if hashlib.sha256(contents[part]).hexdigest() != expected[part]]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f"{path}: must hold the split's checksums, got something else ({_AGAIN})") from error
    if wrong:
        # The damage may be in either file.
        reason = f"its checksum is not that in {CHECKSUMS}: one of the two is truncated, changed or of another file"
        raise _foreign(split_path(folder, wrong[0]), reason)


def _foreign(path: Path, reason: str) -> UserError:
    return UserError(f"{path}: the split does not belong to the record file, {reason} ({_AGAIN})")


def split_hash(parts: Mapping[str, Iterable[str]]) -> str:
    """Short hash of the names in each part."""
    return hashlib.sha256(json.dumps([list(parts[part]) for part in PARTS]).encode()).hexdigest()[:16]


def split_path(folder: Path, part: str) -> Path:
    """Path of the list of one part."""
    return Path(folder) / f"image_{part}.txt"
