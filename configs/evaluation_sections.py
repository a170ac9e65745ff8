"""Section of the configuration for measuring."""

import dataclasses

from configs.section import SEEDS, Section, option


@dataclasses.dataclass(frozen=True)
class Evaluate(Section):
    """Measurements of `--mode evaluate`."""

    input: str = option("folder of photos to measure instead of the records (--input); empty: the records")
    crops: bool = option("the input folder holds aligned RGBA crops in create_bin.py's format instead of photos")
    output: str = option("folder for the measurements and contact sheets")
    split: str = option("part of the records to measure", choices=("test", "val", "train"))
    faces: int = option("number of crops to measure; 0: all", low=0)
    sheet_faces: int = option("measured crops shown on the contact sheets", low=1, high=64)
    networks: tuple[str, ...] = option(
        "additional identity networks to compare photo and rendering: YAML files describing .pb or ONNX networks"
    )
    runs: tuple[str, ...] = option(
        "texture runs to compare on the same crops, named by the second part of their folder"
    )
    detector_faces: int = option("new synthetic photos for measuring the face detector; 0: none", low=0)
    identity_people: int = option(
        "people the identity network must tell apart, with four new synthetic photos each; 0: none", low=0
    )
    seed: int = option(
        "seed of the new photos; must differ from data.synthetic_seed and pretrain.seed", low=0, high=SEEDS
    )
