"""Published files that are not part of the repository: purpose, source, licence and checksum."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Asset:
    """A published file.

    Attributes:
      names: file names under which it is distributed; one of them is enough.
      purpose: what the program uses it for.
      source: where to get it.
      licence: its terms.
      size: bytes, None if not publicly known.
      sha256: hexadecimal, None if not publicly known.
      optional: the program works without it.
    """

    names: tuple[str, ...]
    purpose: str
    source: str
    licence: str
    size: int | None = None
    sha256: str | None = None
    optional: bool = False


_DEEP3D = "https://github.com/microsoft/Deep3DFaceReconstruction (folder BFM)"
_BASEL = "University of Basel, on request: https://faces.dmi.unibas.ch/bfm/"

# Files of the Basel Face Model 2009, and the file into which other programs convert them.
BASEL_RAW = (
    Asset(
        ("01_MorphableModel.mat",),
        "mean face, identity and albedo bases",
        _BASEL,
        "Basel's: non-commercial, no redistribution",
    ),
    Asset(
        ("Exp_Pca.bin",),
        "expression basis",
        "https://github.com/Juyong/3DFace",
        "its authors': research only",
        size=51_086_404,
    ),
    Asset(
        ("std_exp.txt",),
        "standard deviations of the expressions",
        _DEEP3D,
        "MIT",
        615,
        "4abc20f1cad2471272637d366b511f1a44c2befeeb1353b7fff392ef72ed1203",
    ),
    Asset(
        ("BFM_exp_idx.mat",),
        "vertices that have expressions",
        _DEEP3D,
        "MIT",
        91_931,
        "62752a2cab3eea148569fb07e367e03535b4ee04aa71ea1a9aed36486d26c612",
    ),
    Asset(
        ("BFM_front_idx.mat",),
        "vertices of the face",
        _DEEP3D,
        "MIT",
        44_880,
        "7d285dd018563113496127df9c364800183172adb4d3e802f726085dab66b087",
    ),
    Asset(
        ("facemodel_info.mat",),
        "triangles, landmarks, masks",
        _DEEP3D,
        "MIT",
        738_861,
        "529398f76619ae7e22f43c25dd60a2473bcc2bcc8c894fd9c613c68624ce1c04",
    ),
)
BASEL_READY = Asset(
    ("BFM_model_front.mat", "bfm2009_face.mat"),
    "the six files above, converted by another program",
    "made from them, e.g. by Deep3DFaceReconstruction",
    "Basel's: non-commercial, no redistribution",
)
BASEL_OPTIONAL = (
    Asset(
        ("select_vertex_id.mat",),
        "compared with the two lists of vertices",
        _DEEP3D,
        "MIT",
        62_299,
        "6877a7d634330f25bf1e81bc062b6507ee53ea183838e471fa21b613048fa36b",
        optional=True,
    ),
    Asset(("face05_4seg.mat",), "region of the skin", _BASEL, "Basel's", optional=True),
    Asset(
        ("face05_symlist.txt",),
        "mirrored vertices",
        "unknown (the paper's code, https://github.com/FuxiCV/3D-Face-GCNs, reads it but does not contain it)",
        "not stated",
        optional=True,
    ),
)
REGRESSOR_GRAPH = Asset(
    ("FaceReconModel.pb",),
    "R-Net: photo to coefficients",
    "https://github.com/microsoft/Deep3DFaceReconstruction (its README links it)",
    "MIT code; the network's own terms are not stated",
)
REGRESSOR_CHECKPOINT = Asset(
    ("epoch_20.pth",),
    "R-Net of the PyTorch version: photo to coefficients",
    "https://github.com/sicxu/Deep3DFaceRecon_pytorch (its README links it)",
    "MIT code; the network's own terms are not stated",
)
SLIM_CHECKPOINT = Asset(
    ("resnet_v1_50.ckpt",),
    "ResNet-50 trained on ImageNet, which the regressor's training starts from",
    "https://github.com/tensorflow/models (TF-Slim: resnet_v1_50_2016_08_28.tar.gz)",
    "Apache-2.0 code; trained on ImageNet",
)
IDENTITY_GRAPH = Asset(
    ("FaceNetModel.pb", "20170512-110547.pb"),
    "FaceNet: photo to identity features",
    "https://github.com/davidsandberg/facenet (archive 20170512-110547)",
    "MIT",
)
