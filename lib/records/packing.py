"""Packing of RGBA crops into one record file, with a manifest of packed crops and of skipped ones with reasons."""

import collections
import concurrent.futures
import dataclasses
import hashlib
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from tqdm import tqdm

from lib.errors import UserError
from lib.files.file_names import line_fault, name_fault, printable
from lib.files.json_files import with_checksum, write_json
from lib.records.crop_faults import crop_fault
from lib.records.crop_files import BadImage, UnreadableImage, read_crop, with_skin
from lib.records.record_index import open_records
from lib.records.record_writer import RecordWriter, manifest_path
from lib.records.records import Records

MOST_UNREADABLE = 3  # images in a row, after which the disk or the network fails rather than a sector
REPORTED = 10  # number of skipped images that are printed; the manifest lists all


class Source(Protocol):
    """Images to pack, in the order of their records.

    Attributes:
      path: where they come from, for the manifest and for messages.
      names: unique names.
      image_size: side of every image [px].
    """

    @property
    def path(self) -> Path: ...

    @property
    def names(self) -> Sequence[str]: ...

    @property
    def image_size(self) -> int: ...

    def read(self, index: int) -> np.ndarray:
        """Image `index`, [H, W, 4] uint8; raises BadImage."""
        ...


@dataclasses.dataclass(frozen=True)
class PngFolder:
    """A folder of RGBA PNGs as a source of records."""

    folder: Path
    names: Sequence[str]
    image_size: int

    @property
    def path(self) -> Path:
        """Folder of the images."""
        return self.folder

    def read(self, index: int) -> np.ndarray:
        """Crop `index`, [H, W, 4] uint8; raises BadImage."""
        if fault := name_fault(self.names[index]) or line_fault(self.names[index]):
            raise BadImage(fault)
        return read_crop(self.folder / self.names[index], self.image_size)


class RecordFile:
    """A record file, or an index of several, as a source of records, e.g. the original program's float32 file."""

    def __init__(self, path: Path, image_size: int):
        if not path.exists():
            raise UserError(
                f"{path}: --input must be a folder of RGBA PNGs or a record file, got no such file or folder"
            )
        self.path, self._reader = path, open_records(path, image_size)
        self.names, self.image_size = self._reader.names, image_size
        if not self.names:
            raise UserError(f"{path}: must hold at least one record, got none")
        self._damaged = set(verify(self._reader))

    def read(self, index: int) -> np.ndarray:
        """Record `index`; raises BadImage if it is damaged or its alpha marks no skin."""
        if fault := line_fault(self.names[index]):
            raise BadImage(fault)
        if index in self._damaged:
            raise BadImage("record must be intact, got damage")
        return with_skin(self._reader[index])


@dataclasses.dataclass(frozen=True)
class _Crop:
    """A crop [H, W, 4] uint8 with what else the reading threads find out: SHA-256 of its pixels, its fault if any."""

    pixels: np.ndarray
    digest: bytes
    fault: str | None


@dataclasses.dataclass(frozen=True)
class Packed:
    """Result of `pack`."""

    path: Path
    manifest: Path
    names: list[str]
    left_out: dict[str, str]  # name -> reason
    suspicious: dict[str, str]  # packed, but probably bad: name -> fault
    seconds: float


def pack(
    source: Source,
    path: Path,
    workers: int,
    strict: bool = False,
    started: float | None = None,
    shard_manifest: Mapping[str, Any] | None = None,
    follow: bool = False,
) -> Packed:
    """Writes all good images of `source`, in order, to a record file, and the manifest next to it.

    Args:
      source: the images.
      path: the record file to create or replace.
      workers: number of decoding threads; Pillow releases Python's global lock.
      strict: stop at the first bad image.
      started: time.monotonic() at the start of the work if before this call; the manifest gives the duration.
      shard_manifest: what the manifest of a shard holds in addition; a shard may hold no good image.
      follow: see `lib.files.atomic.atomic_path`; the manifest lies beside the link.

    Raises:
      UserError: no image is good, or with `strict` one is bad, or several in a row cannot be read; an earlier file
        stays unchanged.
    """
    started = time.monotonic() if started is None else started
    size = source.image_size
    left_out: dict[str, str] = {}
    suspicious: dict[str, str] = {}
    unreadable = 0  # images in a row
    first_of: dict[bytes, str] = {}
    metadata = {"source": source.path.name, "channels": "RGBA"}
    with RecordWriter(path, (size, size, 4), metadata, follow) as writer:
        decoded = _in_order(source, workers)
        for name, crop in tqdm(decoded, "pack", len(source.names), unit="crop", dynamic_ncols=True):
            unreadable = unreadable + 1 if isinstance(crop, UnreadableImage) else 0
            if isinstance(crop, BadImage):
                if unreadable == MOST_UNREADABLE:
                    raise UserError(
                        f"{source.path}/{printable(name)}: {crop} ({unreadable} images in a row; run the same command "
                        "again)"
                    )
                if strict:
                    raise UserError(f"{source.path}/{printable(name)}: {crop}")
                left_out[name] = str(crop)
            else:
                writer.append(crop.pixels, name)
                same = first_of.setdefault(crop.digest, name)
                fault = crop.fault if same == name else f"the same pixels as {printable(same)}"
                if fault is not None:
                    suspicious[name] = fault
        if not len(writer) and shard_manifest is None:
            name, reason = next(iter(left_out.items()))
            raise UserError(
                f"{source.path}: at least one image must be a {size} x {size} RGBA PNG, got {len(left_out)} others "
                f"(first: {printable(name)}: {reason})"
            )
        names = [name for name in source.names if name not in left_out]
    result = Packed(path, manifest_path(path), names, left_out, suspicious, time.monotonic() - started)
    _write_manifest(result, source, shard_manifest or {})
    return result


def _write_manifest(result: Packed, source: Source, extra: Mapping[str, Any]) -> None:
    contents = {
        "file": result.path.name,
        "source": str(source.path),
        "image_size": source.image_size,
        "count": len(result.names),
        "seconds": round(result.seconds, 1),
        "left_out": [{"name": printable(name), "reason": reason} for name, reason in result.left_out.items()],
        "suspicious": [{"name": printable(name), "reason": reason} for name, reason in result.suspicious.items()],
        "names": result.names,
    }
    # A shard's manifest is read again, when shards are joined; that of a record file is for people.
    write_json(result.manifest, with_checksum({**contents, **extra}) if extra else contents)


def _in_order(source: Source, workers: int) -> Iterator[tuple[str, _Crop | BadImage]]:
    """Yields the name and crop (or BadImage) of every image, with a bounded number of crops in memory."""

    def read(index: int) -> _Crop | BadImage:
        try:
            pixels = source.read(index)
        except BadImage as reason:
            return reason
        return _Crop(pixels, hashlib.sha256(pixels.data).digest(), crop_fault(pixels))

    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        waiting: collections.deque = collections.deque()
        try:
            for index, name in enumerate(source.names):
                waiting.append((name, pool.submit(read, index)))
                if len(waiting) > 4 * workers:
                    first, future = waiting.popleft()
                    yield first, future.result()
            for name, future in waiting:
                yield name, future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def report(result: Packed) -> None:
    """Prints the skipped and the suspicious images to stderr."""
    for what, images in (("left out", result.left_out), ("suspicious", result.suspicious)):
        for name, reason in list(images.items())[:REPORTED]:
            print(f"{what} {printable(name)}: {reason}", file=sys.stderr)
        if len(images) > REPORTED:
            print(f"{what} {len(images) - REPORTED} more, see {result.manifest}", file=sys.stderr)


def verify(reader: Records) -> list[int]:
    """Finds the indices of damaged records; shows a progress bar."""
    return reader.verify(lambda steps: tqdm(steps, "verify", unit="record", dynamic_ncols=True))
