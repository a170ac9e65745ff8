"""Packing in shards: each is a record file with its manifest, and merging packs their records into one file."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lib.errors import UserError
from lib.files.json_files import without_checksum
from lib.files.shards import Shard, check_same_recipe, finished, names_digest
from lib.records.crop_files import BadImage
from lib.records.packing import Packed, PngFolder, pack
from lib.records.record_file import RecordReader
from lib.runtime.resources import allow_open_files

# On a cluster: seconds of work, so that the start of a process does not weigh more.
CROPS_PER_PART = 2000
MANIFEST = ".manifest.json"
INDEX = "index.json"
# Entries of a shard's manifest as earlier versions wrote it, without a checksum.
_UNCHECKED = {
    "file", "source", "image_size", "count", "seconds", "left_out", "suspicious", "names", "recipe", "images",
}  # fmt: skip


def shards_folder(records: Path) -> Path:
    """Folder of the shards of a record file."""
    return records.with_name(f"{records.stem}.shards")


def pack_shard(source: PngFolder, shard: Shard, folder: Path, workers: int, strict: bool = False) -> Packed:
    """Packs one part of the images; the shard counts as finished once its manifest is in place.

    Args:
      source: the images of all shards.
      shard: the part to pack; it may hold no image, or no good one.
      folder: folder of the shards; receives <shard>.bin and <shard>.manifest.json.
      workers: number of decoding threads.
      strict: stop at the first bad image.
    """
    part = PngFolder(source.folder, shard.part(source.names), source.image_size)
    # Not the folder: machines that share the work mount it in different places, and the list tells it from others.
    recipe = {
        "image_size": source.image_size,
        "list of images": names_digest(source.names),
        "number of shards": shard.count,
    }
    extra = {"recipe": recipe, "images": list(part.names)}
    return pack(part, folder / f"{shard.name}.bin", workers, strict, shard_manifest=extra)


class PackedShards:
    """All shards of a folder as one source of records.

    Args:
      folder: folder of the shards.
      count: see `lib.files.shards.finished`.

    Raises:
      UserError: shards are missing, damaged or made differently.
    """

    def __init__(self, folder: Path, count: int | None = None):
        allow_open_files()
        manifests = {path: _manifest(path) for path in finished(folder, MANIFEST, count)}
        recipe = check_same_recipe({path: _compared(content["recipe"]) for path, content in manifests.items()})
        self.path, self.image_size = Path(next(iter(manifests.values()))["source"]), recipe["image_size"]
        self.files: list[Path] = []
        self.names: list[str] = []
        # Of each name: the file and row of its record, or the reason why it has none.
        self._places: list[tuple[RecordReader, int] | str] = []
        for path, content in manifests.items():
            reader = RecordReader(path.with_name(path.name.removesuffix(MANIFEST) + ".bin"), self.image_size)
            if reader.names != content["names"]:
                raise UserError(f"{reader.path}: must hold the images of {path.name}, got others (run the shard again)")
            rows = {name: row for row, name in enumerate(reader.names)}
            reasons = iter(content["left_out"])
            for name in content["images"]:
                self._places.append((reader, rows[name]) if name in rows else next(reasons)["reason"])
            self.names += content["images"]
            self.files.append(reader.path)

    def read(self, index: int) -> np.ndarray:
        """Crop `index`; raises BadImage if its shard left it out, UserError if its record is damaged."""
        place = self._places[index]
        if isinstance(place, str):
            raise BadImage(place)
        reader, row = place
        return reader[row]


def _compared(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe without the folder, which earlier versions wrote into it."""
    return {key: value for key, value in recipe.items() if key != "source"}


def _manifest(path: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(path.read_bytes())
        if content.keys() != _UNCHECKED:
            content = without_checksum(content)
        recipe, images, names, left_out = (content[key] for key in ("recipe", "images", "names", "left_out"))
        whole = isinstance(content["source"], str) and type(recipe["image_size"]) is int
        whole &= len(images) == len(names) + len(left_out) and set(names) <= set(images)
        whole &= all(isinstance(entry["reason"], str) for entry in left_out)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        whole = False
    if not whole:
        raise UserError(f"{path}: must be the manifest of a shard, got another file or damage (run the shard again)")
    return content
