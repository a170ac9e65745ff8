"""Sections of the configuration for training and pre-training."""

import dataclasses

from configs.section import Section, option


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
    """Learning rate and loss weights over a run (model/runs/schedule.py)."""

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
    hide: float = option("share of crops of which the network must complete a random hidden part", low=0, high=1)
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
