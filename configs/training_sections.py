"""Sections of the configuration for training and pre-training."""

import dataclasses

from configs.section import SEEDS, Section, option, plain_name_fault
from lib.errors import UserError

# train.epochs and train.learning_rate of 0 stand for these.
EPOCHS, RATE = 8, 3e-3
EPOCHS_FROM_WEIGHTS, RATE_FROM_WEIGHTS = 2, 3e-4


@dataclasses.dataclass(frozen=True)
class Loss(Section):
    """Weights of the texture networks' loss terms, all on colours in [-1, 1]."""

    render: float = option(
        "L1 between rendering and photo on the skin; training converges because of it (0 in the paper)", low=0
    )
    project: float = option("L1 between shaded vertex colours and the photo at visible vertices (L_pix)", low=0)
    hidden: float = option(
        "difference between fine and coarse colours of hidden vertices (0.3 x project in the paper)", low=0
    )
    identity: float = option(
        "1 - cosine of the identity embeddings of photo and rendering without occlusions (L_id, paper 0.2)", low=0
    )
    symmetry: float = option("albedo difference of mirrored vertices; the paper's 0.5 costs detail (L_sym)", low=0)
    albedo: float = option(
        "with texture.intrinsic: L1 between the predicted and the true albedo; unless all crops are synthetic ones of "
        "create_bin.py, between the predicted albedo and that of the weights that the run started from, or the "
        "appearance if it started from random weights",
        low=0,
    )
    variance: float = option("variance of the albedo over the skin (L_std, paper 0.01)", low=0)
    coarse: float = option(
        "L1 between fine and coarse albedo, at the start; the network first learns to copy (L_rec); later, and in runs "
        "from texture.weights at once, at most schedule.coarse_end; 0: never",
        low=0,
    )
    weight_decay: float = option("L2 on the fully connected layers (paper 5e-4)", low=0)


@dataclasses.dataclass(frozen=True)
class Schedule(Section):
    """Learning rate and loss weights over a run (model/runs/schedule.py)."""

    rate: str = option(
        "cosine: warm-up, then cosine decay to zero; staircase: multiplied by `decay` every epoch (paper)",
        choices=("cosine", "staircase"),
    )
    warmup: int = option("updates of the linear warm-up of `cosine`, at most a tenth of the run", low=0)
    decay: float = option("factor per epoch of `staircase` (paper 0.98)", above=0, high=1)
    stages: str = option(
        "ramp: the coarse weight decays once, the others are constant; "
        "published: factor clip(0.2 epoch, 0, 1) on all but coarse; not from texture.weights",
        choices=("ramp", "published"),
    )
    coarse_end: float = option("`ramp`: final weight of the coarse term, at most loss.coarse", low=0)
    coarse_fraction: float = option(
        "`ramp`: share of the run over which the coarse weight decays; at once if it starts from texture.weights",
        low=0,
        high=1,
    )


@dataclasses.dataclass(frozen=True)
class Train(Section):
    """The training of the texture networks."""

    suffix: str = option("second part of the run folder's name; empty: texture.variant, plus _gan with --gan")
    stage: str = option(
        "all: all loss terms; rec: only the coarse term, not from texture.weights; render: all but the coarse term",
        choices=("all", "rec", "render"),
    )
    restore: bool = option("continue from the run's last checkpoint instead of starting over")
    seed: int = option("seed of the initial weights and the data order", low=0, high=SEEDS)
    batch_size: int = option("crops per update; many small updates learn faster than few large ones", low=1, high=1024)
    epochs: int = option(
        f"passes over the training crops; 0: {EPOCHS}, or {EPOCHS_FROM_WEIGHTS} if the run starts from texture.weights",
        low=0,
    )
    updates_per_epoch: int = option("updates per epoch; 0: all training crops once", low=0)
    learning_rate: float = option(
        f"Adam's peak learning rate (paper 1e-4); 0: {RATE:g} from random weights (2e-3 to 5e-3 converges), "
        f"{RATE_FROM_WEIGHTS:g} from texture.weights",
        low=0,
        high=1,
    )
    clip_norm: float = option("maximum gradient norm per variable (paper 5)", above=0)
    epsilon: float = option("Adam's epsilon, added to the root of the mean square (paper 1e-8)", above=0, high=1)
    eval_every: float = option(
        "interval between validations; 0: one epoch, below 1: share of an epoch, otherwise: number of updates", low=0
    )
    deterministic: bool = option(
        "equal weights on every run with the same processor, whatever the number of workers and threads; slower with "
        "more than four processors; CPU only; also in --mode pretrain and masks"
    )
    hide: float = option("share of crops with a random part hidden, which the network must fill in", low=0, high=1)
    samples: int = option("faces per sample sheet", low=1, high=64)
    weights: str = option("file that also receives the best weights, compactly, for texture.weights; empty: none")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.eval_every > 1 and not self.eval_every.is_integer():
            raise UserError(
                f"train.eval_every: must be at most 1 or a whole number of updates, got {self.eval_every:g}"
            )
        if self.suffix and (fault := plain_name_fault(self.suffix)):
            raise UserError(f"train.suffix: {fault}")


@dataclasses.dataclass(frozen=True)
class Gan(Section):
    """The WGAN-GP critic of the rendered face."""

    enabled: bool = option("train against a critic")
    adversarial: float = option("weight of the critic's score in the texture loss (paper 1e-3)", low=0)
    critic_steps: int = option("critic updates per texture update (paper 5)", low=1, high=100)
    penalty: float = option("weight of the gradient penalty", low=0)
    learning_rate: float = option("learning rate of the critic's Adam optimizer", above=0, high=1)


@dataclasses.dataclass(frozen=True)
class Pretrain(Section):
    """Training of the regressor and the identity network on synthetic faces."""

    count: int = option("synthetic faces to render", low=8)
    image_size: int = option("side of the rendered images [px]", low=32, high=512)
    held_out: float = option("share of the identities held out for evaluation", above=0, high=0.5)
    initial: str = option(
        "TF-Slim checkpoint (resnet_v1_50.ckpt) that initialises the regressor's ResNet-50; empty: random weights"
    )
    seed: int = option("seed of the faces, the initial weights and the data order", low=0, high=SEEDS - 1)
    batch_size: int = option("faces per update", low=2, high=1024)
    regressor_updates: int = option("updates of the regressor", low=0)
    identity_updates: int = option("updates of the identity network", low=0)
    learning_rate: float = option("Adam's peak learning rate; warm-up, then cosine decay to zero", above=0, high=1)
    clip_norm: float = option("maximum global gradient norm", above=0)
    checkpoint_every: int = option(
        "updates between checkpoints, at most two minutes; an interrupted run resumes from the last one", low=1
    )
    gain: float = option("augmentation: spread of the light's gain; the light coefficients change with it", low=0)
    pattern: float = option(
        "augmentation: spread of a smooth pattern of light and shadow that no light coefficient expresses", low=0
    )
    noise: float = option(
        "augmentation: maximum standard deviation of the pixel noise, for values in [0, 1]", low=0, high=1
    )
    background: float = option(
        "augmentation: share of faces for which another photo replaces all that is not visible skin: background, hair, "
        "neck, clothes, and what is in front of the face",
        low=0,
        high=1,
    )
    boxes: float = option("augmentation: share of faces partly covered by a box from another photo", low=0, high=1)
    coarse: float = option("augmentation: share of faces shown as small photos, enlarged", low=0, high=1)
    mirror: bool = option("augmentation, regressor: add mirrored faces with mirrored coefficients")
    shift: float = option("augmentation, identity: maximum shift, as a share of the side", low=0, high=0.5)
    zoom: float = option("augmentation, identity: spread of the logarithm of the scale", low=0, high=1)
    cosine_scale: float = option("identity: scale of the cosines in the softmax", above=0)
    cosine_margin: float = option(
        "identity: margin subtracted from the cosine of the true class, ramped up at the start", low=0, high=1
    )
    vertices: int = option("number of vertices used for the direct terms", low=3)
    coefficients: float = option("weight, direct: coefficient error", low=0)
    landmarks: float = option("weight, direct: landmark distance [unit: 20 px at 224 px]", low=0)
    dense: float = option("weight, direct: distance of the vertices in the image [unit: 20 px at 224 px]", low=0)
    turned: float = option("weight, direct: distance of rotated vertices, without translation [dm]", low=0)
    rotation: float = option("weight, direct: angle between the rotations [radians]", low=0)
    translation: float = option("weight, direct: distance of the translations [dm]", low=0)
    canonical: float = option("weight, direct: distance of vertices before posing [dm]", low=0)
    albedo: float = option("weight, direct: L1 of the albedo, which coefficient error alone leaves at the mean", low=0)
    light: float = option("weight, direct: L1 of the shading, for the same reason", low=0)
    weak: float = option("weight of Deep3DFaceReconstruction's weakly supervised loss", low=0)
    weak_share: float = option("share of the batch rendered for the weak loss; rendering is slow", above=0, high=1)
