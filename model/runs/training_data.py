"""The crops that networks were trained on, kept with their weights, so that they are not measured on them.

A run that starts from trained weights keeps the crops of these, too.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from lib.synthetic.dataset import crops_key

ENTRY = "trained_on"  # in the headers of checkpoints and weight files
UNTOLD = "?"  # instead of `crops_key`, of crops that may be create_bin.py's, but do not lie beside their truth


@dataclasses.dataclass(frozen=True)
class TrainingData:
    """The crops of one run; without values, unknown ones.

    Attributes:
      records: fingerprint of the records.
      split: hash of their split.
      synthetic_seed: data.synthetic_seed of create_bin.py's crops; None for others and unknown ones.
    """

    records: str | None = None
    split: str | None = None
    synthetic_seed: int | None = None

    def seen(self, face_model: str, image_size: int, data: Mapping[str, str]) -> bool | None:
        """Whether the run may have seen the crops that another split holds out; None if that is unknown.

        Args:
          face_model: fingerprint of the run's face model.
          image_size: side of the other crops [px].
          data: of the other crops: fingerprint of the `records`, hash of the `split`, and in `crops` the `crops_key` of
            create_bin.py's (`model.input_pipeline.ground_truth.rendered_as`).
        """
        if self.split == data["split"]:
            return False
        if self.records == data["records"]:
            return True
        if self.synthetic_seed is None or data["crops"] == UNTOLD:
            return None
        return data["crops"] == crops_key(face_model, image_size, self.synthetic_seed)


UNKNOWN = TrainingData()


def to_json(runs: Iterable[TrainingData]) -> list[dict[str, Any]]:
    """JSON value for `ENTRY`."""
    return [dataclasses.asdict(run) for run in runs]


def from_json(value: Any) -> tuple[TrainingData, ...]:
    """Runs of an `ENTRY`; an unknown one if it is missing, as in an earlier version's file, or of another form."""
    try:
        runs = tuple(TrainingData(**run) for run in value)
        hash(runs)
    except TypeError:
        return (UNKNOWN,)
    return runs


def of_weights(metadata: Mapping[str, Any]) -> tuple[TrainingData, ...]:
    """Runs behind a weight file, given its metadata; an unknown one if an earlier version wrote it.

    What an earlier version's options say is no evidence: a run may have read other crops than they name.
    """
    return from_json(metadata.get(ENTRY))
