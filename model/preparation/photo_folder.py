"""The photos that --mode prepare turns into crops, the crops' names, and what determines their contents."""

import dataclasses
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from configs import schema
from lib.errors import UserError
from lib.face_image.photo_io import input_photos, result_names
from lib.face_image.quality import DELETED
from lib.files.file_names import fitting_stem
from lib.files.shards import options_digest, shared_recipe
from lib.sidecar.photo_key import photo_key
from lib.sidecar.sidecar_files import sidecar_files
from model.preparation.job import Job
from model.preparation.journal import read_journal

JOURNAL = "progress.jsonl"
_ADDED = len("~999_999.png")  # bytes that a crop's name may have in addition to its photo's
# Part of every crop's key. Raise it whenever the same photo, options and weights give a different crop or record.
METHOD = "regressed face, parsed mask, 3"


@dataclasses.dataclass(frozen=True)
class PhotoFolder:
    """The photos to prepare, and what determines their crops.

    Attributes:
      source: folder of the photos.
      output: folder of the results.
      paths: all photos, sorted.
      flat: names of their crops, without suffix.
      options: hash of method, options and weights.
      beside: sidecar files count.
      sidecars: those of each photo when the run began.
      earlier: records of earlier runs, by photo.
      one: the run was given one of the folder's photos, and leaves the others alone.
      others: records of those, apart from outdated ones, whose crops a stopped run did not remove.
    """

    source: Path
    output: Path
    paths: list[Path]
    flat: dict[Path, str]
    options: str
    beside: bool
    sidecars: dict[Path, tuple[Path, ...]]
    earlier: dict[str, dict] = dataclasses.field(default_factory=dict)
    one: bool = False
    others: list[dict] = dataclasses.field(default_factory=list)

    @classmethod
    def find(cls, config: schema.Config, source: Path, output: Path) -> "PhotoFolder":
        """Lists the photos below `source`, or the one that it is, and reads the records of earlier runs.

        Raises:
          UserError: there is no photo, or `output` holds crops of another folder.
        """
        folder, paths = input_photos(source, skip=output)
        earlier = read_journal(output / JOURNAL, _origin(folder))
        one = Path(source).is_file()
        others = [record for record in _left_alone(earlier, folder, paths) if record["key"]] if one else []
        flat = flat_names(result_names(paths, folder), _stems(others, config.prepare.faces))
        options, beside = _options_key(config), config.prepare.beside
        return cls(folder, output, paths, flat, options, beside, sidecar_files(paths), earlier, one, others)

    @property
    def crops(self) -> Path:
        """Folder of the crops."""
        return self.output / "crops"

    @property
    def origin(self) -> dict[str, str]:
        """First line of the journal."""
        return _origin(self.source)

    @property
    def photos(self) -> list[str]:
        """Names of all photos in the records."""
        return [self.photo(path) for path in self.paths]

    def recipe(self, count: int) -> dict[str, Any]:
        """What all of `count` shards must share."""
        return shared_recipe(self.source, self.options, self.photos, count)

    def photo(self, path: Path) -> str:
        """Name of a photo in the records."""
        return path.relative_to(self.source).as_posix()

    def key(self, path: Path) -> str:
        """Key of a photo's record."""
        return photo_key(path, self.options, self.beside, self.flat[path])

    def job(self, path: Path) -> Job:
        """The work on a photo."""
        crop = self.crops / f"{self.flat[path]}.png"
        return Job(path, self.photo(path), crop, self.key(path), self.sidecars[path])

    def with_others(self, records: Iterable[dict]) -> list[dict]:
        """The records of this run and those of the photos that it leaves alone, by name."""
        return sorted([*records, *map(self.without_deleted, self.others)], key=lambda record: Path(record["photo"]))

    def left_alone(self, earlier: Mapping[str, dict]) -> list[dict]:
        """Earlier records that this run neither renews nor removes."""
        return _left_alone(earlier, self.source, self.paths) if self.one else []

    def without_deleted(self, record: dict) -> dict:
        """Removes crops that the user has deleted from an earlier run's record; they stay left out from then on.

        Outdated records, those without a key, are returned as they are: it may be a run that removed their crops.
        """
        gone = [crop for crop in record["crops"] if not (self.crops / crop["file"]).is_file()]
        if not gone or not record["key"]:
            return record
        kept = [crop for crop in record["crops"] if crop not in gone]
        return record | {"crops": kept, "left_out": [*record["left_out"], *map(_deletion, gone)]}

    def deleted_again(self, record: dict, earlier: dict) -> dict:
        """Removes from a photo's new record the crops that its earlier one calls deleted; deletes their files again."""
        entries = [entry for entry in earlier["left_out"] if entry["kind"] == DELETED]
        gone = [crop for crop in record["crops"] if _deletion(crop) in entries]
        for crop in gone:
            (self.crops / crop["file"]).unlink(missing_ok=True)
        kept = [crop for crop in record["crops"] if crop not in gone]
        return record | {"crops": kept, "left_out": [*record["left_out"], *entries]}


def _deletion(crop: Mapping[str, Any]) -> dict[str, str]:
    """Entry of a crop that the user has deleted."""
    return {"kind": DELETED, "reason": f"{crop['file']} was deleted by hand"}


def _origin(folder: Path) -> dict[str, str]:
    return {"source": str(folder.resolve())}


def _left_alone(earlier: Mapping[str, dict], folder: Path, paths: Iterable[Path]) -> list[dict]:
    """The records of photos that still exist, apart from `paths`."""
    given = {path.relative_to(folder).as_posix() for path in paths}
    return [record for photo, record in earlier.items() if photo not in given and os.path.lexists(folder / photo)]


def _stems(records: Iterable[dict], faces: str) -> set[str]:
    """Flat names that a photo must not have, because its crops would replace some of the records'."""
    stems = [Path(crop["file"]).stem.casefold() for record in records for crop in record["crops"]]
    return {re.sub(r"_\d+$", "", stem) if faces == "all" else stem for stem in stems}


def flat_names(names: Mapping[Path, str], taken: Iterable[str] = ()) -> dict[Path, str]:
    """Flattens nested names, with `__` between folders; names that would collide, also with `taken`, get a number."""
    flat: dict[Path, str] = {}
    used = set(taken)
    for path, name in names.items():
        stem = fitting_stem(name.replace("/", "__"), _ADDED)
        candidate, number = stem, 1
        while candidate.casefold() in used:
            number += 1
            candidate = f"{stem}~{number}"
        used.add(candidate.casefold())
        flat[path] = candidate
    return flat


def _options_key(config: schema.Config) -> str:
    """Hash of everything that determines a crop apart from the photo: method, options, face model, weights."""
    section = dataclasses.asdict(config.prepare)
    for name in ("input", "output"):
        section.pop(name)
    parts = [
        METHOD,
        section,
        dataclasses.asdict(config.face_model),
        dataclasses.asdict(config.camera),
        dataclasses.asdict(config.regressor),
        config.data.image_size,
    ]
    source = schema.asset_path(config.face_model.source)
    if config.face_model.source not in ("built-in", "human-head") and source.exists():
        from lib.face_model_files.published import load_published  # half a second

        parts.append(load_published(source, config.generated_dir).fingerprint)
    files = [schema.asset_path(config.regressor.weights)]
    if config.prepare.parser:
        files.append(Path(config.prepare.parser))
    for path in files:
        if not path.is_file():
            raise UserError(f"{path}: must be a file, got none")
    return options_digest(parts, files)
