"""Division of a job over files into shards that any scheduler runs as independent processes, and their completeness.

A process does one shard and, once it is done, renames its result into place under the shard's name. So a result that
exists is whole, and a shard may be run again at any time. Merging demands all of them, made by one recipe.
"""

import contextlib
import dataclasses
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from lib.errors import UserError
from lib.files.atomic import file_sha256
from lib.files.locks import LOCK_FILE, check_unlocked, sole_user, sole_writer

FOLDER = ".shards"  # in an output folder; photos are never read from hidden folders
MOST = 100_000  # shards
_LISTED = 10  # missing shards that a message names
_NAME = re.compile(r"(\d{5})-of-(\d{5,6})")

Item = TypeVar("Item")


@dataclasses.dataclass(frozen=True)
class Shard:
    """Part `index` of `count`, counted from 0 like SLURM's array tasks and Kubernetes' completion index."""

    index: int
    count: int

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Reads `I/N`.

        Raises:
          UserError: the text has another form, or I is not below N.
        """
        numbers = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text, re.ASCII)
        index, count = map(int, numbers.groups()) if numbers else (0, 0)
        if not 0 <= index < count <= MOST:
            raise UserError(f"--shard must be I/N with 0 <= I < N <= {MOST:,}, e.g. 0/4, got '{text}'")
        return cls(index, count)

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    @property
    def name(self) -> str:
        """Name of the shard's result without suffix; names sort like the shards."""
        return f"{self.index:05d}-of-{self.count:05d}"

    def part(self, items: Sequence[Item]) -> Sequence[Item]:
        """This shard's consecutive items. All parts in sequence are `items`; their sizes differ by one at most."""
        return items[len(items) * self.index // self.count : len(items) * (self.index + 1) // self.count]


@contextlib.contextmanager
def user_of_shard(output: Path, shard: Shard, purpose: str) -> Iterator[None]:
    """`sole_user` of one shard in an output folder: keeps out others with its number, and users of all shards."""
    with _user_of_part(output, shard.name, purpose):
        yield


@contextlib.contextmanager
def user_of_cluster(output: Path, purpose: str) -> Iterator[None]:
    """Like `user_of_shard`, for a run that gives the shards to a cluster: one such run at a time."""
    with _user_of_part(output, "cluster", purpose):
        yield


@contextlib.contextmanager
def _user_of_part(output: Path, name: str, purpose: str) -> Iterator[None]:
    with sole_writer(output / FOLDER / name, purpose):
        check_unlocked([output / LOCK_FILE], output)
        yield


@contextlib.contextmanager
def user_of_all_shards(output: Path, purpose: str) -> Iterator[None]:
    """`sole_user` of an output folder that also keeps out the users of single shards."""
    with sole_user(output, purpose):
        check_unlocked((output / FOLDER).glob(f"*{LOCK_FILE}"), output)
        yield


def finished(folder: Path, suffix: str, count: int | None = None) -> list[Path]:
    """The results `<shard name><suffix>` of all shards in `folder`, in order.

    Args:
      folder: of the results.
      suffix: of their names.
      count: number of shards; those of other divisions are left alone. None if the folder must hold one division.

    Raises:
      UserError: there are none, some are missing, or they belong to divisions into different numbers of shards.
    """
    names = [path.name.removesuffix(suffix) for path in folder.glob(f"*{suffix}")] if folder.is_dir() else []
    found = {Shard(*map(int, match.groups())) for match in map(_NAME.fullmatch, names) if match}
    found = {shard for shard in found if count in (None, shard.count)}
    counts = sorted({shard.count for shard in found})
    if not counts:
        raise UserError(
            f"{folder}: must hold finished shards to merge, got none (run the command with --shard 0/N, ...)"
        )
    if len(counts) > 1:
        raise UserError(
            f"{folder}: must hold the shards of one division, got some of {' and of '.join(map(str, counts))} "
            "(delete those of the other divisions)"
        )
    (number,) = counts
    wanted = [Shard(index, number) for index in range(number)]
    if missing := [shard.index for shard in wanted if shard not in found]:
        listed = ", ".join(map(str, missing[:_LISTED])) + (", ..." if len(missing) > _LISTED else "")
        raise UserError(
            f"{folder}: must hold all {number} shards, got {len(found)}; missing: {listed} "
            f"(run the command with --shard {missing[0]}/{number})"
        )
    return [folder / f"{shard.name}{suffix}" for shard in wanted]


def check_same_recipe(
    recipes: Mapping[Path, Mapping[str, Any]], wanted: Mapping[str, Any] | None = None
) -> Mapping[str, Any]:
    """The recipe that all shards share.

    Args:
      recipes: result of a shard -> whatever determines the results of all: options, weights, `names_digest`.
      wanted: recipe of the command that merges, if it has one.

    Raises:
      UserError: two shards differ, or one and the command; names them and what differs.
    """
    (first, recipe), *_ = recipes.items()
    for path, other in recipes.items():
        if differing := _differing(recipe, other):
            raise UserError(
                f"{path}: must be made like {first.name}, got another {differing} (run the older of both again)"
            )
    if wanted is not None and (differing := _differing(wanted, recipe)):
        raise UserError(
            f"{first.parent}: shards must be made by the command that merges them, got another {differing} (run the "
            "shards again, or merge with their options)"
        )
    return recipe


def changed_photo(path: Path, shard: Shard) -> UserError:
    """The error of a merge that finds a photo changed, or its results, since its shard was done."""
    return UserError(
        f"{path}: must be as its shard left it, got another photo, or other results (run the command with --shard "
        f"{shard} again)"
    )


def _differing(a: Mapping[str, Any], b: Mapping[str, Any]) -> str:
    return ", ".join(sorted(key for key in a.keys() | b.keys() if a.get(key) != b.get(key)))


def shared_recipe(source: Path, options: str, names: Iterable[str], count: int) -> dict[str, Any]:
    """What all shards of a folder of photos must share.

    Args:
      source: folder of the photos.
      options: hash of options and weights (`options_digest`).
      names: of all photos.
      count: number of shards.
    """
    return {
        "source": str(source.resolve()),
        "options or weights": options,
        "list of photos": names_digest(names),
        "number of shards": count,
    }


def options_digest(parts: object, files: Iterable[Path]) -> str:
    """Hash of options, as JSON values, and of the contents of files, such as weights."""
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode())
    for path in files:
        digest.update(file_sha256(path).encode())
    return digest.hexdigest()


def names_digest(names: Iterable[str]) -> str:
    """Hash of the files that are divided; a shard of another list of files would repeat or miss some."""
    return hashlib.sha256(json.dumps(list(names)).encode()).hexdigest()[:16]
