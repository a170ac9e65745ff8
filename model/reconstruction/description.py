"""Numerical description of a reconstructed photo, sufficient to draw the face over the original photo."""

from typing import TYPE_CHECKING, Any

import numpy as np

from lib.face_model_files.arkit import arkit_weights
from lib.geometry.lighting import AMBIENT, BAND_FACTORS
from model.gaze import still_gaze, with_gaze

if TYPE_CHECKING:
    from model.reconstruction.photo_result import PhotoResult

CAMERA = (
    "a pinhole at (0, 0, distance) looking along -z, x right, y up; a world point (X, Y, Z) lies in the crop at "
    "principal_point[0] + focal_length X / (distance - Z), principal_point[1] - focal_length Y / (distance - Z): "
    "pixels, x right, y down, pixel i spans [i, i + 1)"
)
POSE = (
    "world = rotation @ vertex + translation, for vertices in decimetres (those of .glb times 10; those of .obj and "
    ".ply with export.unit=dm)"
)
LANDMARKS_3D = "x, y, z of vertices of the meshes, decimetres, before the pose; the 68 in iBUG order"
# The seven landmarks of the NoW challenge (Sanyal et al. 2019) among the 68: corners of the eyes from the image's left
# to its right, base of the nose, corners of the mouth.
NOW_LANDMARKS = (36, 39, 42, 45, 33, 48, 54)
LIGHT = (
    "colour = albedo * sum_k factors[k] * (sh[channel][k] + (ambient if k == 0 else 0)) * basis[k](normal), the normal "
    "in the world frame; colours are the photo's sRGB values in [0, 1], not linear"
)
ARKIT_DECIMALS = 5
BASIS = ["1", "y", "z", "x", "x*y", "y*z", "3*z*z - 1", "x*z", "x*x - y*y"]


def describe(result: "PhotoResult") -> dict[str, Any]:
    """Coefficients by name, camera, pose, light and landmarks of a reconstructed photo, as JSON values."""
    photo, pose = result.photo, result.pose
    face_model, camera = result.export.morphable.face_model, result.export.camera
    coefficients = {name: result.coefficients[part] for name, part in face_model.layout.slices.items()}
    gaze = still_gaze(face_model) if result.gaze is None else result.gaze
    to_crop = np.vstack([photo.alignment.photo_to_crop, [0, 0, 1]])
    height, width = camera.image_size
    return {
        "photo": photo.name,
        "photo_size": list(photo.photo_size),
        "face_model": {"name": face_model.name, "fingerprint": result.fingerprint},
        "coefficients": {name: values.tolist() for name, values in coefficients.items()},
        "arkit": {
            name: round(float(weight), ARKIT_DECIMALS)
            for name, weight in with_gaze(arkit_weights(face_model, coefficients["expression"]), gaze).items()
        },
        "photo_to_crop": photo.alignment.photo_to_crop.tolist(),
        "crop_to_photo": np.linalg.inv(to_crop)[:2].tolist(),
        "crop_size": photo.rgb.shape[0],
        "camera": {
            "convention": CAMERA,
            "focal_length": camera.focal_length,
            "principal_point": [width / 2, height / 2],
            "distance": camera.distance,
        },
        "pose": {
            "convention": POSE,
            "rotation": pose.rotation.tolist(),
            "translation": pose.translation.tolist(),
        },
        "light": {
            "convention": LIGHT,
            "sh": result.light.tolist(),
            "ambient": AMBIENT,
            "factors": list(BAND_FACTORS),
            "basis": BASIS,
        },
        "detected_points_in_photo": photo.face.points.tolist(),
        "landmarks_in_photo": result.landmarks.tolist(),
        "landmarks_3d": {
            "convention": LANDMARKS_3D,
            "vertices": face_model.landmarks.tolist(),
            "positions": result.landmarks_3d.tolist(),
            "now_challenge": list(NOW_LANDMARKS),
        },
        "landmarks_given": bool(photo.face.given),
        "mask_given": photo.alpha is not None,
        "quarter_turns": photo.turns,
        "remark": photo.remark,
    }


def landmark_tables(result: "PhotoResult") -> dict[str, str]:
    """Contents of landmarks.txt (68) and landmarks_now.txt (the NoW challenge's 7, coordinates alone).

    Coordinates are those of mesh.obj, in its unit.
    """
    vertices, unit = result.export.morphable.face_model.landmarks, result.export.unit
    points = result.export.scale * result.landmarks_3d
    pairs = zip(vertices, points, strict=True)
    rows = [f"{number} {vertex} {_row(point)}" for number, (vertex, point) in enumerate(pairs)]
    return {
        "landmarks.txt": "\n".join([f"# landmark vertex x y z (from 0; {unit})", *rows, ""]),
        "landmarks_now.txt": "".join(_row(points[number]) + "\n" for number in NOW_LANDMARKS),
    }


def _row(point: np.ndarray) -> str:
    return " ".join(f"{value:.7g}" for value in point)
