"""Smoothing of a live signal: strong at rest, where noise shows, and weak in motion, where delay shows.

Casiez, Roussel and Vogel, "1 Euro Filter: A Simple Speed-based Low-pass Filter for Noisy Input in Interactive Systems",
CHI 2012: exponential smoothing whose cut-off frequency rises with the signal's speed.
"""

import numpy as np

# Cut-off frequency of the speed's own smoothing, Hz; the paper's value.
SPEED_CUTOFF = 1.0


class OneEuroFilter:
    """Filter of vectors, each component on its own.

    Args:
      cutoff: cut-off frequency at rest, Hz; above 0.
      slope: Hz by which it rises for each unit of speed (values per second).
    """

    def __init__(self, cutoff: float, slope: float):
        self.cutoff, self.slope = cutoff, slope
        self._values: np.ndarray | None = None
        self._speed = np.zeros(1)
        self._seconds = 0.0

    def __call__(self, values: np.ndarray, seconds: float, unit: float | np.ndarray = 1.0) -> np.ndarray:
        """The smoothed values [D] at a time; the first ones as they are.

        Args:
          values: [D].
          seconds: time of the values, later than that of the last ones.
          unit: size in which the speed is measured, of all values or of each [D].
        """
        values = np.asarray(values, np.float64)
        if self._values is None:
            self._values, self._speed = values, np.zeros_like(values)
        else:
            elapsed = seconds - self._seconds
            if not elapsed > 0:
                raise ValueError(f"seconds must increase, got {seconds:g} after {self._seconds:g}")
            speed = (values - self._values) / elapsed
            self._speed = self._speed + _share(SPEED_CUTOFF, elapsed) * (speed - self._speed)
            cutoff = self.cutoff + self.slope * np.abs(self._speed) / unit
            self._values = self._values + _share(cutoff, elapsed) * (values - self._values)
        self._seconds = seconds
        return self._values.copy()

    def reset(self) -> None:
        """Forgets all values: the next ones are another motion's first."""
        self._values = None


def _share(cutoff: float | np.ndarray, elapsed: float) -> float | np.ndarray:
    """Share of the new value in exponential smoothing with a cut-off frequency, after `elapsed` seconds."""
    return 1 / (1 + 1 / (2 * np.pi * cutoff * elapsed))
