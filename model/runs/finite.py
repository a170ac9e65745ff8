"""Checks that stop a run whose loss is no longer finite, or that sees nothing of the photos."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import SupportsFloat

from lib.errors import UserError


def check_finite(
    terms: Mapping[str, SupportsFloat], network: str, update: int, section: str, checkpoint: Path | None = None
) -> None:
    """Stops a run at the first loss term that is NaN or infinite.

    Args:
      terms: all loss terms of an update, including their total.
      network: name of the trained network, for the message.
      update: 0-based number of the update.
      section: section of the configuration that has the learning rate, for the message.
      checkpoint: the run's last checkpoint, which may not exist yet; None if none can be continued with other options.

    Raises:
      UserError: a term is not finite.
    """
    for name, term in terms.items():
        value = float(term)
        if not math.isfinite(value):
            weight = "" if section == "mask" else " or the term's weight"  # the mask decoder's terms have none
            advice = f"lower {section}.learning_rate{weight}"
            if checkpoint is None:
                advice += ", which starts this training again"
            elif checkpoint.is_file():
                advice += f"; {checkpoint} holds an earlier state"
            raise UserError(
                f"loss term '{name}' of the {network} must be finite, got {value} at update {update} ({advice})"
            )


class SeeingCheck:
    """Stops a run in which, for many updates, no pixel of the photos has counted.

    The terms that compare with the photo are then exactly 0: no vertex is visible and no rendered pixel lies on the
    mask. A single crop may be so; a data set of such crops would train to the end without learning anything.
    """

    LIMIT = 50  # updates in a row

    def __init__(self) -> None:
        self._blind = 0

    def __call__(self, terms: Mapping[str, SupportsFloat], update: int) -> None:
        """Notes the loss terms of an update.

        Raises:
          UserError: `LIMIT` updates in a row saw nothing.
        """
        compared = [float(terms[name]) for name in ("render", "project") if name in terms]
        self._blind = self._blind + 1 if compared and not any(compared) else 0
        if self._blind >= self.LIMIT:
            raise UserError(
                f"the loss must compare the face with the photos, got no pixel of them in {self.LIMIT} updates up to "
                f"{update} (the crops' masks miss the face: look at the sheet of the first crops)"
            )
