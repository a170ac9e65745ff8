"""The check that stops a run whose loss is no longer a number."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import SupportsFloat

from lib.errors import UserError


def check_finite(terms: Mapping[str, SupportsFloat], network: str, update: int, section: str, checkpoint: Path) -> None:
    """Stops a run at the first loss term that is NaN or infinite.

    Args:
      terms: every loss term of an update, its total included.
      network: what is trained, for the message.
      update: 0-based number of the update.
      section: of the configuration, which holds the learning rate.
      checkpoint: the run's last state, if it exists.

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
