"""Sections of the configuration for people's own photos."""

import dataclasses

from configs.section import Section, option
from lib.errors import UserError


@dataclasses.dataclass(frozen=True)
class Fit(Section):
    """Fitting of the regressed coefficients to one photo."""

    steps: int = option("Adam steps in test mode; 0 trusts the regressor alone", low=0, high=10000)
    learning_rate: float = option("Adam's learning rate, in prior standard deviations", above=0, high=1)


@dataclasses.dataclass(frozen=True)
class Test(Section):
    """Reconstruction of a folder of photos."""

    __test__ = False  # pytest would take the name for a test class

    input: str = option("folder of photos, nested or not (JPEG, PNG, WebP, TIFF, ...; with or without alpha)")
    output: str = option("folder the results are written to")
    min_confidence: float = option("detections below this are no face", low=0, high=1)
    same_person: bool = option("all photos of a folder show one person; sub-folders: one person each")
    video: bool = option("the input is a video or a folder of frames (--video)")
    frame_rate: float = option("frames a second of a folder of frames, and of a video that does not tell", above=0)
    smoothing: float = option("motion of a video above this frequency is noise [Hz]", above=0)


@dataclasses.dataclass(frozen=True)
class Export(Section):
    """Files of a reconstructed photo for other programs."""

    formats: tuple[str, ...] = option(
        "obj: textured, with .mtl and PNG textures; glb: textured, relit or as in the photo; ply: vertex colours; "
        "neutral: the shape without expression; none: no mesh",
        choices=("obj", "glb", "ply", "neutral"),
    )
    texture_size: int = option("side of the textures [px]", low=256, high=4096)
    normal_map: bool = option("relief from the photo's fine shading, in .obj and .glb")


@dataclasses.dataclass(frozen=True)
class Prepare(Section):
    """From a folder of photos to RGBA crops; test mode uses the sidecar files and the parser, too."""

    input: str = option("folder of photos, nested or not")
    output: str = option("folder of the crops, the sheets to look over and the table of what was left out")
    faces: str = option("of each photo: the largest face, or all", choices=("largest", "all"))
    min_confidence: float = option("detections below this are no face", low=0, high=1)
    min_width: float = option("narrower faces are left out [px of the photo, across the cheeks]", low=1)
    max_blur: float = option("faces with a higher blur effect are left out (0 sharp, 1 nothing left)", above=0, high=1)
    beside: bool = option("use sidecar files with landmarks and masks (name.txt, name.npy, name_mask.png)")
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
