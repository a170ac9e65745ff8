"""Estimates one identity and one albedo from any number of photos or frames of a person, in bounded memory."""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TypeVar

import numpy as np
import tensorflow as tf

from lib.files.disk_list import DiskList
from model.fitting.person import PersonFitter, shared_slots, with_shared_mean
from model.person.similarity import Similarity
from model.photos.errors import photo_barrier
from model.reconstruction.draft import Draft, fit_targets
from model.reconstruction.face_reconstructor import FaceReconstructor

Item = TypeVar("Item")

# Number of crops fitted as one batch.
BATCH = 8
# Largest number of photos in the joint fit; if there are more, those with the most different poses are used.
JOINT_PHOTOS = 8
# Steps of the joint fit, as a share of fit.steps. It is stopped early: its minimum is worse than its start, because
# shadows, hair and glasses mislead a photo with many pixels at once.
JOINT_STEPS = 1 / 3
# Errors of landmarks, both the regressor's and the 468, are correlated between a person's photos; errors of colour are
# not.
JOINT_WEIGHTS = {"regressed_sigma": 6.0, "mesh_observations": 25.0, "observations": 1000.0, "colour_sigma": 0.04}


class PersonEstimator:
    """Fits the photos of a person in three stages.

    Each photo is fitted alone; then some of them are fitted jointly for the shared identity and albedo; then each photo
    is fitted again with those fixed. The joint fit starts from the robust mean of the regressed identities. If the
    regressor's errors are unknown, it starts from the average of that and the mean of the fitted identities. Size and
    position of the head stay as at the start: a fit would trade them against the camera's distance, which photos do not
    determine, whereas the regressor has learned which size is typical. `python -m benchmarks.same_person` measures each
    stage.

    Args:
      reconstruct: estimates and fits single photos. If its `steps` are 0, the result is the robust mean of the
        regressed coefficients.
    """

    def __init__(self, reconstruct: FaceReconstructor):
        self.reconstruct = reconstruct
        pipeline = reconstruct.pipeline
        model = (pipeline.face_gcn.morphable, pipeline.camera, reconstruct.learning_rate)
        weights = reconstruct.weights
        errors = pipeline.regressed_errors
        joint = dataclasses.replace(weights, **JOINT_WEIGHTS)
        self._together = PersonFitter(*model, joint, reconstruct.mesh, errors)
        self._frozen = PersonFitter(*model, weights, reconstruct.mesh, errors, frozen=True)
        self._layout = pipeline.face_model.layout
        self._similarity = Similarity(pipeline.face_model)

    def fit_each(self, drafts: list[Draft]) -> list[Draft]:
        """Fits each draft of a batch independently."""
        return self.reconstruct.fit(drafts, self.reconstruct.fitter) if self.reconstruct.steps else drafts

    def fit_shared(self, gallery: "Gallery") -> np.ndarray:
        """Fits the person's identity and albedo jointly to photos that were fitted alone.

        Returns:
          [K] coefficients; those that photos do not share are one photo's.
        """
        layout, steps = self._layout, round(JOINT_STEPS * self.reconstruct.steps)
        coefficients, regressed = gallery.coefficients, gallery.regressed
        start = with_shared_mean(layout, coefficients)
        if not steps:
            return start[0]
        identity, known = layout.slices["identity"], self.reconstruct.pipeline.regressed_errors is not None
        share = 1.0 if known else 0.5
        start[:, identity] += share * (with_shared_mean(layout, regressed) - start)[:, identity]
        chosen = spread(layout.split(coefficients).angles, JOINT_PHOTOS)
        pipeline, together = self.reconstruct.pipeline, self._together
        weak = pipeline.face_gcn.morphable.posed(tf.constant(regressed[chosen]), pipeline.camera).landmarks
        # With the weights of the joint fit, in which landmarks of the user are as exact as in that of a single photo.
        targets = fit_targets([gallery.drafts[index] for index in chosen], weak, together.weights, regressed[chosen])
        found = np.array(together.fit(targets, start[chosen], steps, settled=True).coefficients[0])
        found[identity] = self._similarity.taken_from(found[identity], start[0, identity])
        return found

    def fit_with_identity(self, shared: np.ndarray, drafts: list[Draft]) -> list[Draft]:
        """Fits a batch of drafts with identity and albedo fixed to those of `shared` [K]."""
        slots = shared_slots(self._layout)
        drafts = [
            dataclasses.replace(draft, coefficients=np.where(slots, shared, draft.coefficients)) for draft in drafts
        ]
        return self.reconstruct.fit(drafts, self._frozen) if self.reconstruct.steps else drafts


class Gallery:
    """Drafts of one person's photos; the drafts are on disk, their coefficients in memory."""

    def __init__(self):
        self.drafts: DiskList[Draft] = DiskList()
        self._coefficients: list[np.ndarray] = []
        self._regressed: list[np.ndarray] = []

    def __len__(self) -> int:
        return len(self.drafts)

    def append(self, draft: Draft) -> None:
        """Stores a draft."""
        self.drafts.append(draft)
        self._coefficients.append(draft.coefficients)
        self._regressed.append(draft.regressed)

    @property
    def coefficients(self) -> np.ndarray:
        """Fitted coefficients [P, K]."""
        return np.stack(self._coefficients)

    @property
    def regressed(self) -> np.ndarray:
        """Regressed coefficients [P, K]."""
        return np.stack(self._regressed)


def fit_apart(
    fit: Callable[[list[Draft]], list[Draft]], drafts: list[Draft], fail: Callable[[int, Exception], None]
) -> list[Draft | None]:
    """Fits a batch; if that fails, each draft alone, so that a bad one does not cost the others.

    Args:
      fit: fits a list of drafts independently.
      drafts: the batch.
      fail: takes the position of a draft that cannot be fitted, and the reason.

    Returns:
      The fitted drafts, with None in place of those that cannot be fitted.
    """
    with photo_barrier(lambda _: None):  # whoever is to blame fails again, alone
        return [*fit(drafts)]
    apart: list[Draft | None] = []
    for position, draft in enumerate(drafts):
        fitted = None
        with photo_barrier(functools.partial(fail, position)):
            (fitted,) = fit([draft])
        apart.append(fitted)
    return apart


def spread(angles: np.ndarray, count: int) -> np.ndarray:
    """Indices of up to `count` photos whose head poses [T, 3] differ most, the most frontal photo first."""
    chosen = [int(np.linalg.norm(angles, axis=1).argmin())]
    distance = np.full(len(angles), np.inf)
    order = np.linspace(0, 0.1, len(angles))[:, None]  # for a still head: prefer photos far apart in time
    places = np.concatenate([angles, order], axis=1)
    while len(chosen) < min(count, len(angles)):
        distance = np.minimum(distance, np.linalg.norm(places - places[chosen[-1]], axis=1))
        distance[chosen] = -1
        chosen.append(int(distance.argmax()))
    return np.array(chosen)


def batches(items: Iterable[Item], size: int = BATCH) -> Iterator[list[Item]]:
    """Groups the items into lists of `size`; the last list may be shorter."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
