"""One identity and one albedo from many photos or frames of a person, a bounded number of them in memory."""

import dataclasses
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

import numpy as np

from lib.files.disk_list import DiskList
from model.fitting.fitter import FitWeights
from model.fitting.person import PersonFitter, shared_slots, with_shared_mean
from model.fitting.similarity import Similarity
from model.reconstruction.face_reconstructor import Draft, FaceReconstructor

Item = TypeVar("Item")

# Crops fitted as one batch.
BATCH = 8
# Photos whose energies are added; of more, those whose poses lie farthest apart.
JOINT_PHOTOS = 8
# Steps of the fit of all photos together, as a share of fit.steps. It is stopped early: run to its minimum it is worse
# than its start, because what misleads a photo (shadows, hair, glasses) misleads it with many pixels at once.
JOINT_STEPS = 1 / 3
# The landmarks are the regressor's, whose errors a person's photos have in common; colours err each in its own way.
JOINT_WEIGHTS = FitWeights(landmark_sigma=6.0, observations=1000.0, colour_sigma=0.04)


class PersonEstimator:
    """Fits the photos of a person: each by itself, some together for what they share, then each around that.

    The start of the joint fit is the mean of the photos' robust means as regressed and as fitted: the two err
    differently. Size and place of the head stay as they are at the start: a fit trades them for the camera's distance,
    which no photo reveals; the regressor has learned which size goes with such a face. `python -m
    benchmarks.same_person` measures each stage.

    Args:
      reconstruct: guesses and fits single photos. Its `steps` of 0 leave the robust mean of what was regressed.
    """

    def __init__(self, reconstruct: FaceReconstructor):
        self.reconstruct = reconstruct
        pipeline = reconstruct.pipeline
        model = (pipeline.face_gcn.morphable, pipeline.camera, reconstruct.learning_rate)
        self._together = PersonFitter(*model, JOINT_WEIGHTS)
        self._frozen = PersonFitter(*model, frozen=True)
        self._layout = pipeline.face_model.layout
        self._similarity = Similarity(pipeline.face_model)

    def fit_each(self, drafts: list[Draft]) -> list[Draft]:
        """A batch of drafts, each fitted by itself."""
        return self.reconstruct.fit(drafts, self.reconstruct.fitter) if self.reconstruct.steps else drafts

    def fit_shared(self, gallery: "Gallery") -> np.ndarray:
        """Identity and albedo of the person whose photos were fitted alone; [K], the other slots are one photo's."""
        layout, steps = self._layout, round(JOINT_STEPS * self.reconstruct.steps)
        coefficients, regressed = gallery.coefficients, gallery.regressed
        start = with_shared_mean(layout, coefficients)
        if not steps:
            return start[0]
        identity = layout.slices["identity"]
        start[:, identity] = 0.5 * (start[:, identity] + with_shared_mean(layout, regressed)[:, identity])
        chosen = spread(layout.split(coefficients).angles, JOINT_PHOTOS)
        targets = self.reconstruct.targets([gallery.drafts[index] for index in chosen], regressed[chosen])
        found = np.array(self._together.fit(targets, start[chosen], steps, settled=True).coefficients[0])
        found[identity] = self._similarity.taken_from(found[identity], start[0, identity])
        return found

    def fit_with_identity(self, shared: np.ndarray, drafts: list[Draft]) -> list[Draft]:
        """A batch of drafts fitted with identity and albedo of `shared` [K]."""
        slots = shared_slots(self._layout)
        drafts = [
            dataclasses.replace(draft, coefficients=np.where(slots, shared, draft.coefficients)) for draft in drafts
        ]
        return self.reconstruct.fit(drafts, self._frozen) if self.reconstruct.steps else drafts


class Gallery:
    """Drafts of one person's photos on disk, their coefficients in memory."""

    def __init__(self):
        self.drafts: DiskList[Draft] = DiskList()
        self._coefficients: list[np.ndarray] = []
        self._regressed: list[np.ndarray] = []

    def __len__(self) -> int:
        return len(self.drafts)

    def append(self, draft: Draft) -> None:
        """Keeps a draft."""
        self.drafts.append(draft)
        self._coefficients.append(draft.coefficients)
        self._regressed.append(draft.regressed)

    @property
    def coefficients(self) -> np.ndarray:
        """[P, K] as fitted."""
        return np.stack(self._coefficients)

    @property
    def regressed(self) -> np.ndarray:
        """[P, K] as regressed."""
        return np.stack(self._regressed)


def spread(angles: np.ndarray, count: int) -> np.ndarray:
    """Indices of up to `count` photos whose head poses [T, 3] lie farthest apart, the most frontal one first."""
    chosen = [int(np.linalg.norm(angles, axis=1).argmin())]
    distance = np.full(len(angles), np.inf)
    order = np.linspace(0, 0.1, len(angles))[:, None]  # a still head: photos far apart in time
    places = np.concatenate([angles, order], axis=1)
    while len(chosen) < min(count, len(angles)):
        distance = np.minimum(distance, np.linalg.norm(places - places[chosen[-1]], axis=1))
        distance[chosen] = -1
        chosen.append(int(distance.argmax()))
    return np.array(chosen)


def batches(items: Iterable[Item], size: int = BATCH) -> Iterator[list[Item]]:
    """The items in lists of `size`, the last one shorter."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
