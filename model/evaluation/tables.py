"""Picture sheet and tables of numbers of an evaluation."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from lib.images.contact_sheet import Tile, contact_sheet
from lib.images.display import to_bytes
from model.evaluation.new_views import NEW_YAWS
from model.evaluation.textures import COLUMNS, KINDS, MeasuredFace

VIEW_KINDS = ("truth", "coarse", "projection", "fine", "textured")
HEADINGS = {
    "photo_view": "photo's view, dB",
    "identity": "identity, cosine",
    "new_views": "new views, dB",
    "new_views_ssim": "new views, SSIM",
    "albedo_visible": "albedo visible",
    "albedo_hidden": "albedo hidden",
}
_WIDTH = 2 + max(map(len, HEADINGS.values()))
# Decimal places, enough to tell textures apart.
DIGITS = {"photo_view": 2, "identity": 4, "new_views": 2, "new_views_ssim": 3, "albedo_visible": 4, "albedo_hidden": 4}


# What the splits of the records are to the training of a texture network that was trained with them.
_SPLIT_NOTES = {
    "test": "The texture network's training held them out.",
    "val": "The texture network's training chose its best state by them, so they are not neutral.",
    "train": "The texture network trains on them, so these figures do not tell how it does on others.",
}


def split_note(metrics: Mapping) -> str:
    """What the measured crops are to the texture network's training."""
    if metrics["trained_with_split"]:
        return _SPLIT_NOTES[metrics["split"]]
    if metrics["trained_with_split"] is None:
        return "It is unknown whether the texture network was trained on them."
    return "The texture network was trained on another data set."


def sheet(faces: Sequence[MeasuredFace]) -> Image.Image:
    """Sheet with a few rows per face: photo, four textures, overlay; then truth and textures, a row for a new view."""
    return contact_sheet([row for face in faces for row in _rows(face)])


def _rows(face: MeasuredFace) -> Iterator[list[Tile]]:
    """A face's rows, short enough for the width of a page."""
    yield [(_caption(name, face.columns["photo_view"].get(name)), to_bytes(p)) for name, p in face.photo.items()]
    for yaw, view in zip(NEW_YAWS, face.views, strict=False):
        psnr = face.by_yaw[f"{yaw:g}"]
        yield [(_caption(f"{yaw:g} deg {name}", psnr.get(name)), to_bytes(view[name])) for name in VIEW_KINDS]


def _caption(name: str, decibels: float | None) -> str:
    return name if decibels is None or np.isnan(decibels) else f"{name}  {decibels:.1f} dB"


def print_report(metrics: Mapping, left_out: Sequence[str], output: Path) -> None:
    """Prints the measurements, starting with the table of textures."""
    split = metrics["split"]
    print(f"{metrics['faces']} faces of the {split} split, predicted coefficients; ", end="")
    print("photo's view and new views: PSNR; albedo: mean absolute error, RGB in [0, 1]")
    if split != "test":
        print(f"  {split_note(metrics)}")
    print(f"{'':12}" + "".join(f"{HEADINGS[column]:>{_WIDTH}}" for column in COLUMNS))
    rows = {kind: {column: metrics["textures"][column] for column in COLUMNS} for kind in KINDS}
    for kind, columns in rows.items():
        _print_row(kind, {column: values and values[kind] for column, values in columns.items()})
    print("  textured: the exported albedo texture; optimum: the best of any vertex colours, in the photo's view only")
    if len(metrics["variants"]) > 1:
        print(f"  fine, by every run ({next(iter(metrics['variants']))} is the one above):")
        for name, columns in metrics["variants"].items():
            _print_row(name, columns)
    for line in left_out:
        print(f"  {line}")
    if metrics["textures"]["new_views"] is None:
        print("  these crops have no ground truth: only the photo's view can be measured")
    if regressor := metrics["regressor"]:
        print(
            f"regressor: landmarks {regressor['landmarks_percent']:.2f} % of the outer-eye distance, rotation "
            f"{regressor['rotation_degrees']:.2f} degrees, error of shape {regressor['shape_ratio']:.0%} and of albedo "
            f"{regressor['albedo_ratio']:.0%} of the mean face's"
        )
    for band, found in (metrics["detector"] or {}).items():
        if found is not None:
            points = "" if found["points_percent"] is None else f", points {found['points_percent']:.1f} % off"
            print(f"detector, yaw {band.replace('_', ' ')}: finds {found['found']:.1%} of {found['faces']}{points}")
    if identity := metrics["identity"]:
        print(f"identity: {verification(identity)} between photos of {identity['people']} people not used in training")
    if photos := metrics["photos"]:
        print(
            f"{photos['reconstructed']} of {photos['given']} photos reconstructed: "
            f"coarse {_decibels(photos['psnr_coarse'])}, fine {_decibels(photos['psnr_fine'])}"
        )
    print(f"numbers: {output.resolve() / 'metrics.json'}   table and pictures: {output.resolve() / 'index.html'}")


def _decibels(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f} dB"


def verification(identity: Mapping) -> str:
    """Short text about the ROC curve in `identity_metrics`."""
    rates = (f"TAR {tar:.1%} at FAR {float(far):g}" for far, tar in identity["tar_at_far"].items() if tar is not None)
    return ", ".join([f"AUC {identity['auc']:.3f}", *rates])


def _print_row(name: str, columns: Mapping[str, float | None]) -> None:
    cells = ("-" if columns[c] is None else f"{columns[c]:.{DIGITS[c]}f}" for c in COLUMNS)
    print(f"{name:12}" + "".join(f"{cell:>{_WIDTH}}" for cell in cells))
