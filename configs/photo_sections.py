"""Section of the configuration for people's own photos."""

import dataclasses

from configs.sections import Section, option
from lib.errors import UserError


@dataclasses.dataclass(frozen=True)
class Prepare(Section):
    """From a folder of photos to RGBA crops; what lies beside photos and the parser count for test mode, too."""

    input: str = option("folder of photos, nested or not")
    output: str = option("folder of the crops, the sheets to look over and the table of what was left out")
    faces: str = option("of each photo: the largest face, or all", choices=("largest", "all"))
    min_confidence: float = option("detections below this are no face", low=0, high=1)
    min_width: float = option("narrower faces are left out [px of the photo, across the cheeks]", low=1)
    max_blur: float = option("faces with a higher blur effect are left out (0 sharp, 1 nothing left)", above=0, high=1)
    beside: bool = option("use landmarks and masks beside the photos (name.txt, name.npy, name_mask.png)")
    parser: str = option("ONNX file of a face-parsing network that finds the masks; empty: no network is needed")
    parser_size: int = option("side of its input [px]", low=16, high=2048)
    parser_mean: tuple[float, ...] = option("its normalisation of RGB in [0, 1]: subtracted")
    parser_std: tuple[float, ...] = option("its normalisation: divided by", above=0)
    parser_classes: tuple[int, ...] = option("its classes that are face: skin, brows, eyes, nose, mouth, lips", low=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        for key in ("parser_mean", "parser_std"):
            if len(getattr(self, key)) != 3:
                raise UserError(f"prepare.{key}: must be three numbers, got {len(getattr(self, key))}")
