"""Times of a video's frames: they tell how many frames FFmpeg has left out, which it does without a word."""

from pathlib import Path

import cv2

# A video that ends so long before the end that its header announces is cut off, seconds.
CUT_OFF = 1.0
# Tolerance of times, frames.
_TOLERANCE = 1.5


class FrameTimes:
    """Compares the times of the frames that are read with their numbers.

    Args:
      path: the video.
      capture: the same, before its first frame is read.
      rate: Hz, of a video that does not announce one.

    Attributes:
      announced: number of frames, 0 or less if unknown.
      count: number of frames up to now, those that cannot be read included.
    """

    def __init__(self, path: Path, capture: cv2.VideoCapture, rate: float):
        self._path, self._capture = path, capture
        announced_rate = capture.get(cv2.CAP_PROP_FPS)
        self._timed = announced_rate > 0  # also False for the NaN of a damaged header
        self._rate = announced_rate if self._timed else rate
        self.announced, self.count = capture.get(cv2.CAP_PROP_FRAME_COUNT), 0
        self._even = self._timed and _is_avi(path)
        # Number that the first frame's time stands for. Decoders of other codecs are late by a constant.
        immediate = capture.get(cv2.CAP_PROP_FOURCC) == cv2.VideoWriter.fourcc(*"MJPG")
        self._first = 0.0 if self._even and immediate else None
        # Of the last frame that was read: its time in seconds, and how many frames later it is than its number.
        self._end = self._late = 0.0

    def read(self) -> int:
        """Counts a frame that was just read; returns how many must stand for frames left out before it.

        In an AVI file, frames are evenly spaced, so that each gap shows frames that could not be decoded. Other files
        may have gaps of their own, which `faults` reports.
        """
        self._end = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        if self._first is None:
            self._first = self._end * self._rate - self.count
        late = self._end * self._rate - self._first - self.count  # frames
        skipped = max(round(late), 0) if self._even else 0
        self._late = late - skipped
        self.count += skipped + 1
        return skipped

    def miss(self) -> None:
        """Counts a frame that cannot be read."""
        self.count += 1

    def faults(self) -> list[str]:
        """What is wrong with the video, a line each, after the last frame."""
        found, announced = [], self.announced / self._rate
        tolerance = _TOLERANCE / self._rate  # the last frame begins one before the end
        if announced - self._end > (tolerance if self._even else max(CUT_OFF, tolerance)):
            found.append(f"cut off or damaged: its frames end after {self._end:.1f} of {announced:,.1f} s")
        if self._timed and self._late > _TOLERANCE:
            found.append(
                f"{round(self._late):,} frames are missing between the others, damaged or never recorded, so that "
                f"later ones are up to {self._late / self._rate:,.1f} s early"
            )
        return [f"{self._path}: {fault}" for fault in found]


def _is_avi(path: Path) -> bool:
    with open(path, "rb") as stream:
        start = stream.read(12)
    return start[:4] == b"RIFF" and start[8:] == b"AVI "
