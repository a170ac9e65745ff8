"""The photos that --mode prepare turns into crops, the crops' names, and what determines their contents."""

import dataclasses
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
    """

    source: Path
    output: Path
    paths: list[Path]
    flat: dict[Path, str]
    options: str
    beside: bool
    sidecars: dict[Path, tuple[Path, ...]]

    @classmethod
    def find(cls, config: schema.Config, source: Path, output: Path) -> "PhotoFolder":
        """Lists the photos below `source`; raises UserError if there are none."""
        source, paths = input_photos(source, skip=output)
        flat = _flat_names(result_names(paths, source))
        return cls(source, output, paths, flat, _options_key(config), config.prepare.beside, sidecar_files(paths))

    @property
    def crops(self) -> Path:
        """Folder of the crops."""
        return self.output / "crops"

    @property
    def origin(self) -> dict[str, str]:
        """First line of the journal."""
        return {"source": str(self.source.resolve())}

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

    def without_deleted(self, record: dict) -> dict:
        """Removes crops that the user has deleted from an earlier run's record; they stay left out from then on."""
        gone = [crop for crop in record["crops"] if not (self.crops / crop["file"]).is_file()]
        if not gone:
            return record
        reasons = [{"kind": DELETED, "reason": f"{crop['file']} was deleted by hand"} for crop in gone]
        kept = [crop for crop in record["crops"] if crop not in gone]
        return record | {"crops": kept, "left_out": [*record["left_out"], *reasons]}


def _flat_names(names: dict[Path, str]) -> dict[Path, str]:
    """Flattens nested names, with `__` between folders; names that would collide get a number."""
    flat: dict[Path, str] = {}
    used: set[str] = set()
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
    """Hash of everything that determines a crop apart from the photo: method, options, weights."""
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
    files = [schema.asset_path(config.regressor.weights)]
    if config.prepare.parser:
        files.append(Path(config.prepare.parser))
    for path in files:
        if not path.is_file():
            raise UserError(f"{path}: must be a file, got none")
    return options_digest(parts, files)
