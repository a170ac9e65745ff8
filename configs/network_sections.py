"""Sections of the configuration for the networks."""

import dataclasses

from configs.section import SEEDS, Section, option
from lib.errors import UserError

VARIANTS = ("default", "normal", "resnet")
HEADS = ("residual", "published")
LIGHTS = ("solved", "regressed")
INPUTS = ("mirrored", "delit", "lit")
PROJECTIONS = ("zbuffer", "published")


@dataclasses.dataclass(frozen=True)
class ResidualNetwork(Section):
    """Size of a residual network and of its input image."""

    depth: int = option("layers of the residual network (18, 34 or 50)", choices=(18, 34, 50))
    width: int = option("channels of the first stage (64 in the original ResNet)", low=4, high=128)
    image_size: int = option("side of the network's input, to which the crop is resized [px]", low=32, high=512)


@dataclasses.dataclass(frozen=True)
class Regressor(ResidualNetwork):
    """R-Net: crop to coefficients."""

    input_range: str = option(
        "centred: RGB in -1..1; published: BGR in 0..255, as the published weights expect",
        choices=("centred", "published"),
    )
    mirror: bool = option(
        "average the predictions for the crop and its mirror image; no effect if the face model's bases are asymmetric"
    )
    light: str = option(
        "solved: the light that fits the crop best, given the regressed shape and albedo (test mode with a fit always "
        "solves for it); regressed: the regressor's",
        choices=LIGHTS,
    )
    weights: str = option("trained weights (.npz, written by --mode pretrain), or the published R-Net (.pb, .pth)")


@dataclasses.dataclass(frozen=True)
class Identity(ResidualNetwork):
    """The identity embedding network, for the identity loss and the decoder's input."""

    crop_fraction: float = option(
        "central share of the crop's side that the network sees; excludes hair and background, which vary by photo",
        above=0,
        high=1,
    )
    embedding: int = option("length of the unit embedding", low=8, high=4096)
    weights: str = option("trained weights (.npz, written by --mode pretrain), or the published FaceNet (.pb)")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.weights.endswith(".pth"):
            raise UserError(
                f"identity.weights: must be a .npz or the published FaceNet (.pb), got {self.weights} (a .pth is only "
                "read as regressor.weights)"
            )


@dataclasses.dataclass(frozen=True)
class Mask(Section):
    """The mask decoder, which separates the face's skin from hair, glasses and hands; used with fit.landmarks."""

    weights: str = option("trained weights (.npz, written by --mode masks)")
    count: int = option("--mode masks: synthetic faces to render", low=32)
    updates: int = option("--mode masks: updates", low=0)
    batch_size: int = option("--mode masks: faces per update", low=2, high=1024)
    learning_rate: float = option(
        "--mode masks: Adam's peak learning rate; warm-up, then cosine decay to zero", above=0, high=1
    )
    seed: int = option("--mode masks: seed of the faces, the initial weights and the data order", low=0, high=SEEDS - 1)


@dataclasses.dataclass(frozen=True)
class Texture(Section):
    """The graph networks that refine the coarse albedo."""

    variant: str = option(
        "normal, resnet: the published branches (the published networks: configs/paper.yaml); default: the decoder of "
        "`normal`, with a U-Net with skip connections as refiner",
        choices=VARIANTS,
    )
    head: str = option(
        "residual: coarse albedo plus a small correction (converges); published: tanh of a convolution",
        choices=HEADS,
    )
    inputs: str = option(
        "delit: photo colour divided by shading, minus the coarse albedo; mirrored: the same, plus the value of the "
        "mirrored vertex; lit: the photo colour itself",
        choices=INPUTS,
    )
    projection: str = option(
        "zbuffer: visibility by depth test, bilinear sampling; published: visibility by normal, nearest pixel",
        choices=PROJECTIONS,
    )
    wide: bool = option(
        "wider networks: the published decoder, also the refiner of `resnet`; twice the channels in the refiner of "
        "`default`"
    )
    intrinsic: bool = option(
        "predict two textures: the appearance in the photo, with shadows and highlights, and the albedo without them"
    )
    order: int = option("Chebyshev order K; 3 is as accurate as the paper's 6 in half the time", low=1, high=12)
    factors: tuple[int, ...] = option("down-sampling factors between consecutive mesh levels", low=2, high=16)
    nz: int = option("bottleneck size of the refiner in `normal`", low=1, high=4096)
    drop_rate: float = option("dropout rate before the fully connected layers, in training only", low=0, high=0.9)
    weights: str = option(
        "trained weights (.npz, written by train.weights): a training starts from them, and test mode uses them while "
        "there is no run, if they belong to these networks; empty: none"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.factors) != 4:
            raise UserError(f"texture.factors: must be four factors (five mesh levels), got {len(self.factors)}")
