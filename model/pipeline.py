"""Loads the components that a configuration names: face model, camera and networks."""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from configs import schema
from lib.errors import UserError
from lib.face_mask.parsing import FaceParser
from lib.face_model.coefficients import CoefficientLayout
from lib.face_model.face_model import FaceModel
from lib.files.atomic import file_sha256
from lib.files.numpy_files import DamagedFile
from lib.geometry.camera import Camera
from lib.mesh_sampling import MeshHierarchy, read_carried
from model.face_gcn import FaceGCN
from model.face_model_source import load_face_model
from model.fitting import light
from model.fitting.weights import RegressedErrors
from model.morphable_model import MorphableModel
from model.networks.encoding import EncodedFaces, encode
from model.networks.fixed.encoders import FixedIdentityNetwork, FixedRegressor
from model.networks.fixed.mask import FixedMaskDecoder
from model.networks.identifiers import LEVELS
from model.networks.mirroring import BothSides, from_both_sides
from model.networks.texture_networks import TextureNetwork
from model.networks.variable_names import network_variables
from model.runs import checkpoints
from model.runs.set_aside import missing
from model.weights.mask_weights import load_mask_decoder
from model.weights.pretrained import is_frozen, load_fixed, read_metadata
from model.weights.published_networks import FrozenIdentity, FrozenRegressor, TorchRegressor, published_regressor
from model.weights.texture_weights import load_texture_network
from utils import init_sampling

# In place of texture.nz in the signature of networks without bottleneck: what the shipped weights name.
_NO_BOTTLENECK = 64


@dataclass(frozen=True)
class Pipeline:
    """Face model, camera, the two frozen networks and the graph network that refines the texture.

    Attributes:
      config: the configuration that names them.
      face_model: the morphable face model.
      camera: camera of the crops.
      regressor: frozen; crop to coefficients.
      identity: frozen; crop to identity embedding.
      texture_network: the network inside `face_gcn`, the only one that is trained.
      face_gcn: coarse face, refinement, rendering, loss terms.
      regressed_errors: expected errors of the regressor; None if they are unknown.
    """

    config: schema.Config
    face_model: FaceModel
    camera: Camera
    regressor: FixedRegressor | FrozenRegressor | TorchRegressor | BothSides
    identity: FixedIdentityNetwork | FrozenIdentity
    texture_network: TextureNetwork
    face_gcn: FaceGCN
    regressed_errors: RegressedErrors | None = None

    def encode(self, crops: np.ndarray) -> EncodedFaces:
        """Coefficients and embeddings of RGBA crops [B, H, W, 4] in [0, 1]: `regress`, then `with_light`."""
        encoded = self.regress(crops)
        return dataclasses.replace(encoded, coefficients=self.with_light(encoded.coefficients, crops))

    def regress(self, crops: np.ndarray) -> EncodedFaces:
        """Outputs of the frozen networks for RGBA crops [B, H, W, 4] in [0, 1]."""
        return encode(self.regressor, self.identity, tf.convert_to_tensor(crops)[..., :3])

    def with_light(self, coefficients: tf.Tensor | np.ndarray, crops: np.ndarray) -> tf.Tensor:
        """Coefficients [B, K] with the light solved for from RGBA crops [B, H, W, 4], if regressor.light says so."""
        coefficients = tf.convert_to_tensor(coefficients)
        if self.config.regressor.light == "regressed":
            return coefficients
        return light.with_solved_light(self.face_gcn.morphable, self.camera, coefficients, tf.convert_to_tensor(crops))

    def embed(self, images: tf.Tensor) -> tf.Tensor:
        """The identity network's embeddings [B, E2] of RGB images [B, H, W, 3] in [0, 1]."""
        return self.identity(images)

    @property
    def encoder_key(self) -> str:
        """Short hash of the weights behind `encode` and the options they are used with."""
        digest = hashlib.sha256()
        for section in (self.config.regressor, self.config.identity):
            options = {name: value for name, value in dataclasses.asdict(section).items() if name != "weights"}
            digest.update(file_sha256(schema.asset_path(section.weights)).encode())
            digest.update(json.dumps(options, sort_keys=True).encode())
        return digest.hexdigest()[:16]

    @property
    def cache_key(self) -> str:
        """Hash that names stored results of `encode`: `encoder_key` and whatever else the solved light depends on."""
        if self.config.regressor.light == "regressed":
            return self.encoder_key
        parts = (self.encoder_key, self.face_model.fingerprint, repr(self.camera), light.METHOD)
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]

    def signature(self) -> dict[str, str]:
        """Names and hashes that a checkpoint of the texture network must match."""
        texture = self.config.texture
        bottleneck = texture.nz if texture.variant == "normal" else _NO_BOTTLENECK
        network = f"{texture.variant}/{texture.head}/{texture.inputs}/K{texture.order}/nz{bottleneck}"
        flags = ("/wide" if texture.wide else "") + ("/intrinsic" if texture.intrinsic else "")
        return {
            "face model": self.face_model.fingerprint,
            "texture network": network + flags,
            "mesh levels": "/".join(map(str, texture.factors)),
            LEVELS: self.texture_network.hierarchy.choice,
            "projection": texture.projection,
            "regressor and identity network": self.encoder_key,
            "camera": f"{self.config.camera.focal_ratio:g}/{self.config.camera.distance:g}",
        }


def load_pipeline(config: schema.Config, weights: Path | None = None) -> Pipeline:
    """Loads or builds all components that a configuration names; the texture network has random weights.

    Args:
      config: the configuration.
      weights: file whose weights the texture network will get, which brings its mesh levels; None for those that
        reconstruct photos, `config.texture_path`.

    Raises:
      UserError: a file is missing or belongs to another face model.
    """
    face_model = load_face_model(config)
    regressor = load_regressor(config, face_model)
    identity = load_identity(config, face_model)
    hierarchy = load_hierarchy(config, face_model, weights or config.texture_path)
    embedding_size = regressor.feature_size + identity.embedding_size
    texture = build_texture_network(config, hierarchy, embedding_size, face_model.mirror_index)
    camera = build_camera(config)
    face_gcn = FaceGCN(
        MorphableModel(face_model),
        camera,
        texture,
        config.texture.projection,
        identity if config.loss.identity > 0 else None,
    )
    errors = load_regressed_errors(config, face_model.layout)
    return Pipeline(config, face_model, camera, regressor, identity, texture, face_gcn, errors)


def load_regressor(
    config: schema.Config, face_model: FaceModel
) -> FixedRegressor | FrozenRegressor | TorchRegressor | BothSides:
    """Loads the frozen regressor: a published one if regressor.weights is a .pb or .pth, otherwise this program's."""
    network = _load_network(config, face_model)
    return from_both_sides(network, face_model) if config.regressor.mirror else network


def _load_network(config: schema.Config, face_model: FaceModel) -> FixedRegressor | FrozenRegressor | TorchRegressor:
    path = schema.asset_path(config.regressor.weights)
    if is_frozen(path):
        return published_regressor(path, face_model.layout)
    section = config.regressor
    sizes = (face_model.layout, section.depth, section.width, section.image_size, section.input_range)
    options = {"regressor.image_size": section.image_size, "regressor.input_range": section.input_range}
    return load_fixed(path, lambda take: FixedRegressor(take, *sizes), face_model.fingerprint, options=options)


def load_regressed_errors(config: schema.Config, layout: CoefficientLayout) -> RegressedErrors | None:
    """Expected errors of the regressor's identity and albedo, as measured by pre-training; None if they are unknown.

    Raises:
      UserError: the weights come with something else.
    """
    path = schema.asset_path(config.regressor.weights)
    measured = None if is_frozen(path) else read_metadata(path).get("coefficient_errors")
    if measured is None:
        return None
    try:
        rows = [np.array(measured[name], np.float32) for name in ("identity", "albedo")]
        if [row.shape for row in rows] != [(layout.identity,), (layout.albedo,)]:
            raise ValueError(f"arrays of {[list(row.shape) for row in rows]}")
        if not all(np.isfinite(row).all() and (row > 0).all() for row in rows):
            raise ValueError("numbers that are not positive")
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{path}: coefficient_errors must be {layout.identity} positive numbers for identity and {layout.albedo} "
            f"for albedo, got something else ({error}; run python main.py --mode pretrain again)"
        ) from None
    return RegressedErrors(*rows)


def load_identity(config: schema.Config, face_model: FaceModel) -> FixedIdentityNetwork | FrozenIdentity:
    """Loads the frozen identity network: the published graph if identity.weights is a .pb, otherwise this program's."""
    path = schema.asset_path(config.identity.weights)
    if is_frozen(path):
        return FrozenIdentity(path, config.identity.crop_fraction)
    section = config.identity
    sizes = (section.embedding, section.depth, section.width, section.image_size, section.crop_fraction)
    options = {"identity.image_size": section.image_size, "identity.crop_fraction": section.crop_fraction}
    return load_fixed(path, lambda take: FixedIdentityNetwork(take, *sizes), face_model.fingerprint, options=options)


def restore_texture_network(pipeline: Pipeline) -> None:
    """Restores the texture network from the run's best checkpoint, or from texture.weights while there is no run.

    Raises:
      UserError: the checkpoint belongs to another configuration; or there is none, and the weights do not fit.
    """
    best = pipeline.config.run_dir / "best.npz"
    if pipeline.config.texture_path == best:
        state = {"texture": network_variables(pipeline.texture_network.weights)}
        checkpoints.restore(best, state, pipeline.signature())
    elif reason := load_texture_weights(pipeline):
        raise UserError(f"{missing(best)}; {pipeline.config.texture.weights} is {reason}")


def load_texture_weights(pipeline: Pipeline) -> str:
    """Loads texture.weights if they belong to the configured network.

    Returns:
      Empty if the weights were loaded; otherwise why they do not belong to it.

    Raises:
      UserError: the file is missing or damaged.
    """
    path = schema.asset_path(pipeline.config.texture.weights)
    return load_texture_network(path, pipeline.texture_network, pipeline.face_model.fingerprint, pipeline.signature())


def load_parser(config: schema.Config) -> FaceParser | None:
    """Loads the configuration's face-parsing network; None if it names none.

    Raises:
      UserError: the file is missing or cannot be used.
    """
    section = config.prepare
    if not section.parser:
        return None
    return FaceParser(
        Path(section.parser), section.parser_size, section.parser_mean, section.parser_std, section.parser_classes
    )


def load_decoder(config: schema.Config) -> FixedMaskDecoder | None:
    """Loads the mask decoder; None if the configuration does not use landmarks.

    Raises:
      UserError: the weights are missing or belong to another network.
    """
    return load_mask_decoder(schema.asset_path(config.mask.weights)) if config.fit.landmarks else None


def load_hierarchy(config: schema.Config, face_model: FaceModel, weights: Path | None = None) -> MeshHierarchy:
    """The face model's mesh hierarchy: the levels that the file `weights` carries, if any.

    Otherwise those stored with the data set's parameters, where they are built and stored on first use.
    """
    vertices, triangles = face_model.mean_shape, face_model.triangles
    try:
        carried = (
            weights and weights.is_file() and read_carried(weights, len(vertices), triangles, config.texture.factors)
        )
    except (DamagedFile, OSError):  # whoever loads the weights says so
        carried = None
    mesh = {"vertices": vertices, "faces": triangles}
    return init_sampling(mesh, config.params_dir, config.texture.factors, carried or None)


def build_camera(config: schema.Config) -> Camera:
    """The camera of the configuration's crops."""
    size = config.data.image_size
    return Camera((size, size), config.camera.focal_ratio, config.camera.distance)


def build_texture_network(
    config: schema.Config, hierarchy: MeshHierarchy, embedding_size: int, mirror_index: np.ndarray
) -> TextureNetwork:
    """The texture network of the configuration's section `texture`, with fresh weights."""
    section = config.texture
    return TextureNetwork(
        hierarchy,
        embedding_size,
        variant=section.variant,
        head=section.head,
        inputs=section.inputs,
        wide=section.wide,
        order=section.order,
        nz=section.nz,
        dropout=section.drop_rate,
        mirror_index=mirror_index,
        intrinsic=section.intrinsic,
    )
