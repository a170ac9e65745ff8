"""Reads the frames of a video, and follows a face from frame to frame."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from lib.errors import UserError
from lib.face_image.detection import Face, detect_faces
from lib.face_image.photo_io import photo_paths, photo_size, read_sized
from lib.files.file_names import by_numbers
from model.photos.reader import AlignedPhoto, FoundFaces, PhotoReader
from model.photos.unchanged import UnchangedFiles
from model.video.appearances import LOST, REACH
from model.video.frame_times import FrameTimes, Rate, video_rate
from model.video.video_file import check_moving, check_rate, open_video, square_size

# Frames in a row that may be damaged; then the video ends, because a damaged header may announce billions.
MOST_DAMAGED = 10_000
# Damaged images of a folder that are named: none may be readable, for lack of a package.
NAMED = 10
# States of a frame number; END is behind the last frame.
READABLE, DAMAGED, END = "a readable frame", "a damaged or missing frame", "no frame"


class FrameSource:
    """Frames of a video file or a folder, uint8 [H, W, 3] RGB; can be iterated repeatedly.

    A damaged frame is returned as None, so that later frames keep their positions; damaged frames at the end are
    dropped. The first damaged images of a folder are reported once, as is a video that was cut off, as by an
    interrupted download, or lacks frames. Frames whose pixels are not square are enlarged.

    Iterating raises UserError if the file or a frame is not as it was before: it was deleted or replaced.

    Args:
      source: a file that OpenCV can read, or a folder of images of equal size, ordered by name (frame2, frame10).
      frame_rate: Hz, used if the source does not specify it.
      skip: a folder within `source` to ignore.

    Attributes:
      frame_rate: Hz.
      seconds: [T] time of each frame that was read, from 0, increasing.
      ratio: [2] by how much the images in their files are larger than the frames, in x and y; known once one was read.

    Raises:
      UserError: OpenCV cannot read the file, it is a photo, its frame rate is too low or too high for a video to be
        written, or the folder holds no images, or images of different sizes.
    """

    def __init__(self, source: Path, frame_rate: float, skip: Path | None = None):
        self.source = source
        self.seconds: list[float] = []
        self.ratio = np.ones(2)
        self._unchanged = UnchangedFiles()
        # Of a folder's images; None for a video.
        self.paths: list[Path] | None = None
        self._rate = Rate(frame_rate, timed=False, measured=False)
        if source.is_dir():
            self.paths = sorted(photo_paths(source, skip), key=lambda path: by_numbers(path.as_posix()))
            _check_sizes(self.paths)
        else:
            self._unchanged.check(source)
            check_moving(source)
            with open_video(source) as capture:
                self._rate = video_rate(source, capture, frame_rate)
            check_rate(source, self._rate.hertz)
        self.frame_rate = self._rate.hertz
        self._reported = False
        self._states: list[str] = []  # of the frames that were read before

    def __iter__(self) -> Iterator[np.ndarray | None]:
        damaged = number = 0
        timed = self._video() if self.paths is None else self._images(self.paths)
        for number, (frame, seconds) in enumerate(timed, 1):
            self._compare(number - 1, DAMAGED if frame is None else READABLE, seconds)
            if frame is None:
                damaged += 1
                continue
            yield from [None] * damaged
            damaged = 0
            yield frame
        self._compare(number, END)

    def _compare(self, number: int, state: str, seconds: float | None = None) -> None:
        """Keeps state and time of a frame; raises UserError if the state was another one before."""
        if number == len(self._states):
            self._states.append(state)
            if seconds is not None:
                self.seconds.append(seconds)
        elif self._states[number] != state:
            got = f"{state} as frame {number}, {self._states[number]} before"
            raise UserError(f"{self.source}: must stay as it is during the run, got {got} (run the same command again)")

    def _video(self) -> Iterator[tuple[np.ndarray | None, float]]:
        self._unchanged.check(self.source)
        with open_video(self.source) as capture:
            times, in_a_row = FrameTimes(self.source, capture, self._rate), 0
            wider, higher = square_size(capture)
            while in_a_row <= MOST_DAMAGED:
                read, frame = capture.read()
                if read:
                    if (left_out := times.left_out()) > MOST_DAMAGED:
                        break
                    for _ in range(left_out):
                        yield None, times.miss()
                    in_a_row = 0
                    if (wider, higher) != (1, 1):
                        frame = cv2.resize(frame, None, fx=wider, fy=higher, interpolation=cv2.INTER_LINEAR)
                    yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), times.read()
                elif times.count + 1 < times.announced:
                    in_a_row += 1
                    yield None, times.miss()
                else:
                    break
        if not self._reported:
            self._reported = True
            for fault in times.faults():
                print(fault, file=sys.stderr)

    def _images(self, paths: list[Path]) -> Iterator[tuple[np.ndarray | None, float]]:
        named = 0
        for number, path in enumerate(paths):
            self._unchanged.check(path)
            frame = None
            try:
                pixels, size = read_sized(path)
            except UserError as error:
                named += 1
                if number == len(self._states) and named <= NAMED:  # not before
                    tqdm.write(f"{error}; the frame counts as damaged", file=sys.stderr)
            else:
                frame, self.ratio = np.ascontiguousarray(pixels[..., :3]), np.array(size[::-1]) / pixels.shape[1::-1]
            yield frame, number / self.frame_rate


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
        return self.reader.aligned(name, FoundFaces(frame, [face]), face)

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
