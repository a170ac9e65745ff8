"""Section of the configuration for measuring."""

import dataclasses

from configs.section import Section, option


@dataclasses.dataclass(frozen=True)
class Evaluate(Section):
    """Measurements of `--mode evaluate`."""

    input: str = option("folder of photos measured in place of the records (--input); empty: the records")
    crops: bool = option("this folder holds aligned RGBA crops, as create_bin.py takes them, instead of photos")
    output: str = option("folder of the numbers and picture sheets")
    split: str = option("part of the records that is measured", choices=("test", "val", "train"))
    faces: int = option("crops of this part measured; 0: all", low=0)
    sheet_faces: int = option("of these on the picture sheets", low=1, high=64)
    networks: tuple[str, ...] = option(
        "further identity networks that compare photo and rendering: YAML files that describe a .pb or ONNX network"
    )
    runs: tuple[str, ...] = option("texture runs compared on the same crops, by the second part of their folder")
    detector_faces: int = option("fresh synthetic photos shown to the face detector; 0: none", low=0)
    identity_people: int = option(
        "people the identity network must distinguish, four fresh photos each; 0: none", low=0
    )
    seed: int = option("seed of the fresh photos; must differ from the data's and the pre-training's", low=0)
