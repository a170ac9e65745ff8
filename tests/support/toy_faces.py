"""Faces for tests, in the form of lib.synthetic.photos: any face model, drawn plainly; and a run's folder of them."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import tensorflow as tf

from configs import schema
from lib.face_model.coefficients import Coefficients
from lib.face_model.face_model import FaceModel
from lib.geometry.camera import Camera
from lib.mesh_renderer.fragments import interpolate, rasterize
from lib.records.record_writer import RecordWriter
from lib.records.splits import save_split
from model.morphable_model import MorphableModel
from model.networks.identity import build_identity_network
from model.networks.regressor import build_regressor
from model.weights.pretrained import save_weights
from tests.support.golden_face import golden_face_model
from utils import seed_everything

PICTURES = 3  # of each person


class ToyFaces:
    """Draws faces of random coefficients on a grey background; everything follows from (seed, index)."""

    def __init__(self, face_model, image_size: int, seed: int):
        self.model, self.seed = MorphableModel(face_model), seed
        self.camera = Camera((image_size, image_size))

    def sample(self, index: int) -> SimpleNamespace:
        layout, person = self.model.layout, index // PICTURES
        people, pictures = np.random.default_rng([self.seed, 0, person]), np.random.default_rng([self.seed, 1, index])
        coefficients = layout.join(
            Coefficients(
                identity=people.normal(size=layout.identity).astype(np.float32),
                expression=pictures.normal(size=layout.expression).astype(np.float32),
                albedo=people.normal(size=layout.albedo).astype(np.float32),
                angles=pictures.normal(0, 0.2, 3).astype(np.float32),
                light=pictures.normal(0, 0.1, 27).astype(np.float32),
                translation=pictures.normal(0, 0.1, 3).astype(np.float32),
            )
        )
        face = self.model.posed(coefficients[None], self.camera)
        fragments = rasterize(self.camera.clip_coordinates(face.vertices), self.model.triangles, self.camera.image_size)
        image = interpolate(face.albedo * face.shading, self.model.triangles, fragments) + 0.5 * (1 - fragments.mask)
        return SimpleNamespace(
            image=np.uint8(np.clip(np.asarray(image[0]), 0, 1) * 255),
            alpha=np.uint8(np.asarray(fragments.mask[0, ..., 0]) * 255),
            coefficients=coefficients,
            identity_id=person,
            landmarks=np.asarray(tf.squeeze(face.landmarks, 0)),
        )


def toy_configuration(folder: Path, size: int, **overrides) -> schema.Config:
    """The smallest networks for crops of `size`, all files below `folder`; overrides are section__key=value."""
    small = {
        "data.root_dir": str(folder), "data.image_size": size, "data.workers": 1,
        "face_model.source": str(folder / "face.npz"), "texture.factors": [3, 3, 3, 3], "texture.nz": 8,
        "regressor.width": 4, "regressor.image_size": 32, "regressor.weights": str(folder / "regressor.npz"),
        "identity.width": 4, "identity.image_size": 32, "identity.embedding": 16,
        "identity.weights": str(folder / "identity.npz"),
    }  # fmt: skip
    return schema.load(overrides=small | {key.replace("__", "."): value for key, value in overrides.items()})


def save_toy_model(config: schema.Config) -> FaceModel:
    """Writes the golden face model and untrained networks where `config` looks for them; returns the face model."""
    face_model = golden_face_model()
    face_model.save(Path(config.face_model.source))
    seed_everything(0)
    save_untrained_networks(config, face_model)
    return face_model


def save_toy_records(config: schema.Config, faces: ToyFaces, count: int) -> None:
    """Packs `count` crops, at least 10, and splits them: six for training, three for validation, the rest for tests."""
    names, size = [f"{i}.png" for i in range(count)], config.data.image_size
    with RecordWriter(config.records_path, (size, size, 4)) as writer:
        for index, name in enumerate(names):
            face = faces.sample(index)
            writer.append(np.dstack([face.image, face.alpha]), name)
    save_split(config.params_dir, {"train": names[:6], "val": names[6:9], "test": names[9:]})


def save_toy_root(config: schema.Config, count: int) -> None:
    """Writes all that a training needs: face model, untrained networks, and `count` packed and split crops."""
    save_toy_records(config, ToyFaces(save_toy_model(config), config.data.image_size, 3), count)


def save_untrained_networks(config: schema.Config, face_model: FaceModel) -> None:
    """Regressor and identity network of a configuration, as --mode pretrain would leave them before any update."""
    for section, network in (
        (config.regressor, build_regressor(config.regressor, face_model.layout)),
        (config.identity, build_identity_network(config.identity)),
    ):
        save_weights(section.weights, network, face_model.fingerprint, {})
