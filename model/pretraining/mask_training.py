"""Training of the mask decoder: renders faces with occluders, trains, measures, and writes the weights."""

import dataclasses
import hashlib
import json

import numpy as np
import tensorflow as tf

from configs import schema
from lib.errors import UserError
from lib.face_mesh.network import Square, square_around
from lib.face_model.face_model import FaceModel
from lib.files.json_files import write_json
from lib.files.locks import sole_user
from lib.geometry.camera import Camera
from lib.synthetic.face_set import FaceSet, load_or_render, recipe, set_folder
from model.dense_landmarks.source import surface_points
from model.face_model_source import load_face_model
from model.morphable_model import MorphableModel
from model.pretraining.loop import run_updates
from model.pretraining.mask_faces import COVERS, make_faces
from model.pretraining.mask_task import MaskTask, mask_metrics
from model.weights.mask_weights import check_mask_replaceable, landmark_network, save_mask_decoder
from model.weights.pretrained import keep_previous, recipe_sections, stored_precision
from utils import seed_everything

IMAGE_SIZE = 224
HELD_OUT = 0.05
CHUNK = 64  # faces posed at a time


def train_mask_decoder(config: schema.Config) -> dict[str, float]:
    """Renders the faces, trains the decoder, measures it on faces left out, and writes its weights.

    After an interruption, the next run resumes from the stored faces and the checkpoint.

    Returns:
      The measured accuracy, which is also stored in the weight file.

    Raises:
      UserError: weights of another kind would be overwritten or cannot be written, there are too few faces or too
        little disk space, or a loss term is not finite.
    """
    section, path = config.mask, schema.asset_path(config.mask.weights)
    training, _ = _split(section.count)
    if len(training) < section.batch_size:
        raise UserError(
            f"mask.batch_size: must be at most the {len(training)} training faces, got {section.batch_size} (give a "
            "larger mask.count)"
        )
    check_mask_replaceable(path)
    face_model = load_face_model(config)
    faces_recipe = {**recipe(face_model, IMAGE_SIZE, section.seed, section.count), "covers": COVERS}
    with sole_user(set_folder(config.generated_dir, faces_recipe), "training of the mask decoder"):
        faces = load_or_render(
            config.generated_dir,
            faces_recipe,
            face_model.layout.size,
            make_faces,
            (face_model, IMAGE_SIZE, section.seed),
            config.workers,
            "mask.count",
        )
        return _train(config, face_model, faces)


def _train(config: schema.Config, face_model: FaceModel, faces: FaceSet) -> dict[str, float]:
    """Trains, measures and writes the decoder."""
    section, path = config.mask, schema.asset_path(config.mask.weights)
    squares = _squares(config, face_model, faces)
    training, held_out = _split(len(squares))

    seed_everything(section.seed)
    # Optimizer and updates read the section `pretrain`; here it carries the decoder's options.
    settings = dataclasses.replace(
        config.pretrain, seed=section.seed, batch_size=section.batch_size, learning_rate=section.learning_rate
    )
    task = MaskTask(section, settings, faces, training, squares)
    deterministic = [True] if config.train.deterministic else []  # never continues a run that was not
    options = {name: value for name, value in dataclasses.asdict(section).items() if name != "weights"}
    features = landmark_network()  # whose feature maps the decoder reads
    whole = [options, settings.clip_norm, faces.folder.name, features, *deterministic]
    key = hashlib.sha256(json.dumps(whole).encode()).hexdigest()[:12]
    belongs_to = {"face model": face_model.fingerprint, "landmark network": features, "mask training": key}
    seconds = run_updates(task, settings, faces.folder / f"mask-{key}.npz", belongs_to)
    with stored_precision(task.network):
        measured = mask_metrics(task.network, task, held_out, section.batch_size)
    metadata = {
        "network": task.name,
        "config": recipe_sections(config, ("mask", "face_model")) | {"pretrain": {"clip_norm": settings.clip_norm}},
        "faces": json.loads((faces.folder / "recipe.json").read_text(encoding="utf-8")),
        "landmark_network": features,
        "updates": task.updates,
        "seconds": round(seconds),
        "held_out": measured,
    }
    keep_previous(path, task.network)
    save_mask_decoder(path, task.network, metadata)
    write_json(path.with_suffix(".json"), metadata)
    print(f"{path}: {json.dumps(measured)}")
    return measured


def _split(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the faces to train on, and of those left out; every face is another person."""
    left_out = max(round(HELD_OUT * count), 1)
    return np.arange(count - left_out), np.arange(count - left_out, count)


def _squares(config: schema.Config, face_model: FaceModel, faces: FaceSet) -> list[Square]:
    """The squares that the face mesh network would look at, from the true places of its points."""
    points, camera = surface_points(config, face_model), Camera((IMAGE_SIZE, IMAGE_SIZE))
    morphable, squares = MorphableModel(face_model), []
    for start in range(0, len(faces.coefficients), CHUNK):
        posed = morphable.posed(tf.constant(faces.coefficients[start : start + CHUNK]), camera)
        found = camera.project(tf.constant(points.on(posed.vertices.numpy()), tf.float32)).numpy()
        squares += [square_around(row.astype(np.float64)) for row in found]
    return squares
