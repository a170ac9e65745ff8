"""Fits all coefficients of the face model jointly to aligned crops, from coarse to fine."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from lib.face_image.alignment import FIVE_FROM_68
from lib.face_mesh.surface_points import SurfacePoints
from lib.face_model.coefficients import Coefficients
from lib.geometry.camera import Camera
from lib.geometry.reference import REFERENCE_SIZE
from lib.runtime.graph_optimizer import unoptimized_graphs
from lib.runtime.stored_function import StoredFunction, tensors_of
from model.fitting.energy import (
    FitTargets,
    asymmetry_energy,
    landmark_energy,
    light_energy,
    outline_energy,
    photometric_energy,
    point_energy,
    prior_energy,
)
from model.fitting.light import solve_light
from model.fitting.mesh_term import MeshTerm
from model.fitting.outline import lower_outlines
from model.fitting.surface import Surface, SurfaceSteps, visible_surface, visible_weights
from model.fitting.weights import FitWeights, RegressedErrors, fitting_prior, with_landmarks
from model.morphable_model import MorphableModel

# From coarse to fine: blur of the photo (standard deviation, pixels of 224), factor on the expected colour error, share
# of the steps. Early differences are large because the face is not in place yet, not because of outliers.
LEVELS = ((2.5, 3.0, 0.3), (1.2, 1.7, 0.3), (0.6, 1.0, 0.4))
# Visibility and areas are updated after this many steps.
REFRESH = 10
# Step size of each group relative to fit.learning_rate (in prior standard deviations; radians; decimetres).
STEP = {"identity": 1.0, "expression": 1.0, "albedo": 1.0, "angles": 0.2, "light": 0.3, "translation": 0.2}
TERMS = ("points", "landmarks", "photometric", "outline", "prior", "light", "asymmetry", "mesh", "openings")


@dataclasses.dataclass(frozen=True)
class FitResult:
    """Fitted coefficients [B, K], energies of the last step."""

    coefficients: np.ndarray
    energies: dict[str, np.ndarray]


class Fitter:
    """Fits batches of crops.

    Args:
      model: the face model.
      camera: camera of the crops.
      learning_rate: Adam's largest step in prior standard deviations.
      weights: expected errors and weights of the energy.
      points: the 468 points on the model's surface; None to fit without them.
      graphs: folder where the traced steps for single crops are kept for the next start; None to trace them.
      regressed_errors: expected errors of the regressor's identity [Ki] and albedo [Ka], in standard deviations of the
        prior, for targets that hold its coefficients; None to expect the face model's mean.
    """

    def __init__(
        self,
        model: MorphableModel,
        camera: Camera,
        learning_rate: float = 0.05,
        weights: FitWeights | None = None,
        points: SurfacePoints | None = None,
        graphs: Path | None = None,
        regressed_errors: RegressedErrors | None = None,
    ):
        self.model, self.camera, self.weights = model, camera, weights or FitWeights()
        counts = model.layout.counts
        steps = np.concatenate([np.full(count, learning_rate * STEP[name]) for name, count in counts.items()])
        self._step_sizes = tf.constant(steps, tf.float32)
        self._five = tf.constant(FIVE_FROM_68)
        errors = regressed_errors
        self._identity_error = None if errors is None else tf.constant(errors.identity)
        self._albedo_error = None if errors is None else tf.constant(errors.albedo)
        prior = fitting_prior(model.face_model)
        self._one_sided = tf.constant(prior.one_sided, tf.float32)
        self._expression_sigma = tf.constant(prior.sigma)
        self._sigma_with_landmarks = tf.constant(with_landmarks(prior).sigma)
        self._surface = SurfaceSteps(model, camera, graphs)
        self._mesh = None if points is None else MeshTerm(camera, points, self.weights)
        # Not jit-compiled: that takes 8 s and saves 0.6 s a photo. The code has no Python control flow on tensors, so
        # AutoGraph would only delay the first photo by converting it.
        self._advance = tf.function(self._advance_eagerly, reduce_retracing=True, autograph=False)
        self._advance_one: Callable[..., list[tf.Tensor]] = self._advance
        self._stored: StoredFunction | None = None
        if graphs is not None:
            key = {
                "fitter": type(self).__name__,
                "face model": model.face_model.fingerprint,
                "normals": model.normal_weighting,
                "settings": repr((camera, self.weights, learning_rate)),
            }
            constants = tensors_of("fitter", self) | tensors_of("model", model)
            if self._mesh is not None:
                constants |= tensors_of("mesh", self._mesh)
            self._advance_one = self._stored = StoredFunction("fit", self._advance_eagerly, constants, key, graphs)

    def prepare(self) -> None:
        """Loads the graphs that an earlier start has stored, so that the first single crop need not wait for them.

        It fits a blank crop with zero steps. The half second that this takes passes outside Python, so another thread
        can work meanwhile.
        """
        size = self.camera.image_size[0]
        coefficients = tf.zeros([1, self.model.layout.size])
        blank = FitTargets.blank(size, self._five.shape[1], coefficients, self._mesh is not None)
        targets = dataclasses.replace(blank, inside=None)  # as in `fit`
        zero, surface = tf.constant(0), Surface.blank(self.model, size)
        arguments = (coefficients,) * 3 + (zero, zero, tf.constant(1.0), targets, surface, tf.constant(1.0))
        if self._stored is not None and self._stored.is_stored(*arguments):
            visible_weights(self._surface, coefficients, targets.alpha)
            with unoptimized_graphs():
                self._stored(*arguments)

    def fit(self, targets: FitTargets, initial: np.ndarray | tf.Tensor, steps: int, settled: bool = False) -> FitResult:
        """Refines coefficients.

        The light is solved for first, in closed form, because a wrong one would drive the shape; then all coefficients
        move together.

        Args:
          targets: measurements of the crops.
          initial: [B, K] coefficients that place the faces approximately.
          steps: number of Adam steps.
          settled: `initial` is the result of an earlier fit, so run the finest level only.
        """
        coefficients = tf.convert_to_tensor(initial, tf.float32)
        used = LEVELS[-1:] if settled else LEVELS
        size = self.camera.image_size[0]
        blurs = {level: blurred(targets.image, targets.alpha, level[0], size) for level in used}
        shares = (1,) if settled else [level[2] for level in LEVELS]
        ends = np.round(np.cumsum(shares) * steps)
        first, second = tf.zeros_like(coefficients), tf.zeros_like(coefficients)
        advance = self._advance_one if len(coefficients) == 1 else self._advance
        outlines = lower_outlines(targets.alpha, targets.points, targets.inside)
        targets = dataclasses.replace(targets, inside=None)  # for the outlines alone
        energies: dict[str, tf.Tensor] = {}
        for start in range(0, steps, REFRESH):
            level = used[min(int((start >= ends).sum()), len(used) - 1)]
            surface = visible_surface(self._surface, coefficients, targets.alpha, outlines)
            if start == 0 and not settled:
                coefficients = solve_light(
                    self.model, self.camera, coefficients, blurs[level], surface.weight, self.weights
                )
            count = min(REFRESH, steps - start)
            blurred_targets = dataclasses.replace(targets, image=blurs[level])
            with unoptimized_graphs():  # the optimizer takes a second and gains nothing
                coefficients, first, second, *last = advance(
                    coefficients,
                    first,
                    second,
                    tf.constant(start),
                    tf.constant(count),
                    tf.constant(float(steps)),
                    blurred_targets,
                    surface,
                    tf.constant(level[1]),
                )
            energies = dict(zip(TERMS, last, strict=True))
        return FitResult(coefficients.numpy(), {name: e.numpy() for name, e in energies.items()})

    def shared_gradient(self, slope: tf.Tensor) -> tf.Tensor:
        """Gradient [B, K] to follow; here it is unchanged, because the crops share no coefficients."""
        return slope

    def five_points(self, landmarks: tf.Tensor) -> tf.Tensor:
        """Landmarks [B, 68, C] to the detector's five points [B, 5, C]."""
        return self._five @ landmarks

    def energies(
        self, coefficients: tf.Tensor, targets: FitTargets, surface: Surface, colour_factor: float | tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """All terms of the energy, [B] each; `colour_factor` scales the expected colour error."""
        settings, size, pairs = self.weights, self.camera.image_size[0], surface.pairs
        posed = self.model.posed(coefficients, self.camera)
        five = self.five_points(posed.landmarks)
        points = self.camera.project(posed.vertices)
        colour = posed.albedo * posed.shading
        point_sigma = settings.point_sigma if targets.point_sigma is None else targets.point_sigma[:, None, None]
        return {
            "points": point_energy(five, targets.points, size, point_sigma),
            "landmarks": landmark_energy(
                posed.landmarks, targets.landmarks, targets.landmark_weight, size, settings.regressed_sigma
            ),
            "photometric": photometric_energy(
                colour,
                targets.image,
                points,
                surface.weight,
                settings.colour_sigma * colour_factor,
                settings.observations,
            ),
            "outline": settings.outline_observations
            * outline_energy(
                tf.gather(points, pairs.vertices, batch_dims=1),
                pairs.points,
                pairs.outwards,
                pairs.weight,
                size,
                settings.outline_sigma,
            ),
            "prior": self.prior(posed.coefficients, targets, self.prior_share(coefficients)),
            "light": light_energy(posed.coefficients.light),
            "asymmetry": asymmetry_energy(
                posed.albedo, self.model.symmetric_pairs, settings.asymmetry_sigma, settings.observations / 4
            ),
            **self.mesh_energies(posed.vertices, targets),
        }

    def prior_share(self, coefficients: tf.Tensor) -> float | tf.Tensor:
        """Share of the priors of identity and albedo that each crop carries; here all of them."""
        return 1.0

    def prior(self, parts: Coefficients, targets: FitTargets, share: float | tf.Tensor = 1.0) -> tf.Tensor:
        """Prior energy [B] of the coefficients; where the mouth is seen, it does not favour closed lips.

        Args:
          share: of the priors of identity and albedo.
        """
        sigma = self._expression_sigma
        if targets.mouth_seen is not None:
            sigma = tf.where(targets.mouth_seen[:, None], self._sigma_with_landmarks, sigma)
        identity, albedo = parts.identity, parts.albedo
        if self._identity_error is not None and targets.regressed is not None:
            expected = self.model.layout.split(targets.regressed)
            identity = (identity - expected.identity) / self._identity_error
            albedo = (albedo - expected.albedo) / self._albedo_error
        parts = dataclasses.replace(parts, identity=tf.sqrt(share) * identity, albedo=tf.sqrt(share) * albedo)
        return prior_energy(parts, self._one_sided, sigma)

    def mesh_energies(self, vertices: tf.Tensor, targets: FitTargets) -> dict[str, tf.Tensor]:
        """Energy terms of the 468 points, [B] each; 0 without points."""
        if self._mesh is None or targets.mesh is None:
            return dict.fromkeys(("mesh", "openings"), tf.zeros_like(vertices[:, 0, 0]))
        return self._mesh(vertices, targets.mesh, targets.mesh_weight)

    def _advance_eagerly(
        self, coefficients, first, second, start, count, total, targets, surface, colour_factor
    ) -> list[tf.Tensor]:
        """Makes `count` Adam steps; the learning rate falls by half a cosine over `total` steps.

        Returns:
          Coefficients, both moments of the gradient, and the last step's energies in the order of `TERMS`.
        """
        beta1, beta2 = 0.9, 0.99

        def gradient(values):
            with tf.GradientTape() as tape:
                tape.watch(values)
                terms = self.energies(values, targets, surface, colour_factor)
                energy = tf.reduce_sum(tf.add_n(list(terms.values())))
            return self.shared_gradient(tape.gradient(energy, values)), terms

        def body(index, values, first, second, _):
            slope, terms = gradient(values)
            first = beta1 * first + (1 - beta1) * slope
            second = beta2 * second + (1 - beta2) * tf.square(slope)
            time = tf.cast(start + index + 1, tf.float32)
            corrected = first / (1 - beta1**time) / (tf.sqrt(second / (1 - beta2**time)) + 1e-8)
            rate = 0.03 + 0.97 * 0.5 * (1 + tf.cos(np.pi * (time - 1) / total))
            return index + 1, values - rate * self._step_sizes * corrected, first, second, terms

        terms = dict.fromkeys(TERMS, tf.zeros_like(coefficients[:, 0]))
        _, coefficients, first, second, terms = tf.while_loop(
            lambda index, *_: index < count, body, (tf.constant(0), coefficients, first, second, terms)
        )
        return [coefficients, first, second, *(terms[name] for name in TERMS)]


def blurred(image: tf.Tensor, alpha: tf.Tensor, sigma: float, image_size: int) -> tf.Tensor:
    """Blurs an image [B, H, W, 3] inside its mask [B, H, W, 1], so that colours from outside do not bleed in.

    Args:
      sigma: standard deviation in pixels of a 224 crop.
      image_size: side of `image`.
    """
    sigma = sigma * image_size / REFERENCE_SIZE
    radius = max(int(np.ceil(2.5 * sigma)), 1)
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    kernel = tf.constant((kernel / kernel.sum())[:, None, None, None] * np.ones([1, 1, 4, 1]), tf.float32)
    stacked = tf.concat([image * alpha, alpha], axis=-1)
    stacked = tf.nn.depthwise_conv2d(stacked, kernel, [1, 1, 1, 1], "SAME")
    stacked = tf.nn.depthwise_conv2d(stacked, tf.transpose(kernel, [1, 0, 2, 3]), [1, 1, 1, 1], "SAME")
    weight = stacked[..., 3:]
    return tf.where(weight > 1e-3, stacked[..., :3] / tf.maximum(weight, 1e-3), image)
