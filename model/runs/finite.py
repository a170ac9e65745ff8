"""Check that stops a run when its loss is no longer finite."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import SupportsFloat

from lib.errors import UserError


def check_finite(terms: Mapping[str, SupportsFloat], network: str, update: int, section: str, checkpoint: Path) -> None:
    """Stops a run at the first loss term that is NaN or infinite.

    Args:
      terms: all loss terms of an update, including their total.
      network: name of the trained network, for the message.
      update: 0-based number of the update.
      section: section of the configuration that has the learning rate, for the message.
      checkpoint: path of the run's last checkpoint, which may not exist yet.

    Raises:
      UserError: a term is not finite.
    """
    for name, term in terms.items():
        value = float(term)
        if not math.isfinite(value):
            kept = f"; {checkpoint} holds an earlier state" if checkpoint.is_file() else ""
            raise UserError(
                f"loss term '{name}' of the {network} must be finite, got {value} at update {update} "
                f"(lower {section}.learning_rate or the term's weight{kept})"
            )
