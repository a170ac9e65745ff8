"""Pre-training of identity network and regressor on synthetic faces; writes the weights that other modes use."""

import dataclasses
import hashlib
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from configs import schema, training_sections
from lib.errors import UserError
from lib.face_model.face_model import FaceModel
from lib.files.json_files import write_json
from lib.files.locks import sole_user
from lib.geometry.camera import Camera
from lib.runtime.interruption import DeferredStop
from lib.runtime.prefetch import prefetch
from lib.synthetic.face_set import FaceSet, hold_out, load_or_render, recipe, set_folder
from lib.synthetic.photos import PhotoSettings, SyntheticFaces
from model.metrics.networks import coefficient_errors, identity_metrics, predict, regressor_metrics
from model.networks.identity import build_identity_network
from model.networks.mirroring import from_both_sides, mirrored_coefficients
from model.networks.regressor import build_regressor
from model.pipeline import load_face_model
from model.pretraining.identity_task import IdentityTask
from model.pretraining.regressor_task import RegressorTask
from model.pretraining.task import PretrainingTask
from model.runs import checkpoints
from model.runs.checkpoints import Progress
from model.runs.finite import check_finite
from model.runs.schedule import warmup_cosine
from model.runs.symptoms import Symptoms
from model.weights.pretrained import (
    check_replaceable,
    is_frozen,
    keep_previous,
    recipe_sections,
    save_weights,
    stored_precision,
)
from model.weights.resnet_weights import initialise
from utils import seed_everything

WARMUP = 50  # updates
# The sections that determine the weights, and their options that do not.
_WITHOUT_EFFECT = {
    "camera": (),
    "regressor": ("weights", "mirror", "light"),  # the last two affect how it is used
    "identity": ("weights",),
    "pretrain": ("checkpoint_every",),
}
# Options of the section `pretrain` that only the regressor's training reads.
_REGRESSOR_ONLY = (
    "initial", "regressor_updates", "mirror", "vertices", "coefficients", "landmarks", "dense", "turned", "rotation",
    "translation", "canonical", "albedo", "light", "weak", "weak_share",
)  # fmt: skip
LIGHT_ADVICE = "start again with a larger pretrain.light or a lower pretrain.learning_rate"


def pretrain(config: schema.Config) -> dict[str, dict]:
    """Renders the faces, trains both networks, measures them on held-out people and writes their weights.

    After an interruption, the next run resumes from the stored faces and checkpoints, and ends with the same weights.

    Args:
      config: the effective configuration.

    Returns:
      The measured accuracy of "identity" and "regressor", which is also stored in the weight files.

    Raises:
      UserError: weights of another kind would be overwritten, there are too few people or too little disk space, a loss
        term is not finite, or a checkpoint belongs to another configuration.
    """
    for key, path in (("regressor.weights", config.regressor.weights), ("identity.weights", config.identity.weights)):
        if is_frozen(path):
            raise UserError(f"{key}: must be an .npz to be written, got {path}, a published network")
    face_model = load_face_model(config)
    check_before_rendering(config, face_model)
    with sole_user(set_folder(config.generated_dir, face_recipe(config, face_model)), "pre-training"):
        faces = render_faces(config, face_model)
        return train_networks(config, face_model, faces)


def check_before_rendering(config: schema.Config, face_model: FaceModel) -> None:
    """Finds errors that would otherwise appear only after hours of rendering.

    Raises:
      UserError: the faces have another camera, there are too few people, a basis is not symmetric, the initial weights
        do not fit the regressor, or weights of another kind would be overwritten.
    """
    config.camera.check_synthetic()
    section = config.pretrain
    people = np.arange(section.count) // PhotoSettings().photos_per_identity
    BatchOrder(int((~hold_out(people, section.held_out)).sum()), section.batch_size, section.seed)
    if section.mirror:
        mirrored_coefficients(face_model)
    regressor = build_regressor(config.regressor, face_model.layout)
    if section.initial:
        initialise(regressor.resnet, config)
    for path, network in (
        (config.identity.weights, build_identity_network(config.identity)),
        (config.regressor.weights, regressor),
    ):
        elsewhere = "regressor.weights=FILE.npz identity.weights=FILE.npz"
        check_replaceable(schema.asset_path(path), network, face_model.fingerprint, elsewhere)


def face_recipe(config: schema.Config, face_model: FaceModel) -> dict:
    """The recipe of a configuration's faces."""
    section = config.pretrain
    return recipe(face_model, section.image_size, section.seed, section.count)


def render_faces(config: schema.Config, face_model: FaceModel) -> FaceSet:
    """Loads the synthetic faces of a configuration, and renders those that are missing."""
    section = config.pretrain
    return load_or_render(
        config.generated_dir,
        face_recipe(config, face_model),
        face_model.layout.size,
        SyntheticFaces,
        (face_model, section.image_size, section.seed),
        config.workers,
    )


def train_networks(config: schema.Config, face_model: FaceModel, faces: FaceSet) -> dict[str, dict]:
    """Trains, measures and writes the identity network, then the regressor, whose perceptual loss uses it."""
    section = config.pretrain
    training, held_out = faces.split(section.held_out)
    camera = Camera((section.image_size,) * 2, config.camera.focal_ratio, config.camera.distance)
    key = _fingerprint(config, faces)

    seed_everything(section.seed)
    identity = IdentityTask(config, faces, training)
    own_key = key if (faces.folder / f"identity-{key}.npz").is_file() else _identity_fingerprint(config, faces)
    seconds = _updates(identity, config, faces, face_model, own_key)
    with stored_precision(identity.network):
        embeddings = predict(identity.network, faces.images[held_out])
    measured = {"identity": identity_metrics(embeddings, faces.identities[held_out])}
    _ship(config, identity, face_model, measured["identity"], seconds)

    seed_everything(section.seed + 1)
    regressor = RegressorTask(config, faces, training, face_model, camera, identity.network)
    seconds = _updates(regressor, config, faces, face_model, key)
    used = from_both_sides(regressor.network, face_model) if config.regressor.mirror else regressor.network
    with stored_precision(regressor.network):
        predicted = predict(used, faces.images[held_out])
    measured["regressor"] = regressor_metrics(face_model, camera, predicted, faces.coefficients[held_out])
    errors = coefficient_errors(face_model.layout, predicted, faces.coefficients[held_out])
    _ship(config, regressor, face_model, measured["regressor"], seconds, {"coefficient_errors": errors})
    return measured


def _updates(task: PretrainingTask, config: schema.Config, faces: FaceSet, face_model: FaceModel, key: str) -> float:
    """`run_updates` with a checkpoint beside the faces, named after the hash of what determines the weights."""
    belongs_to = {"face model": face_model.fingerprint, "pre-training": key}
    return run_updates(task, config.pretrain, faces.folder / f"{task.name}-{key}.npz", belongs_to)


def run_updates(
    task: PretrainingTask, section: training_sections.Pretrain, checkpoint: Path, belongs_to: Mapping[str, str]
) -> float:
    """Runs a task's updates, resuming from its checkpoint if there is one.

    Data order and random draws depend only on the seed and the update's number, so resuming does not change the result.

    Args:
      task: trains one network.
      section: seed, batch size, learning rate and interval between checkpoints.
      checkpoint: the .npz to resume from and to write.
      belongs_to: identifiers that the checkpoint must match, e.g. {"face model": fingerprint}.

    Returns:
      Seconds spent on the updates, including those of earlier processes.

    Raises:
      UserError: a loss term is not finite; the checkpoint then holds the last good state.
    """
    progress = Progress()
    if checkpoint.is_file():
        progress = checkpoints.restore(checkpoint, task.state, belongs_to)
    started, saved = time.monotonic() - progress.seconds, time.monotonic()
    batches = BatchOrder(len(task.training), section.batch_size, section.seed)
    symptoms = Symptoms(task.name, smooth=100, light_advice=LIGHT_ADVICE)
    bar = tqdm(total=task.updates, initial=progress.update, desc=f"pretrain {task.name}", unit="update")
    remaining = range(progress.update, task.updates)
    inputs = prefetch(lambda update: task.inputs(batches[update], (section.seed, update)), remaining)
    with bar, DeferredStop() as stop:
        for update in remaining:
            task.optimizer.learning_rate = warmup_cosine(update, task.updates, section.learning_rate, WARMUP)
            terms = task.update(*next(inputs))
            check_finite(terms, task.name, update, task.rates)  # other options have another checkpoint
            symptoms.measure(terms, update)
            progress = dataclasses.replace(progress, update=update + 1, seconds=time.monotonic() - started)
            bar.update()
            if update % 10 == 0:
                rate = (bar.format_dict["rate"] or 0.0) * section.batch_size
                bar.set_postfix(loss=f"{float(terms['total']):.3f}", images_per_s=f"{rate:.0f}")
            due = progress.update % section.checkpoint_every == 0 or progress.update == task.updates
            if due or stop.requested or time.monotonic() - saved > checkpoints.SECONDS:
                checkpoints.save(checkpoint, task.state, progress, belongs_to)
                saved = time.monotonic()
                tqdm.write(_line(task.name, progress.update, terms), file=sys.stderr)
            if stop.requested:
                raise stop.interruption(f"{checkpoint} is saved; the same command continues from it")
    return progress.seconds


class BatchOrder:
    """Positions of the faces in every update: shuffled passes, each determined by the seed and the pass's number."""

    def __init__(self, count: int, batch_size: int, seed: int):
        if count < batch_size:
            raise UserError(f"pretrain.batch_size: must be at most the {count} training faces, got {batch_size}")
        self.count, self.batch_size, self.seed = count, batch_size, seed
        self._pass, self._order = -1, np.empty(0, int)

    def __getitem__(self, update: int) -> np.ndarray:
        number, batch = divmod(update, self.count // self.batch_size)
        if number != self._pass:
            self._pass, self._order = number, np.random.default_rng([self.seed, number]).permutation(self.count)
        return self._order[batch * self.batch_size : (batch + 1) * self.batch_size]


def _identity_fingerprint(config: schema.Config, faces: FaceSet) -> str:
    """Hash of everything that determines the identity network's weights, apart from this program's code.

    Earlier versions named its checkpoints as the regressor's, so that an option of the regressor trained both again.
    """
    pretrain = {**dataclasses.asdict(config.pretrain), **dict.fromkeys(_REGRESSOR_ONLY + _WITHOUT_EFFECT["pretrain"])}
    identity = {**dataclasses.asdict(config.identity), **dict.fromkeys(_WITHOUT_EFFECT["identity"])}
    whole = [identity, pretrain, faces.folder.name, config.train.deterministic]
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:12]


def _fingerprint(config: schema.Config, faces: FaceSet) -> str:
    """Hash of everything that determines the regressor's weights, apart from this program's code."""
    parts = []
    for name, left_out in _WITHOUT_EFFECT.items():
        options = dataclasses.asdict(getattr(config, name))
        parts.append({option: value for option, value in options.items() if option not in left_out})
    if not config.pretrain.initial:
        parts[-1].pop("initial")  # lets runs resume that were started before this option existed
    deterministic = [True] if config.train.deterministic else []  # never continues a run that was not
    whole = [*parts, faces.folder.name, *deterministic]
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:12]


def _ship(
    config: schema.Config,
    task: PretrainingTask,
    face_model: FaceModel,
    measured: Mapping,
    seconds: float,
    more: Mapping = MappingProxyType({}),
) -> None:
    """Writes the task's weights with configuration, accuracy and `more`; keeps a copy of another run's weights."""
    path = schema.asset_path(getattr(config, task.name).weights)
    metadata = {
        "network": task.name,
        # The regressor's perceptual loss uses the identity network.
        "config": recipe_sections(config, (task.name, "identity", "pretrain", "face_model", "camera")),
        "faces": face_recipe(config, face_model),
        "updates": task.updates,
        "seconds": round(seconds),
        "held_out": measured,
        **more,
    }
    keep_previous(path, task.network)
    save_weights(path, task.network, face_model.fingerprint, metadata)
    write_json(path.with_suffix(".json"), {**metadata, "face_model_fingerprint": face_model.fingerprint})
    print(f"{path}: {json.dumps(measured)}")


def _line(task: str, update: int, terms: dict[str, tf.Tensor]) -> str:
    return f"{task} {update}: " + ", ".join(f"{name} {float(value):.4f}" for name, value in terms.items())
