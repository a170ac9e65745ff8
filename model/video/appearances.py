"""Appearances of faces in a video: when a face is there without a cut, and whether it is the same person's."""

from dataclasses import dataclass, replace

import numpy as np

# Between two detections, the same face can move by at most this many of its widths.
REACH = 0.7
# After this many frames without it, a face has left the picture; until then it is covered or missed.
LOST = 12
# Smallest cosine of the identity embeddings of one person before and after a gap in which the face stayed in its place,
# and of two appearances elsewhere. Frames of one shot have 0.99, two photos of a person 0.68 in the mean, two people 0
# in the mean and 0.6 if they look much alike. After a cut, only the same face in similar light is the same person.
SAME_PLACE, ELSEWHERE = 0.3, 0.75


@dataclass(frozen=True)
class Appearance:
    """A face that stays in the picture, with gaps of fewer than `LOST` frames.

    Attributes:
      frames: [n] the frames in which it was found, increasing.
      embedding: [E] its mean identity embedding, of length 1.
    """

    frames: np.ndarray
    embedding: np.ndarray

    def among(self, frames: np.ndarray) -> "Appearance":
        """The appearance in those of its frames that are among `frames` [n]."""
        return replace(self, frames=self.frames[np.isin(self.frames, frames)])

    @property
    def span(self) -> slice:
        """All frames from its first to its last."""
        return slice(int(self.frames[0]), int(self.frames[-1]) + 1)


def find_appearances(
    frames: np.ndarray, centres: np.ndarray, widths: np.ndarray, embeddings: np.ndarray
) -> list[Appearance]:
    """Divides the detections of one tracker at cuts.

    Args:
      frames: [n] numbers of the frames with a face, increasing.
      centres: [n, 2] of the face, pixels of the frame.
      widths: [n] of the face, pixels.
      embeddings: [n, E] identity embeddings.
    """
    embeddings = embeddings / np.maximum(np.linalg.norm(embeddings, axis=1, keepdims=True), 1e-9)
    starts = [0]
    for row in range(1, len(frames)):
        missed = frames[row] - frames[row - 1] - 1
        moved = np.linalg.norm(centres[row] - centres[row - 1])
        alike = missed == 0 or embeddings[row] @ embeddings[row - 1] >= SAME_PLACE
        if missed >= LOST or moved >= REACH * widths[row - 1] or not alike:
            starts.append(row)
    found = []
    for rows in np.split(np.arange(len(frames)), starts[1:]):
        mean = embeddings[rows].mean(axis=0)
        found.append(Appearance(frames[rows], mean / max(np.linalg.norm(mean), 1e-9)))
    return found


def main_person(appearances: list[Appearance]) -> list[Appearance]:
    """The appearances of the person who is found in most frames."""

    def of(one: Appearance) -> list[Appearance]:
        return [other for other in appearances if other is one or other.embedding @ one.embedding >= ELSEWHERE]

    return max(map(of, appearances), key=lambda person: sum(len(appearance.frames) for appearance in person))
