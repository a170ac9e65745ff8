"""The jobs of --mode prepare, imported by the program and its processes alike, and therefore free of TensorFlow."""

import dataclasses
from pathlib import Path


@dataclasses.dataclass(frozen=True)
class Job:
    """A photo to prepare.

    Attributes:
      path: the photo.
      photo: its name in the records.
      crop: file its crop is written to; with several faces each gets a number at the end of the stem.
      key: of the photo, its sidecar files and the options; goes into the record.
    """

    path: Path
    photo: str
    crop: Path
    key: str
