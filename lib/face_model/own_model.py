"""Faults that a face model of somebody else's making may have without any array being wrong in itself."""

import numpy as np

from lib.errors import UserError
from lib.face_model.face_model import FaceModel
from lib.face_model.landmark_order import check_landmarks

# The outer corners of the eyes are 0.8 to 1 dm apart in people.
EYE_CORNERS = (36, 45)
NEAREST, FARTHEST, USUAL = 0.5, 1.5, 0.9
# Fitted colours overshoot a little.
ALBEDO_TOLERANCE = 0.05
# Largest turn [degrees] against the built-in face; mean faces of models are within 5.
LARGEST_TURN = 45


def check_own_model(model: FaceModel, where: str, source: FaceModel, *, converted: bool = False) -> None:
    """Refuses a model in other units or another frame, with landmarks in another order, or turned inside out.

    Networks would be trained on its faces for hours before anything looked wrong.

    Args:
      model: with consistent arrays.
      where: its file, for messages.
      source: the built-in model, whose landmarks are in order.
      converted: True if `where` is in another form than this program's, so that its arrays have other names.

    Raises:
      UserError: names the array and the likely cause.
    """
    similarity = check_landmarks(model.mean_shape[model.landmarks], source, where)
    right, left = model.mean_shape[model.landmarks[list(EYE_CORNERS)]].astype(np.float64)
    width = float(np.linalg.norm(left - right))
    if not NEAREST <= width <= FARTHEST:
        _fail(
            where, "the mean face" if converted else "mean_shape",
            f"in decimetres, with {NEAREST} to {FARTHEST} between landmarks 36 and 45, the outer corners of the eyes",
            f"{width:.4g}" + (" after conversion" if converted else ""),
            f"multiply all lengths in the file by {10.0 ** round(np.log10(USUAL / max(width, 1e-30))):g}"
            if converted else _unit(width),
        )  # fmt: skip
    linear = similarity[:3, :3] / np.cbrt(np.linalg.det(similarity[:3, :3]))
    turn = float(np.degrees(np.arccos(np.clip((np.trace(linear) - 1) / 2, -1, 1))))
    if turn > LARGEST_TURN:
        _fail(
            where, "the mean face" if converted else "mean_shape",
            "a face that looks along +z, with x to the right of its image and y up",
            f"one turned by {turn:.0f} degrees", "turn it and all bases of shapes",
        )  # fmt: skip
    lowest, highest = float(model.mean_albedo.min()), float(model.mean_albedo.max())
    if lowest < -ALBEDO_TOLERANCE or highest > 1 + ALBEDO_TOLERANCE:
        advice = "0 to 255? divide it and albedo_basis by 255" if highest > 2 else "clip it"
        _fail(where, "mean_albedo", "within 0..1", f"{lowest:.4g}..{highest:.4g}", advice)
    towards_camera = _front_normal(model)[2]
    if not towards_camera > 0:
        _fail(
            where, "triangles", "counter-clockwise seen from outside, so that the front faces the camera at +z",
            f"a mean normal with z = {towards_camera:.2g}", "clockwise? reverse every row",
        )  # fmt: skip


def _unit(width: float) -> str:
    """The likely cause of a distance between the eyes' corners that is not in decimetres, and what to do."""
    for unit, size in (("metres", 10.0), ("centimetres", 0.1), ("millimetres", 0.01)):
        if NEAREST <= width * size <= FARTHEST:
            return f"{unit}? multiply mean_shape, identity_basis and expression_basis by {size:g}"
    return "other units?"


def _front_normal(model: FaceModel) -> np.ndarray:
    """[3] mean normal of the triangles of the front, weighted by area; 0 without any."""
    corners = model.mean_shape[model.triangles[model.front_mask[model.triangles].any(axis=1)]].astype(np.float64)
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]).sum(axis=0)
    return normals / max(np.linalg.norm(normals), 1e-30)


def _fail(where: str, what: str, expected: str, got: str, advice: str) -> None:
    raise UserError(f"{where}: {what} must be {expected}, got {got} ({advice})")
