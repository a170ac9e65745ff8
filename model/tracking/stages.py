"""Time that the stages of the work on every frame take."""

import contextlib
import time
from collections import defaultdict
from collections.abc import Iterator

import numpy as np


class StageTimes:
    """Collects the time of stages, frame after frame."""

    def __init__(self) -> None:
        self._seconds: defaultdict[str, list[float]] = defaultdict(list)

    @contextlib.contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Context manager that measures one frame's stage."""
        started = time.perf_counter()
        yield
        self._seconds[stage].append(time.perf_counter() - started)

    def add(self, stage: str, seconds: float) -> None:
        """Adds a time measured elsewhere."""
        self._seconds[stage].append(seconds)

    def summary(self) -> dict[str, dict[str, float]]:
        """Stage -> median and 95th percentile in milliseconds."""
        return {stage: quantiles(1e3 * np.array(seconds)) for stage, seconds in self._seconds.items()}


def quantiles(values: np.ndarray) -> dict[str, float]:
    """Median and 95th percentile of values [n], n > 0, rounded to hundredths."""
    median, high = np.percentile(values, [50, 95])
    return {"median": round(float(median), 2), "95th_percentile": round(float(high), 2)}
