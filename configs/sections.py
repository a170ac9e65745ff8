"""Sections of the configuration: what each option means, why it exists, and which values it may take.

The values themselves are in default.yaml, complete, and in the files that list what differs from it.
"""

import dataclasses
from typing import Any

from lib.errors import UserError


def option(
    doc: str,
    *,
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    choices: tuple = (),
) -> Any:
    """A field with its one-line explanation and its bounds: low <= value <= high, above < value, or one of choices."""
    return dataclasses.field(metadata={"doc": doc, "low": low, "high": high, "above": above, "choices": choices})


class Section:
    """Checks every field's bounds on construction."""

    def __post_init__(self) -> None:
        section = type(self).__name__
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            for item in value if isinstance(value, tuple) else (value,):
                _check(f"{_snake(section)}.{field.name}", item, field.metadata)


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() and i else c.lower() for i, c in enumerate(name))


def _check(key: str, value: Any, bounds: Any) -> None:
    if bounds["choices"] and value not in bounds["choices"]:
        raise UserError(f"{key}: must be one of {', '.join(map(str, bounds['choices']))}, got {value}")
    if bounds["low"] is not None and value < bounds["low"]:
        raise UserError(f"{key}: must be at least {bounds['low']:g}, got {value:g}")
    if bounds["high"] is not None and value > bounds["high"]:
        raise UserError(f"{key}: must be at most {bounds['high']:g}, got {value:g}")
    if bounds["above"] is not None and not value > bounds["above"]:
        raise UserError(f"{key}: must be more than {bounds['above']:g}, got {value:g}")


@dataclasses.dataclass(frozen=True)
class Data(Section):
    """Crops, how they are packed, split and read."""

    name: str = option("data set: data/<name>.bin, data/params/<name>/, first part of the run's folder")
    root_dir: str = option("folder that holds data/ and checkpoints/")
    image_size: int = option("side of the square crops [px]; the camera scales with it", low=32, high=1024)
    synthetic_count: int = option("crops create_bin.py renders when it is given no photos", low=3)
    synthetic_seed: int = option("seed of those crops; must differ from the pre-training's", low=0)
    validation: float = option("share of the crops kept for validation", above=0, high=0.5)
    test: float = option("share of the crops kept for testing", above=0, high=0.5)
    split_seed: int = option("seed of the split; not the training's, so that runs with several seeds compare", low=0)
    buffer_size: int = option("batches kept ready while the network computes", low=1)
    workers: int = option("processes or threads that prepare data; 0 takes one per processor", low=0, high=256)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.name or "/" in self.name or "\\" in self.name or self.name.startswith("."):
            raise UserError(f"data.name: must be a plain file name, got '{self.name}'")
        if self.validation + self.test >= 1:
            raise UserError(
                f"data.validation and data.test: must together be below 1, got {self.validation:g} and {self.test:g}"
            )


@dataclasses.dataclass(frozen=True)
class FaceModel(Section):
    """The morphable model."""

    source: str = option(
        "'built-in', the .npz of a face model, or a folder of published files (data/README.md tells about both)"
    )
    vertex_count: int = option("wanted vertices of the built-in model; detail against time", low=2000, high=100000)
    seed: int = option("seed of the built-in model's bases; shipped weights belong to one seed", low=0)


@dataclasses.dataclass(frozen=True)
class Camera(Section):
    """The pinhole camera all crops are aligned to."""

    focal_ratio: float = option("focal length over image side (1015 px on 224 px in the published alignment)", above=0)
    distance: float = option("distance of the camera from the origin [dm]", above=1)


@dataclasses.dataclass(frozen=True)
class Regressor(Section):
    """R-Net: crop to coefficients."""

    depth: int = option("18 or 34: small residual networks; 50: the paper's ResNet-50", choices=(18, 34, 50))
    width: int = option("channels of the first stage (ResNet's own is 64)", low=4, high=128)
    image_size: int = option("the crop is resized to this side before the network [px]", low=32, high=512)
    input_range: str = option(
        "centred: RGB in -1..1; published: BGR in 0..255, as the published weights expect",
        choices=("centred", "published"),
    )
    mirror: bool = option("also look at the mirrored crop and average, where the face model's bases are symmetric")
    weights: str = option("trained weights (.npz, written by --mode pretrain), or the published R-Net (.pb, .pth)")


@dataclasses.dataclass(frozen=True)
class Identity(Section):
    """The identity embedding network, for the identity loss and the decoder's input."""

    depth: int = option("residual network of 18, 34 or 50 layers", choices=(18, 34, 50))
    width: int = option("channels of the first stage", low=4, high=128)
    image_size: int = option("the crop's centre is resized to this side before the network [px]", low=32, high=512)
    crop_fraction: float = option(
        "central share of the crop's side that is looked at: hair and background tell photos apart, not people",
        above=0,
        high=1,
    )
    embedding: int = option("length of the unit embedding", low=8, high=4096)
    weights: str = option("trained weights (.npz, written by --mode pretrain), or the published FaceNet (.pb)")


@dataclasses.dataclass(frozen=True)
class Texture(Section):
    """The graph networks that turn the coarse albedo into the fine one."""

    variant: str = option(
        "normal, resnet: as published; default: decoder of normal, U-Net with skips as refiner",
        choices=("default", "normal", "resnet"),
    )
    head: str = option(
        "residual: coarse albedo plus a small correction (converges); published: tanh of a convolution",
        choices=("residual", "published"),
    )
    inputs: str = option(
        "delit: photo colour divided by shading, as difference to the coarse albedo; mirrored: also that of the vertex "
        "on the other side; lit: the photo colour itself",
        choices=("mirrored", "delit", "lit"),
    )
    projection: str = option(
        "zbuffer: hidden surfaces tested, bilinear colours; published: facing vertices, nearest pixel",
        choices=("zbuffer", "published"),
    )
    wide: bool = option("the published wider decoder (in resnet both branches)")
    intrinsic: bool = option(
        "two textures: one that explains the photo, shadows and highlights included, and the albedo without them"
    )
    order: int = option("Chebyshev order K; 3 reaches what 6 does in half the time, the paper uses 6", low=1, high=12)
    factors: tuple[int, ...] = option("down-sampling factor from each mesh level to the next", low=2, high=16)
    nz: int = option("bottleneck of the refiner of `normal`", low=1, high=4096)
    drop_rate: float = option("dropout before the fully connected layers, while training", low=0, high=0.9)

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.factors) != 4:
            raise UserError(f"texture.factors: must be four factors (five mesh levels), got {len(self.factors)}")


@dataclasses.dataclass(frozen=True)
class Loss(Section):
    """Weights of the texture networks' loss terms, all on colours in [-1, 1]."""

    render: float = option(
        "L1 of the rendered image on the skin; the term that makes it converge (0 in the paper)", low=0
    )
    project: float = option("L1 of shaded vertex colours against the photo at visible vertices (L_pix)", low=0)
    hidden: float = option("pull of hidden vertices to the coarse colours (0.3 x project in the paper)", low=0)
    identity: float = option(
        "1 - cosine of the identity embeddings of photo and render where nothing is hidden (L_id, paper 0.2)", low=0
    )
    symmetry: float = option("distance of mirrored albedo pairs; the paper's 0.5 costs detail (L_sym)", low=0)
    albedo: float = option(
        "`intrinsic`: L1 of the albedo against the true one of synthetic crops, in other crops against the appearance",
        low=0,
    )
    variance: float = option("variance of the albedo over the skin (L_std, paper 0.01)", low=0)
    coarse: float = option("L1 between fine and coarse albedo at the start; it teaches the copy first (L_rec)", low=0)
    weight_decay: float = option("L2 on the fully connected layers (paper 5e-4)", low=0)


@dataclasses.dataclass(frozen=True)
class Schedule(Section):
    """How learning rate and loss weights move during a run (model/runs/schedule.py)."""

    rate: str = option(
        "cosine: warm-up, then half a cosine to zero; staircase: x decay per epoch (paper)",
        choices=("cosine", "staircase"),
    )
    warmup: int = option("updates of the linear warm-up of `cosine`", low=0)
    decay: float = option("factor per epoch of `staircase` (paper 0.98)", above=0, high=1)
    stages: str = option(
        "ramp: coarse falls once, the rest stays; published: clip(0.2 epoch, 0, 1) for all but coarse",
        choices=("ramp", "published"),
    )
    coarse_end: float = option("`ramp`: weight of the coarse term at the end of its fall", low=0)
    coarse_fraction: float = option("`ramp`: share of the run over which the coarse term falls", low=0, high=1)


@dataclasses.dataclass(frozen=True)
class Train(Section):
    """The training of the texture networks."""

    suffix: str = option("second part of the run's folder; empty: the variant's name, with _gan under --gan")
    stage: str = option(
        "all terms; rec: only the coarse term; render: all but the coarse term",
        choices=("all", "rec", "render"),
    )
    restore: bool = option("go on from the run's last checkpoint instead of starting anew")
    seed: int = option("seed of initial weights and data order", low=0)
    batch_size: int = option("crops per update; many small updates learn faster than few large ones", low=1, high=1024)
    epochs: int = option("passes over the training crops", low=1)
    updates_per_epoch: int = option("updates per epoch; 0: all training crops once", low=0)
    learning_rate: float = option("Adam's peak learning rate (paper 1e-4; 2e-3 to 5e-3 converges)", above=0, high=1)
    clip_norm: float = option("largest gradient norm, each variable for itself (paper 5)", above=0)
    eval_every: float = option(
        "validate: 0 after each epoch, below 1 that share of an epoch, else that many updates", low=0
    )
    hide: float = option(
        "share of crops a random part of which is hidden from the network and asked of it", low=0, high=1
    )
    samples: int = option("faces on a sample sheet", low=1, high=64)


@dataclasses.dataclass(frozen=True)
class Gan(Section):
    """The WGAN-GP critic of the rendered face."""

    enabled: bool = option("train against a critic (--gan)")
    adversarial: float = option("weight of the critic's score in the texture loss (paper 1e-3)", low=0)
    critic_steps: int = option("critic updates per texture update (paper 5)", low=1, high=100)
    penalty: float = option("weight of the gradient penalty", low=0)
    learning_rate: float = option("the critic's Adam learning rate", above=0, high=1)


@dataclasses.dataclass(frozen=True)
class Fit(Section):
    """Fitting of the regressed coefficients to one photo."""

    steps: int = option("Adam steps in test mode; 0 trusts the regressor alone", low=0, high=10000)
    learning_rate: float = option("Adam's learning rate, in prior standard deviations", above=0, high=1)


@dataclasses.dataclass(frozen=True)
class Test(Section):
    """Reconstruction of a folder of photos."""

    __test__ = False  # not a test class, whatever the name tells pytest

    input: str = option("folder of photos, nested or not (JPEG, PNG, WebP, TIFF, ...; with or without alpha)")
    output: str = option("folder the results are written to")
    min_confidence: float = option("detections below this are no face", low=0, high=1)
    same_person: bool = option("all photos of a folder show one person; sub-folders: one person each")
    video: bool = option("the input is a video or a folder of frames (--video)")
    frame_rate: float = option("frames a second of a folder of frames, and of a video that does not tell", above=0)
    smoothing: float = option("motion of a video above this frequency is noise [Hz]", above=0)


@dataclasses.dataclass(frozen=True)
class Export(Section):
    """What other programs can open of a reconstructed photo."""

    formats: tuple[str, ...] = option(
        "obj: textured, with .mtl and PNG textures; glb: textured, relit or as in the photo; ply: vertex colours; "
        "neutral: the shape without expression; none: no mesh",
        choices=("obj", "glb", "ply", "neutral"),
    )
    texture_size: int = option("side of the textures [px]", low=256, high=4096)
    normal_map: bool = option("relief from the photo's fine shading, in .obj and .glb")


@dataclasses.dataclass(frozen=True)
class Pretrain(Section):
    """Training of regressor and identity network on synthetic faces."""

    count: int = option("synthetic faces rendered for it", low=8)
    image_size: int = option("side they are rendered at [px]", low=32, high=512)
    held_out: float = option("share of the identities kept for measuring", above=0, high=0.5)
    initial: str = option("TF-Slim checkpoint resnet_v1_50.ckpt the regressor's ResNet-50 starts from; empty: none")
    seed: int = option("seed of those faces, of the initial weights and of the order", low=0)
    batch_size: int = option("faces per update", low=2, high=1024)
    regressor_updates: int = option("updates of the regressor", low=0)
    identity_updates: int = option("updates of the identity network", low=0)
    learning_rate: float = option("Adam's peak learning rate, warm-up and cosine to zero", above=0, high=1)
    clip_norm: float = option("largest norm of all gradients together", above=0)
    checkpoint_every: int = option("updates between checkpoints; a killed run goes on from the last", low=1)
    gain: float = option("augmentation: spread of the light's gain, carried over to the light's coefficients", low=0)
    noise: float = option("augmentation: largest standard deviation of pixel noise, of 1", low=0, high=1)
    background: float = option("augmentation: share of faces put before another photo's background", low=0, high=1)
    boxes: float = option("augmentation: share of faces with a box of another photo over them", low=0, high=1)
    mirror: bool = option("augmentation, regressor: mirrored faces with mirrored coefficients")
    shift: float = option("augmentation, identity: largest shift, as a share of the side", low=0, high=0.5)
    zoom: float = option("augmentation, identity: spread of the logarithm of the size", low=0, high=1)
    cosine_scale: float = option("identity: sharpness of the softmax over cosines", above=0)
    cosine_margin: float = option(
        "identity: what the own cosine must exceed the others' by, after a ramp", low=0, high=1
    )
    vertices: int = option("vertices on which the direct terms are measured", low=3)
    coefficients: float = option("direct: coefficient error", low=0)
    landmarks: float = option("direct: landmark distance [20 px of 224]", low=0)
    turned: float = option("direct: distance of vertices turned as the head is [dm]", low=0)
    rotation: float = option("direct: angle between the rotations [radians]", low=0)
    translation: float = option("direct: distance of the translations [dm]", low=0)
    canonical: float = option("direct: distance of vertices before the pose [dm]", low=0)
    albedo: float = option("direct: L1 of the albedo; coefficient error alone leaves it at the mean", low=0)
    light: float = option("direct: L1 of the shading; likewise", low=0)
    weak: float = option("factor of Deep3DFaceReconstruction's weakly supervised loss", low=0)
    weak_share: float = option("share of a batch that is rendered for it; rendering is slow", above=0, high=1)
