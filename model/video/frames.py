"""Reads and writes frames of a video, and tracks a face from frame to frame."""

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np

from lib.errors import DiskFull, UserError
from lib.face_image.detection import Face, detect_faces
from lib.face_image.photo_io import photo_paths, photo_size, read_photo
from lib.files.atomic import atomic_path
from lib.files.file_names import by_numbers
from model.photos.reader import AlignedPhoto, PhotoReader
from model.video.appearances import LOST, REACH
from model.video.frame_times import FrameTimes

# Silences FFmpeg's and OpenCV's messages about damaged files and full disks; the program reports them in one line.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

# Frames in a row that may be damaged; then the video ends, because a damaged header may announce billions.
MOST_DAMAGED = 10_000
# MPEG-4 stores the rate as a fraction of 16-bit numbers.
MOST_HERTZ = 65_535
# More than the beginning of an MPEG-4 file takes.
_HEADER_BYTES = 65_536
# States of a frame number; END is behind the last frame.
READABLE, DAMAGED, END = "a readable frame", "a damaged or missing frame", "no frame"


class FrameSource:
    """Frames of a video file or a folder, uint8 [H, W, 3] RGB; can be iterated repeatedly.

    A damaged frame is returned as None, so that later frames keep their positions; damaged frames at the end are
    dropped. A video that was cut off, as by an interrupted download, or lacks frames is reported once.

    Iterating raises UserError if the file or a frame is not as it was before: it was deleted or replaced.

    Args:
      source: a file that OpenCV can read, or a folder of images of equal size, ordered by name (frame2, frame10).
      frame_rate: Hz, used if the source does not specify it.
      skip: a folder within `source` to ignore.

    Raises:
      UserError: OpenCV cannot read the file, its frame rate is too high for a video to be written, or the folder holds
        no images, or images of different sizes.
    """

    def __init__(self, source: Path, frame_rate: float, skip: Path | None = None):
        self.source, self.frame_rate = source, frame_rate
        self._marks: dict[Path, tuple[int, int]] = {}  # size and time of the files that were read before
        # Of a folder's images; None for a video.
        self.paths: list[Path] | None = None
        if source.is_dir():
            self.paths = sorted(photo_paths(source, skip), key=lambda path: by_numbers(path.as_posix()))
            _check_sizes(self.paths)
        else:
            self.frame_rate = self._announced_rate() or frame_rate
        self._reported = False
        self._states: list[str] = []  # of the frames that were read before

    def __iter__(self) -> Iterator[np.ndarray | None]:
        damaged = number = 0
        for number, frame in enumerate(self._video() if self.paths is None else self._images(self.paths), 1):
            self._compare(number - 1, DAMAGED if frame is None else READABLE)
            if frame is None:
                damaged += 1
                continue
            yield from [None] * damaged
            damaged = 0
            yield frame
        self._compare(number, END)

    def _compare(self, number: int, state: str) -> None:
        """Keeps the state of a frame; raises UserError if it was another one before."""
        if number == len(self._states):
            self._states.append(state)
        elif self._states[number] != state:
            got = f"{state} as frame {number}, {self._states[number]} before"
            raise UserError(f"{self.source}: must stay as it is during the run, got {got} (run the same command again)")

    def _check_unchanged(self, path: Path) -> None:
        """Keeps size and time of a file; raises UserError if they were others before."""
        try:
            found = path.stat()
        except OSError:
            return  # whoever reads it says why that fails
        mark = found.st_size, found.st_mtime_ns
        if self._marks.setdefault(path, mark) != mark:
            raise UserError(f"{path}: must stay as it is during the run, got it replaced (run the same command again)")

    def _announced_rate(self) -> float:
        """The frame rate of the file, Hz; 0 if it has none."""
        with self._capture() as capture:
            rate = capture.get(cv2.CAP_PROP_FPS)
        if rate > MOST_HERTZ:
            raise UserError(
                f"{self.source}: must have at most {MOST_HERTZ:,} frames a second, got {rate:,.0f} (convert it to "
                ".mp4, or give a folder of its frames)"
            )
        return rate if rate > 0 else 0.0  # a damaged header may give NaN

    @contextlib.contextmanager
    def _capture(self) -> Iterator[cv2.VideoCapture]:
        # Opening a pipe would wait for its writer, and frames are read several times.
        if not self.source.is_file():
            got = "a device or a pipe" if self.source.exists() else "no such file"
            raise UserError(f"{self.source}: must be a video file or a folder of frames, got {got}")
        self._check_unchanged(self.source)
        with _opened(self.source) as capture:
            if not capture.isOpened():
                raise UserError(
                    f"{self.source}: must be a video that OpenCV reads, got another file (convert it to .mp4, or give "
                    "a folder of its frames)"
                )
            yield capture

    def _video(self) -> Iterator[np.ndarray | None]:
        with self._capture() as capture:
            times, in_a_row = FrameTimes(self.source, capture, self.frame_rate), 0
            while in_a_row <= MOST_DAMAGED:
                read, frame = capture.read()
                if read:
                    if (left_out := times.read()) > MOST_DAMAGED:
                        break
                    yield from [None] * left_out
                    in_a_row = 0
                    yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
                elif times.count + 1 < times.announced:
                    in_a_row += 1
                    times.miss()
                    yield None
                else:
                    break
        if not self._reported:
            self._reported = True
            for fault in times.faults():
                print(fault, file=sys.stderr)

    def _images(self, paths: list[Path]) -> Iterator[np.ndarray | None]:
        for path in paths:
            self._check_unchanged(path)
            try:
                yield np.ascontiguousarray(read_photo(path)[..., :3])
            except UserError:
                yield None


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[cv2.VideoCapture]:
    capture = cv2.VideoCapture(str(path.absolute()))  # FFmpeg takes what precedes a colon for a protocol
    try:
        yield capture
    finally:
        capture.release()


def _check_sizes(paths: list[Path]) -> None:
    first = None
    for path in paths:
        try:
            size = photo_size(path)
        except UserError:
            continue  # damaged: a frame to be bridged
        first = first or (path, size)
        if size != first[1]:
            wanted, got = (f"{width} x {height}" for height, width in (first[1], size))
            raise UserError(f"{path}: the frames must have one size, {wanted} as {first[0].name}, got {got}")


class FrameTracker:
    """Follows one face from frame to frame: the largest face at first, then the one closest to the last position.

    Where that face is missing, a face that was not in the picture before is followed at once, because there was a cut;
    other faces of the picture only after `LOST` frames, because the face may be covered meanwhile.

    Args:
      reader: reader that aligns the face.
    """

    def __init__(self, reader: PhotoReader):
        self.reader = reader
        self._last: Face | None = None
        self._beside: list[Face] = []  # the other faces, when it was last found
        self._missed = 0

    def __call__(self, frame: np.ndarray | None, name: str) -> AlignedPhoto | None:
        """Finds the face in a frame, uint8 [H, W, 3]; None if it is not found or the frame is None."""
        if frame is None:
            self._miss()
            return None
        found = [face for face in detect_faces(frame, refine=False) if face.confidence >= self.reader.min_confidence]
        face = self._choose(found)
        if face is None:
            self._miss()
            return None
        self._last, self._missed = face, 0
        self._beside = [other for other in found if other is not face]
        return self.reader.aligned(name, frame, face)

    def _choose(self, found: list[Face]) -> Face | None:
        last = self._last
        if last is not None:
            near = [face for face in found if _distance(face, last) < REACH * last.box[2]]
            if near:
                return min(near, key=lambda face: _distance(face, last))
            found = [f for f in found if all(_distance(f, other) >= REACH * other.box[2] for other in self._beside)]
        return max(found, key=lambda face: face.area, default=None)

    def _miss(self) -> None:
        self._missed += 1
        if self._missed == LOST:
            self._last = None


def _distance(face: Face, other: Face) -> float:
    return float(np.linalg.norm(face.points.mean(axis=0) - other.points.mean(axis=0)))


def fill_gaps(frames: Iterable[np.ndarray | None]) -> Iterator[np.ndarray]:
    """Replaces each damaged frame by the previous good one; at the start, by the first good one."""
    last, leading = None, 0
    for frame in frames:
        last = last if frame is None else frame
        if last is None:
            leading += 1
            continue
        yield from [last] * (leading + 1)
        leading = 0


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
