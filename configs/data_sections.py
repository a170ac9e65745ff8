"""Sections of the configuration for crops, face model and camera."""

import dataclasses

from configs.section import SEEDS, Section, option, plain_name_fault
from lib.errors import UserError
from lib.geometry.reference import DISTANCE, FOCAL_RATIO


@dataclasses.dataclass(frozen=True)
class Data(Section):
    """The face crops: how they are packed, split and read."""

    name: str = option(
        "name of the data set: data/<name>.bin, data/params/<name>/, first part of the run folder's name"
    )
    root_dir: str = option("folder that holds data/ and checkpoints/")
    records: str = option(
        "record file to train on, or the index of several (`create_bin.py --index`); the split in data/params/<name>/ "
        "must name exactly its records; empty: data/<name>.bin"
    )
    image_size: int = option("side of the square crops [px]; the camera scales with it", low=32, high=1024)
    synthetic_count: int = option("synthetic crops that create_bin.py renders when run without --input", low=3)
    synthetic_seed: int = option("seed of the synthetic crops; must differ from pretrain.seed", low=0, high=SEEDS)
    validation: float = option("share of the crops kept for validation", above=0, high=0.5)
    test: float = option("share of the crops kept for testing", above=0, high=0.5)
    split_seed: int = option(
        "seed of the split; separate from train.seed, so that runs with different seeds are comparable",
        low=0,
        high=SEEDS,
    )
    buffer_size: int = option("batches prefetched while the network computes", low=1)
    workers: int = option(
        "processes or threads that prepare data or reconstruct photos (--mode test: at most one per two photos); 0: "
        "one per processor, in --mode test and prepare fewer if memory is short",
        low=0,
        high=256,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if fault := plain_name_fault(self.name):
            raise UserError(f"data.name: {fault}")
        if self.validation + self.test >= 1:
            raise UserError(
                f"data.validation and data.test: must add up to less than 1, got {self.validation:g} and {self.test:g}"
            )


@dataclasses.dataclass(frozen=True)
class FaceModel(Section):
    """The morphable model."""

    source: str = option(
        "'human-head', 'built-in' (a face drawn by formulas), or a face model's file or folder (forms: data/README.md)"
    )
    area: str = option(
        "part of the human head that is reconstructed; ears: face with ears; face with any other source",
        choices=("face", "ears", "head"),
    )
    vertex_count: int = option(
        "approximate vertex count of the built-in model, or of the human head's face (3,800, 11,000, 39,000 "
        "or 152,000, the nearest of these); more vertices: finer and slower",
        low=2000,
        high=200000,
    )
    seed: int = option(
        "seed of the built-in model's bases; its shipped weights fit the default seed only", low=0, high=SEEDS
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.area != "face" and self.source != "human-head":
            raise UserError(
                f"face_model.area: must be face unless face_model.source is human-head, got {self.area} (leave it out)"
            )


@dataclasses.dataclass(frozen=True)
class Camera(Section):
    """The pinhole camera to which all crops are aligned."""

    focal_ratio: float = option(
        "focal length divided by image side; synthetic faces need the published alignment's 1015 px / 224 px",
        low=0.1,
        high=100,
    )
    distance: float = option(
        "distance from the camera to the origin [dm]; synthetic faces need the published alignment's 10",
        above=1,
        high=1000,
    )

    @property
    def is_synthetic(self) -> bool:
        """Whether synthetic faces show this camera."""
        return (self.focal_ratio, self.distance) == (FOCAL_RATIO, DISTANCE)

    def check_synthetic(self) -> None:
        """Raises UserError if synthetic faces would show another camera than this one."""
        if not self.is_synthetic:
            raise UserError(
                f"camera.focal_ratio, camera.distance: must be {FOCAL_RATIO:g} and {DISTANCE:g} for synthetic faces, "
                f"got {self.focal_ratio:g} and {self.distance:g} (leave them out, or train on crops of photos)"
            )
