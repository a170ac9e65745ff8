"""Jobs of --mode prepare. Main and worker processes import this module, so it must not import TensorFlow."""

import dataclasses
from pathlib import Path

# Entry of a record: the next run does the photo again, because a failure may have had a cause outside of it.
RETRY = "retry"


@dataclasses.dataclass(frozen=True)
class Job:
    """A photo to prepare.

    Attributes:
      path: the photo.
      photo: name of the photo in the records.
      crop: file for the crop; with several faces, a number is appended to the stem.
      key: hash of the photo, its sidecar files and the options; stored in the record.
      sidecars: its sidecar files when the run began.
    """

    path: Path
    photo: str
    crop: Path
    key: str
    sidecars: tuple[Path, ...] = ()
