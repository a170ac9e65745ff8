"""The file of a shard's results: lines of JSON, each with a checksum.

A finished file holds the recipe that all shards must share, what all cards of the page share, and the photos in order.
Until then the lines are in a journal, in the order in which they came; the last line of a photo counts. A shard that
begins again turns its file back into the journal, so that nothing looks finished while it changes.
"""

import dataclasses
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from lib.errors import UserError
from lib.files.atomic import atomic_path, space_for
from lib.files.json_files import json_text, with_checksum, without_checksum
from lib.files.shards import FOLDER, Shard
from model.reconstruction.shards.records import PhotoRecord

SUFFIX = ".results.jsonl"
_SHARED = "shared data"  # in the place of a photo's folder


class ShardResults:
    """The results of an unfinished shard, on disk; in memory are only their places.

    Args:
      output: folder of the results of all shards.
      shard: the part.
    """

    def __init__(self, output: Path, shard: Shard):
        self._final = output / FOLDER / f"{shard.name}{SUFFIX}"
        self._journal = output / FOLDER / f"{shard.name}.progress.jsonl"
        self._places: dict[str, tuple[int, int]] = {}  # folder -> start and length of its line, bytes

    def load(self, options: str, use: Callable[[PhotoRecord], bool]) -> None:
        """Finds the lines of earlier runs; damaged ones count as missing.

        Args:
          options: hash of options and weights; what all cards share counts if it was made with the same.
          use: called with each photo's record; whether it still holds.
        """
        for start, length, content in _lines(self._journal if self._journal.is_file() else self._final):
            if _SHARED in content:
                name, used = _SHARED, content.get("options") == options
            else:
                try:
                    record = PhotoRecord.from_json(content)
                except ValueError:  # damaged, or the recipe
                    continue
                name, used = record.folder, use(record)
            if used:
                self._places[name] = start, length

    def begin(self) -> None:
        """Takes the mark of being finished from the shard."""
        self._journal.parent.mkdir(parents=True, exist_ok=True)
        if self._journal.is_file():
            self._final.unlink(missing_ok=True)
            with space_for(self._journal), open(self._journal, "ab") as stream:
                stream.write(b"\n")  # ends the torn last line of a killed run
        elif self._final.is_file():
            self._final.replace(self._journal)

    def add(self, record: PhotoRecord) -> None:
        """Appends the results of a photo."""
        self._append(record.folder, record.to_json())

    def share(self, shared: Mapping[str, Any], options: str) -> None:
        """Appends what all cards share, once."""
        if _SHARED not in self._places:
            self._append(_SHARED, {_SHARED: shared, "options": options})

    def _append(self, name: str, content: Mapping[str, Any]) -> None:
        line = _line(content)
        with space_for(self._journal), open(self._journal, "ab") as stream:
            self._places[name] = stream.tell(), len(line)
            stream.write(line)

    def finish(self, recipe: Mapping[str, Any], folders: Iterable[str]) -> None:
        """Puts the lines in order and marks the shard as finished.

        Args:
          recipe: `lib.files.shards.shared_recipe`.
          folders: those of the shard's photos; each has a record.
        """
        names = [name for name in (_SHARED, *folders) if name != _SHARED or name in self._places]
        source = self._journal if self._journal.is_file() else self._final
        with atomic_path(self._final) as path, open(source, "rb") as lines, open(path, "wb") as stream:
            stream.write(_line({"recipe": recipe}))
            for start, length in map(self._places.__getitem__, names):
                lines.seek(start)
                stream.write(lines.read(length))
        self._journal.unlink(missing_ok=True)


def read_recipe(path: Path) -> Mapping[str, Any]:
    """The recipe of a finished shard; raises UserError if the file is damaged."""
    for _, _, content in _lines(path):
        if isinstance(recipe := content.get("recipe"), dict):
            return recipe
        break
    raise _damaged(path)


def read_results(path: Path) -> Iterator[PhotoRecord]:
    """The record of each photo of a finished shard, in order; the first one comes with what all cards share.

    Raises:
      UserError: the file is damaged.
    """
    shared: dict[str, Any] | None = None
    for _, _, content in _lines(path):
        if _SHARED in content:
            shared = content[_SHARED]
        elif "recipe" not in content:
            try:
                record = PhotoRecord.from_json(content)
            except ValueError:
                raise _damaged(path) from None
            yield dataclasses.replace(record, outcome=dataclasses.replace(record.outcome, shared=shared))
            shared = None


def _damaged(path: Path) -> UserError:
    return UserError(f"{path}: must hold the results of a shard, got other contents (run the shard again)")


def _line(content: Mapping[str, Any]) -> bytes:
    return (json_text(with_checksum(content)) + "\n").encode()


def _lines(path: Path) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """Start, length and content of each line; the content of a damaged one is empty. Nothing if there is no file."""
    if not path.is_file():
        return
    start = 0
    with open(path, "rb") as stream:
        for line in stream:
            try:
                content = without_checksum(json.loads(line))
            except (ValueError, RecursionError):
                content = {}
            yield start, len(line), content
            start += len(line)
