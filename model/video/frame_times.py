"""Times of a video's frames: when each is shown, and how many FFmpeg has left out, which it does without a word."""

import sys
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from model.video.outputs import OVERLAY

# A video that ends so long before the end that its header announces is cut off, seconds.
CUT_OFF = 1.0
# Tolerance of times, frames.
_TOLERANCE = 1.5
# Evenly spaced frames are as close to their even times as this, in frames, because files round times, to 1 ms or less.
_ROUNDING = 0.5
# The frames' times contradict an announced rate that is so many times another one.
_CONTRADICTION = 1.5
# Number of frames from which a contradiction is suspected.
_FIRST_FRAMES = 30


class Rate(NamedTuple):
    """Frame rate of a video.

    Attributes:
      hertz: frames a second.
      timed: the file has times that are worth reading.
      measured: the rate is that of these times, because the file announces another one, or none.
    """

    hertz: float
    timed: bool
    measured: bool


def video_rate(path: Path, capture: cv2.VideoCapture, otherwise: float) -> Rate:
    """The rate that a video announces, unless its frames' times contradict it.

    Recordings of browsers, for example, announce a thousand frames a second. In that case, all frames are read.

    Args:
      path: the video.
      capture: the same, before its first frame is read.
      otherwise: Hz, of a video that announces no rate and has no times.
    """
    announced = _announced_rate(capture)
    if not _is_avi(path):  # whose times are made of the announced rate
        numbers = iter(lambda: capture.grab(), False)
        times = [_seconds(capture) for _ in islice(numbers, _FIRST_FRAMES)]
        if _contradict(times, announced):
            times += [_seconds(capture) for _ in numbers]
            if _contradict(times, announced):
                measured = _measured_rate(times)
                said = f"{announced:g} frames a second" if announced else "no frame rate"
                print(f"{path}: announces {said}, but its frames' times show {measured:.4g}", file=sys.stderr)
                return Rate(measured, timed=True, measured=True)
    return Rate(announced or otherwise, timed=announced > 0, measured=False)


def _announced_rate(capture: cv2.VideoCapture) -> float:
    """The frame rate that a file announces, Hz; 0 if it has none."""
    rate = capture.get(cv2.CAP_PROP_FPS)
    return rate if rate > 0 else 0.0  # a damaged header may give NaN


def _seconds(capture: cv2.VideoCapture) -> float:
    """The time of the frame that was read last."""
    return capture.get(cv2.CAP_PROP_POS_MSEC) / 1000


def _measured_rate(times: list[float]) -> float:
    """The rate of frames at `times` in seconds, without their gaps; 0 if these times do not increase."""
    spacings = np.diff(times)
    if not len(spacings) or not (spacings > 0).all():
        return 0.0
    median = np.median(spacings)
    return float(1 / spacings[np.abs(spacings - median) <= median / 2].mean())  # times are rounded, unlike their mean


def _contradict(times: list[float], rate: float) -> bool:
    """Whether frames at `times` in seconds are of another rate than the announced one; 0 if it is not announced.

    A file may announce the rate between its gaps, or that of all its time, gaps included: MP4 has the latter.
    """
    measured = _measured_rate(times)
    if not measured:
        return False
    mean = (len(times) - 1) / (times[-1] - times[0])
    return not any(rate / _CONTRADICTION < shown < rate * _CONTRADICTION for shown in (measured, mean))


class FrameTimes:
    """Compares the times of the frames that are read with their numbers.

    Frames whose times are the even ones but for rounding get these, n / rate; from the first that is further off, all
    get their own.

    Args:
      path: the video.
      capture: the same, before its first frame is read.
      rate: of the video.

    Attributes:
      announced: number of frames, 0 or less if unknown.
      count: number of frames up to now, those that cannot be read included.
    """

    def __init__(self, path: Path, capture: cv2.VideoCapture, rate: Rate):
        self._path, self._capture, self._rate, self._timed = path, capture, rate.hertz, rate.timed
        self.announced, self.count = capture.get(cv2.CAP_PROP_FRAME_COUNT), 0
        # OpenCV has made the number of the rate that the file announces.
        self._length = self.announced / (_announced_rate(capture) or rate.hertz)
        if rate.measured:
            self.announced = min(self.announced, self._length * rate.hertz)
        self._even = self._timed and _is_avi(path)
        self._varies = rate.measured
        # Number that the first frame's time stands for. Decoders of other codecs are late by a constant.
        immediate = capture.get(cv2.CAP_PROP_FOURCC) == cv2.VideoWriter.fourcc(*"MJPG")
        self._first = 0.0 if self._even and immediate else None
        # Of the last frame that was read: its time in seconds, and how many frames later it is than its number; and by
        # how many frames any was off.
        self._end = self._late = self._off = 0.0
        self._last = -1.0  # what was returned last

    def left_out(self) -> int:
        """How many frames must stand for those left out before the one that was just read; count these with `miss`.

        In an AVI file, frames are evenly spaced, so that each gap shows frames that could not be decoded. Other files
        may have gaps of their own, which `faults` reports.
        """
        self._end = _seconds(self._capture)
        if self._first is None:
            self._first = self._end * self._rate - self.count
        self._late = self._end * self._rate - self._first - self.count
        return max(round(self._late), 0) if self._even else 0

    def read(self) -> float:
        """Counts the frame that was just read, and returns its time in seconds, 0 for the first."""
        assert self._first is not None, "left_out was asked before"
        self._late = self._end * self._rate - self._first - self.count
        self._off = max(self._off, abs(self._late))
        self._varies |= self._timed and not self._even and self._off > _ROUNDING
        return self._counted()

    def miss(self) -> float:
        """Counts a frame that cannot be read, and returns its time in seconds."""
        return self._counted()

    def _counted(self) -> float:
        time = self.count / self._rate
        if self._varies:
            time += self._late / self._rate
        if not time > self._last:  # damaged, or the video begins again
            time = self._last + 1 / self._rate
        self.count, self._last = self.count + 1, time
        return time

    def faults(self) -> list[str]:
        """What is wrong with the video, a line each, after the last frame."""
        found = []
        tolerance = _TOLERANCE / self._rate  # the last frame begins one before the end
        if self._length - self._end > (tolerance if self._even else max(CUT_OFF, tolerance)):
            found.append(f"cut off or damaged: its frames end after {self._end:.1f} of {self._length:,.1f} s")
        if self._timed and self._off > _TOLERANCE:
            seconds = f"{self._off / self._rate:,.1f} s"
            if self._late > self._off - _TOLERANCE:  # what is lost remains lost
                found.append(
                    f"{round(self._late):,} frames are missing between the others, damaged or never recorded, so that "
                    f"later ones are up to {seconds} early in {OVERLAY}"
                )
            else:
                found.append(
                    f"its frames are unevenly spaced, so that they are up to {seconds} off in {OVERLAY}, which has "
                    f"{self._rate:.4g} a second"
                )
        return [f"{self._path}: {fault}" for fault in found]


def _is_avi(path: Path) -> bool:
    with open(path, "rb") as stream:
        start = stream.read(12)
    return start[:4] == b"RIFF" and start[8:] == b"AVI "
