"""Procedural synthetic photos of faces with exact ground truth, from any face model.

faces = SyntheticFaces(load_face_model())
face = faces.sample(17)
face.image, face.alpha, face.coefficients
"""

from dataclasses import dataclass

import numpy as np

from lib.face_model.coefficients import Coefficients
from lib.face_model.face_model import FaceModel
from lib.geometry.camera import Camera
from lib.geometry.reference import REFERENCE_SIZE
from lib.images.display import to_bytes
from lib.synthetic.appearance.canonical import CanonicalFace
from lib.synthetic.appearance.head import Head
from lib.synthetic.appearance.sampling_priors import Moment, Person, ToneAxis, sample_moment, sample_person
from lib.synthetic.appearance.skin_detail import FIELDS, broad_fields, paint
from lib.synthetic.occlusion.covers import sample_covers
from lib.synthetic.rendering import compiled
from lib.synthetic.rendering.imaging import develop
from lib.synthetic.rendering.lights import sample_light
from lib.synthetic.rendering.photo_renderer import PhotoRenderer
from lib.synthetic.rendering.placement import detected_points, five_points, place
from lib.synthetic.rendering.scene import PhotoSettings, Scene

# Separate streams of random numbers, so that adding one kind of choice does not change the others.
_PERSON, _MOMENT, _LIGHT, _SCENE, _CAMERA, _COVERS = range(6)


@dataclass(frozen=True)
class SyntheticFace:
    """One photo with its ground truth.

    Attributes:
      image: uint8 [H, W, 3] RGB, cropped as by five-point alignment.
      alpha: uint8 [H, W] 255 where the face model's surface is visible, 0 elsewhere and on occluders.
      occluder: bool [H, W] hair, glasses and other objects in front of the face.
      coefficients: float32 [K], exact for this crop and the project's camera.
      identity_id: number of the person.
      true_albedo: float32 [N, 3] RGB, including detail.
      shading: float32 [N, 3] of the spherical-harmonics light only.
      landmarks: float32 [68, 2] pixels (x right, y down, pixel edges).
      landmark_visible: bool [68] neither turned away nor covered.
      five_points: float32 [5, 2] simulated detections, including errors; the crop is aligned on them.
      linear: float32 [H, W, 3] the image before the simulated camera.
    """

    image: np.ndarray
    alpha: np.ndarray
    occluder: np.ndarray
    coefficients: np.ndarray
    identity_id: int
    true_albedo: np.ndarray
    shading: np.ndarray
    landmarks: np.ndarray
    landmark_visible: np.ndarray
    five_points: np.ndarray
    linear: np.ndarray


def check_renderable(face_model: FaceModel) -> None:
    """Raises UserError if no photos can be rendered of a face model, faster than by rendering one."""
    Head(CanonicalFace(face_model), face_model)
    ToneAxis.of(face_model)


class SyntheticFaces:
    """An endless, reproducible collection of synthetic photos.

    Args:
      face_model: any model; more named regions give more detail.
      image_size: side in pixels.
      seed: seed of the collection.
      settings: contents of the photos.

    Raises:
      UserError: the face model has no border, or no skin at its front.
      ValueError: image_size too small to show a face.
    """

    def __init__(
        self,
        face_model: FaceModel,
        image_size: int = REFERENCE_SIZE,
        seed: int = 0,
        settings: PhotoSettings | None = None,
    ):
        if image_size < 16:
            raise ValueError(f"image_size must be at least 16 pixels, got {image_size}")
        self.model, self.size, self.seed = face_model, image_size, seed
        self.settings = settings or PhotoSettings()
        self.camera = Camera((image_size, image_size))
        self.face = CanonicalFace(face_model)
        self._tones = ToneAxis.of(face_model)
        self._template = five_points(face_model.mean_shape[face_model.landmarks].astype(np.float64))
        self._renderer = PhotoRenderer(face_model, self.face, self.camera, self.settings)

    def identity_of(self, index: int) -> int:
        """The person that photo `index` shows."""
        return index // self.settings.photos_per_identity

    def person(self, identity_id: int) -> Person:
        """The properties that all photos of a person share."""
        return sample_person(self._generator(_PERSON, identity_id), self.model, self._tones, self.face.points)

    def moment(self, index: int) -> Moment:
        """The properties of photo `index` alone: expression, pose, hair."""
        return sample_moment(self._generator(_MOMENT, index), self.model, self.person(self.identity_of(index)))

    def sample(self, index: int) -> SyntheticFace:
        """Photo `index`: a pure function of (seed, index) and the constructor's arguments.

        Raises:
          ValueError: negative index.
        """
        if index < 0:
            raise ValueError(f"index must not be negative, got {index}")
        model, identity_id = self.model, self.identity_of(index)
        person = self.person(identity_id)
        moment, covers = self.moment(index), None
        if self.settings.covers:
            covers = sample_covers(self._generator(_COVERS, index), moment)
            moment = covers.dressed(moment)
        light = sample_light(self._generator(_LIGHT, index), person.tone)
        shape = model.mean_shape + np.tensordot(person.identity, model.identity_basis, 1)
        shape = shape + np.tensordot(moment.expression, model.expression_basis, 1)
        rotation = compiled.rotation(moment.angles)
        turned = shape @ rotation
        five = five_points(turned[model.landmarks])
        translation = place(five, self._template, moment.jitter, self.camera)
        coefficients = model.layout.join(
            Coefficients(
                person.identity, moment.expression, person.albedo, moment.angles, light.coefficients, translation
            )
        ).astype(np.float32)
        vertices = turned + translation
        normals = compiled.normals(vertices, model.triangles)
        shading = compiled.shading(normals, light.coefficients)
        coarse = (model.mean_albedo + np.tensordot(person.albedo, model.albedo_basis, 1)).astype(np.float32)
        if self.settings.detail:
            fields = broad_fields(self.face.points, person)
            albedo, _ = paint(self.face, self.face.points, coarse, self.face.regions, fields, person, moment)
        else:
            fields, albedo = np.zeros((len(coarse), FIELDS), np.float32), coarse
        scene = Scene(
            person=person, moment=moment, light=light, shape=shape, rotation=rotation, translation=translation,
            vertices=vertices, normals=normals, shading=shading, coarse=coarse, fields=fields,
        )  # fmt: skip
        picture = self._renderer.render(scene, self._generator(_SCENE, index), covers)
        image = (
            develop(picture.image, self._generator(_CAMERA, index))
            if self.settings.imaging
            else to_bytes(picture.image)
        )
        landmarks = compiled.project(self.camera, vertices[model.landmarks])
        return SyntheticFace(
            image=image,
            alpha=picture.alpha,
            occluder=picture.occluder,
            coefficients=coefficients,
            identity_id=identity_id,
            true_albedo=albedo.astype(np.float32),
            shading=shading.astype(np.float32),
            landmarks=landmarks.astype(np.float32),
            landmark_visible=picture.visible_at(landmarks, self.camera.distance - vertices[model.landmarks, 2]),
            five_points=detected_points(five + translation, moment.jitter, self.camera).astype(np.float32),
            linear=picture.image,
        )

    def _generator(self, stream: int, number: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, stream, number])
