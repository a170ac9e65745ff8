"""Sections of the configuration for photos."""

import dataclasses

from configs.section import Section, option
from lib.errors import UserError


@dataclasses.dataclass(frozen=True)
class Fit(Section):
    """Fitting of the regressed coefficients to one photo."""

    steps: int = option("Adam steps in test mode; 0: no fitting, use the regressor's coefficients", low=0, high=10000)
    learning_rate: float = option("Adam's learning rate, in standard deviations of the prior", above=0, high=1)
    landmarks: bool = option("detect 468 landmarks in the photo and include them in the fit")
    landmark_observations: float = option(
        "number of independent measurements that the landmarks count as; the colours count as 300", above=0
    )
    landmark_sigma: float = option("expected error of a landmark [px at 224 px]", above=0)
    contour_sigma: float = option("expected error of the landmarks on the face contour [px at 224 px]", above=0)
    feature_sigma: float = option("expected error of the landmarks on eyes and lips [px at 224 px]", above=0)
    lip_sigma: float = option(
        "expected error of the landmarks on the lips in the last step, which moves the expression alone [px at 224 px]",
        above=0,
    )
    lip_weight: float = option("weight of the lip opening relative to a landmark", low=0)
    lid_weight: float = option("weight of the lid opening relative to a landmark", low=0)
    detected_sigma: float = option(
        "expected error of the five detected points when used with landmarks [px at 224 px]", above=0
    )
    given_sigma: float = option("expected error of landmarks from a file beside the photo [px at 224 px]", above=0)


@dataclasses.dataclass(frozen=True)
class Test(Section):
    """Reconstruction of a folder of photos."""

    __test__ = False  # pytest would take the name for a test class

    input: str = option("folder of photos, including sub-folders, or one photo (JPEG, PNG, ...; with or without alpha)")
    output: str = option("folder for the results")
    min_confidence: float = option("detections with a lower confidence are ignored", low=0, high=1)
    same_person: bool = option("all photos in a folder show the same person; each sub-folder is another person")
    video: bool = option("treat the input as a video or a folder of frames (--video)")
    frame_rate: float = option(
        "frames per second of a folder of frames, or of a video file with neither a frame rate nor times",
        low=0.01,
        high=65_535,
    )
    smoothing: float = option(
        "cut-off frequency of the motion filter [Hz], from 1/2000 of the frame rate, and no higher than half of it; "
        "faster motion in a video is treated as noise",
        above=0,
    )


@dataclasses.dataclass(frozen=True)
class Track(Section):
    """Tracking of a face at the speed of a camera: `--mode track`, and the live head of `--mode serve`."""

    input: str = option("a video, or a folder of frames of `test.frame_rate` (--mode track)")
    output: str = option("folder for the results")
    cutoff: float = option(
        "cut-off frequency of the smoothing while the face is still [Hz]; a lower one means less jitter and more delay",
        above=0,
        high=1000,
    )


@dataclasses.dataclass(frozen=True)
class Export(Section):
    """Mesh files exported for other programs."""

    formats: tuple[str, ...] = option(
        "obj: textured, with .mtl and PNG textures; glb: textured, relit or as in the photo; ply: vertex colours; "
        "neutral: the shape without expression; rig: a .glb with ARKit's morph targets; usdz: for Apple's viewers, "
        "and with rig also a rig; an empty list (--export none): no mesh",
        choices=("obj", "glb", "ply", "neutral", "rig", "usdz"),
    )
    area: str = option(
        "part of the human head that meshes, turned views and pages show, if larger than face_model.area",
        choices=("face", "ears", "head"),
    )
    hair: bool = option(
        "paint the scalp of whole heads in the colours that the photo shows there (hair, a cap), continued to the "
        "back; in a colour guessed from the brows if the photo hardly shows it; otherwise the scalp is bare skin"
    )
    hair_volume: bool = option(
        "give painted hair the thickness of its outline in the photo, at most 5 cm, and let long hair hang down; "
        "otherwise the skull is its shape"
    )
    unit: str = option("unit of .obj and .ply files; .glb and .usdz are always in metres", choices=("mm", "dm", "m"))
    texture_size: int = option("side of the textures [px]", low=256, high=4096)
    normal_map: bool = option("add a normal map derived from the photo's fine shading to textured meshes")


@dataclasses.dataclass(frozen=True)
class Prepare(Section):
    """Conversion of photos to RGBA crops; test mode also uses `faces`, the files beside photos and the parser."""

    input: str = option("folder of photos, including sub-folders, or one photo")
    output: str = option("folder for the crops, the contact sheets and left_out.csv")
    faces: str = option(
        "faces to take from each photo: the largest, or all (not for videos and --same-person)",
        choices=("largest", "all"),
    )
    min_confidence: float = option("detections with a lower confidence are ignored", low=0, high=1)
    min_width: float = option(
        "faces narrower than this are left out [px across the cheeks; photos above 25 megapixels are reduced before]",
        low=1,
    )
    max_blur: float = option("faces blurrier than this are left out (0: sharp, 1: fully blurred)", above=0, high=1)
    beside: bool = option("use landmarks and masks beside the photos (name.txt, .npy, .pts, name_mask.png)")
    parser: str = option(
        "face-parsing network (.onnx, .tflite) that computes the masks; empty: the mask decoder in test mode with "
        "fit.landmarks, otherwise a graph cut"
    )
    parser_size: int = option("side of the parser's input [px]", low=16, high=2048)
    parser_mean: tuple[float, ...] = option("mean subtracted from the parser's input, RGB in [0, 1]")
    parser_std: tuple[float, ...] = option("standard deviation the parser's input is divided by", above=0)
    parser_classes: tuple[int, ...] = option(
        "the parser's classes that count as face: skin, brows, eyes, nose, mouth, lips (MediaPipe's "
        "selfie_multiclass: [3])",
        low=0,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for key in ("parser_mean", "parser_std"):
            if len(getattr(self, key)) != 3:
                raise UserError(f"prepare.{key}: must be three numbers, got {len(getattr(self, key))}")
