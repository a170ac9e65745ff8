"""Sections of the configuration for the networks."""

import dataclasses

from configs.section import Section, option
from lib.errors import UserError

VARIANTS = ("default", "normal", "resnet")
HEADS = ("residual", "published")
INPUTS = ("mirrored", "delit", "lit")
PROJECTIONS = ("zbuffer", "published")


@dataclasses.dataclass(frozen=True)
class ResidualNetwork(Section):
    """Size of a residual network and of the picture it sees."""

    depth: int = option("layers of the residual network (50 in the paper's regressor)", choices=(18, 34, 50))
    width: int = option("channels of the first stage (ResNet's own is 64)", low=4, high=128)
    image_size: int = option("side of the network's input, to which the crop is resized [px]", low=32, high=512)


@dataclasses.dataclass(frozen=True)
class Regressor(ResidualNetwork):
    """R-Net: crop to coefficients."""

    input_range: str = option(
        "centred: RGB in -1..1; published: BGR in 0..255, as the published weights expect",
        choices=("centred", "published"),
    )
    mirror: bool = option("also look at the mirrored crop and average, where the face model's bases are symmetric")
    weights: str = option("trained weights (.npz, written by --mode pretrain), or the published R-Net (.pb, .pth)")


@dataclasses.dataclass(frozen=True)
class Identity(ResidualNetwork):
    """The identity embedding network, for the identity loss and the decoder's input."""

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
        choices=VARIANTS,
    )
    head: str = option(
        "residual: coarse albedo plus a small correction (converges); published: tanh of a convolution",
        choices=HEADS,
    )
    inputs: str = option(
        "delit: photo colour divided by shading, as difference to the coarse albedo; mirrored: also that of the vertex "
        "on the other side; lit: the photo colour itself",
        choices=INPUTS,
    )
    projection: str = option(
        "zbuffer: hidden surfaces tested, bilinear colours; published: facing vertices, nearest pixel",
        choices=PROJECTIONS,
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
