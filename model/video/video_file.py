"""Opens and writes video files by OpenCV, whose FFmpeg takes much on trust."""

import contextlib
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np

from lib.errors import DiskFull, UserError
from lib.face_image.photo_formats import is_photo
from lib.files.atomic import atomic_path

# Silences FFmpeg's and OpenCV's messages about damaged files and full disks; the program reports them in one line.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

# MPEG-4 stores the rate as a fraction of 16-bit numbers; below, OpenCV has powers of ten. Frames a second.
LEAST_HERTZ, MOST_HERTZ = 0.01, 65_535
# More than the beginning of an MPEG-4 file takes.
_HEADER_BYTES = 65_536
# Texts that name files or addresses, which FFmpeg would open: HLS, its own lists, DASH and other XML, SDP; also behind
# an ID3 tag.
_PLAYLIST = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:#EXTM3U|ffconcat|v=0|(?P<wrap><|ID3))|(?:.*?[\r\n])??c=IN IP", re.I | re.S
)
_WRAPPED = re.compile(rb"#EXTM3U|ffconcat|<(?:\w+:)?MPD", re.I)
_LIST = "a list of other files (give those, each in a run of its own)"
# What else begins as a list may; it may still name files, further down.
_NO_LIST = {b"<": "XML or HTML", b"id3": "a file that begins with an ID3 tag, such as MP3 (convert a video to .mp4)"}
# No video has pixels so much wider than high, or higher than wide; a damaged header may announce them.
_MOST_STRETCH = 4.0


@contextlib.contextmanager
def open_video(path: Path) -> Iterator[cv2.VideoCapture]:
    """Context manager with the opened video.

    Raises:
      UserError: it is no video that OpenCV reads, or a playlist.
    """
    # Opening a pipe would wait for its writer, and frames are read several times.
    if not path.is_file():
        got = "a device or a pipe" if path.exists() else "no such file"
        raise UserError(f"{path}: must be a video file or a folder of frames, got {got}")
    if got := playlist(path):
        raise UserError(f"{path}: must be a video, got {got}")
    with _opened(path) as capture:
        if not capture.isOpened():
            raise UserError(
                f"{path}: must be a video that OpenCV reads, got another file (convert it to .mp4, or give a folder "
                "of its frames)"
            )
        yield capture


def check_moving(path: Path) -> None:
    """Raises UserError if a file is a photo; animations, as in PNG, are not if OpenCV reads more than one frame."""
    if is_photo(path):
        with open_video(path) as capture:
            if not (capture.grab() and capture.grab()):
                raise UserError(
                    f"{path}: must be a video or a folder of frames, got a photo (reconstruct it with --mode test; "
                    "convert an animation to .mp4)"
                )


def playlist(path: Path) -> str:
    """What a file is if FFmpeg may open other files for it, whatever its name; empty for all others."""
    try:
        with open(path, "rb") as stream:
            start = stream.read(4096)
    except OSError:
        return ""  # whoever reads it says why that fails
    if (found := _PLAYLIST.match(start)) is None:
        return ""
    wrap = found["wrap"]
    return _LIST if wrap is None or _WRAPPED.search(start) else _NO_LIST[wrap.lower()]


def check_rate(path: Path, rate: float) -> None:
    """Raises UserError if no video of this frame rate, Hz, can be written."""
    if not LEAST_HERTZ <= rate <= MOST_HERTZ:
        raise UserError(
            f"{path}: must have {LEAST_HERTZ:g} to {MOST_HERTZ:,} frames a second, got {rate:,.6g} (convert it to "
            ".mp4 at such a rate, or give a folder of its frames and test.frame_rate)"
        )


def square_size(capture: cv2.VideoCapture) -> tuple[float, float]:
    """Factors of width and height, one of them 1 and the other at least 1, that make a video's pixels square."""
    ratio = capture.get(cv2.CAP_PROP_SAR_NUM) / max(capture.get(cv2.CAP_PROP_SAR_DEN), 1.0)
    if not 1 / _MOST_STRETCH <= ratio <= _MOST_STRETCH:  # also 0: not announced
        return 1.0, 1.0
    if capture.get(cv2.CAP_PROP_ORIENTATION_META) % 180 and capture.get(cv2.CAP_PROP_ORIENTATION_AUTO):
        ratio = 1 / ratio  # of the pixels as they are stored; OpenCV has turned the frames
    return max(ratio, 1.0), max(1 / ratio, 1.0)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[cv2.VideoCapture]:
    capture = cv2.VideoCapture(str(path.absolute()))  # FFmpeg takes what precedes a colon for a protocol
    try:
        yield capture
    finally:
        capture.release()


def write_video(path: Path, frames: Iterable[np.ndarray], frame_rate: float) -> None:
    """Writes frames (uint8 [H, W, 3] RGB of one size) as MPEG-4, at the closest rate that OpenCV can write.

    The format has even sides only: odd ones get a second last row or column.

    Raises:
      UserError: this build of OpenCV cannot write MPEG-4 of this size and rate, or the frames differ in size.
      DiskFull: the earlier file, if any, is unchanged.
    """
    writer, size, count = None, None, 0
    with atomic_path(path) as temporary:
        try:
            for frame in frames:
                if writer is None:
                    size = frame.shape
                    code = cv2.VideoWriter.fourcc(*"mp4v")
                    even = tuple(side + side % 2 for side in size[1::-1])
                    writer = cv2.VideoWriter(str(temporary.absolute()), code, _written_rate(frame_rate), even)
                    if not writer.isOpened():
                        temporary.write_bytes(bytes(_HEADER_BYTES))  # OpenCV does not say whether the disk is full
                        raise UserError(
                            f"{path}: OpenCV must be able to write MPEG-4 of {size[1]} x {size[0]} pixels at "
                            f"{frame_rate:g} Hz, got a build that cannot"
                        )
                if frame.shape != size:
                    raise UserError(f"{path}: frames must have one size, got {size} and {frame.shape}")
                odd_height, odd_width = frame.shape[0] % 2, frame.shape[1] % 2
                frame = cv2.copyMakeBorder(frame, 0, odd_height, 0, odd_width, cv2.BORDER_REPLICATE)
                writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
                count += 1
        finally:
            if writer is not None:
                writer.release()
        _check_written(path, temporary, count)


def _written_rate(frame_rate: float) -> float:
    """A frame rate, Hz, with as many decimals as OpenCV can write, which makes it n / 10^k."""
    decimals = next((places for places in (3, 2, 1) if round(frame_rate, places) * 10**places <= MOST_HERTZ), 0)
    return round(frame_rate, decimals)


def _check_written(path: Path, temporary: Path, count: int) -> None:
    """Raises DiskFull if the video `path`, still at `temporary`, lacks some of its frames: OpenCV reports no fault."""
    with _opened(temporary) as capture:
        written = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if capture.isOpened() else 0
    if written < count:
        raise DiskFull(f"{path}: must fit on its disk, got no whole video")
