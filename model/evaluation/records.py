"""Measures the shipped and trained networks on held-out crops; writes the numbers of results/evaluate.

Rows: `projection` is the de-lit projection, which needs no network: pixel colours divided by the shading where the
photo shows the vertex, the coarse albedo elsewhere. `optimum` is the best result of any vertex colours on the same
geometry; it is defined in the photo's view only. Columns:

  photo_view: PSNR over the pixels that are inside both alpha and the rendered face.
  identity: cosine between the identity network's embeddings of the photo and of the rendering laid over it.
  new_views: PSNR over skin, on the true shape turned 30 and 60 degrees away from the side that the photo shows,
    under a new light (model/evaluation/new_views.py). `textured` is the exported albedo texture, baked from the crop.
  new_views_ssim: SSIM over the skin of the same pictures.
  albedo_visible, albedo_hidden: mean absolute albedo error, RGB in [0, 1], over the skin of the face's front that the
    photo shows or does not show; occluded skin is hidden. All vertices of all faces have equal weight.

If the network predicts two textures, `fine` is the appearance in the photo's view and the albedo everywhere else. All
columns use predicted coefficients. New views and albedo errors need the ground truth of synthetic crops. `gain_aligned`
repeats new_views and both albedo errors after scaling each face's texture by one factor, fitted to the truth over the
front's skin, because a photo cannot separate a dark face in bright light from a bright face in dim light.
"""

import dataclasses
import importlib.metadata
import json
import platform
import signal
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from configs import schema
from lib.errors import UserError
from lib.files.atomic import atomic_path
from lib.files.json_files import write_json
from lib.files.own_files import check_replaceable, contains, has_keys, is_png
from lib.records.record_index import open_records
from lib.records.record_writer import manifest_path
from lib.records.records import Records
from lib.records.splits import load_split
from lib.runtime.interruption import Interrupted
from model.evaluation.fresh_photos import check_crops, check_new_photos, measure_networks
from model.evaluation.images import FILES as IMAGE_FILES
from model.evaluation.images import ImageEvaluation, print_means
from model.evaluation.other_runs import check_training_data, identifiers, other_runs, run_name
from model.evaluation.page import write_evaluation_page
from model.evaluation.tables import print_report, sheet
from model.evaluation.textures import ALIGNED, COLUMNS, KINDS, MeasuredFace, TextureMeasure, TrueFace
from model.input_pipeline import batches as crop_batches
from model.input_pipeline.frozen_outputs import encode_records
from model.input_pipeline.ground_truth import record_truth
from model.networks.encoding import EncodedFaces
from model.pipeline import load_pipeline, restore_texture_network
from utils import seed_everything

PACKAGES = ("tensorflow", "keras", "numpy", "scipy", "numba", "pillow", "opencv-python-headless", "mtcnn")
# The files that `evaluate` writes, see `check_replaceable`.
FILES = IMAGE_FILES | {
    "sheet.png": is_png,
    "metrics.json": has_keys("detector", "regressor", "split", "versions"),
    "index.html": contains(b"<title>Measured on "),
}


def evaluate(config: schema.Config, output: Path) -> dict:
    """Measures the run's best texture network and the frozen networks, and collects measurements of earlier stages.

    Args:
      config: the effective configuration.
      output: receives metrics.json, sheet.png and index.html, a page with both; and images.csv, images.json and
        images.png with the measures of the paper's comparison (model/evaluation/images.py).

    Returns:
      The content of metrics.json.

    Raises:
      UserError: there are no records or no trained network, or a network was trained on what would be measured.
      Interrupted: what was measured until then is written, marked as partial.
    """
    started, output = time.monotonic(), Path(output)
    check_replaceable(output, FILES)
    seed_everything(config.train.seed)
    check_new_photos(config)
    photos_before, seconds = _photos(config), _seconds(config)  # damaged files fail early
    records, indices, data = _held_out(config)
    trained_with_split = check_training_data(config, data)
    pipeline = load_pipeline(config)
    check_crops(config, pipeline.face_model.fingerprint, data["crops"])
    restore_texture_network(pipeline)
    (others, left_out), images = other_runs(config, data), ImageEvaluation(pipeline)
    encoded = encode_records(records, pipeline.encode, config.generated_dir, pipeline.cache_key, needed=indices)
    truth = record_truth(config, records, pipeline.face_model.fingerprint)
    faces: list[MeasuredFace] = []
    networks: dict[str, dict | None] = dict.fromkeys(("detector", "regressor", "identity"))

    def write(partial: bool) -> dict:
        metrics = {
            "partial": partial,
            **networks,
            "identity_auc": networks["identity"] and networks["identity"]["auc"],
            **_texture_metrics(faces, run_name(config), list(others)),
            "split": config.evaluate.split,
            "trained_with_split": trained_with_split,
            "images": images.means(),
            "photos": photos_before,
            "seconds": seconds | {"evaluate": round(time.monotonic() - started, 1)},
            "versions": {"python": platform.python_version()} | {p: importlib.metadata.version(p) for p in PACKAGES},
        }
        _write(output, metrics, images, sheet(faces[: config.evaluate.sheet_faces]))
        return metrics

    try:
        _measure_faces(TextureMeasure(pipeline, others), images, records, encoded, indices, truth, faces)
        measure_networks(pipeline, records, indices, truth, networks)
    except KeyboardInterrupt as error:
        if not faces:
            raise
        write(partial=True)
        advice = f"{len(faces)} of {len(indices)} crops were measured, in {output}; the same command starts again"
        raise Interrupted(advice, getattr(error, "number", signal.SIGINT)) from error
    metrics = write(partial=False)
    print_report(metrics, left_out, output)
    print_means(metrics["images"])
    return metrics


def _held_out(config: schema.Config) -> tuple[Records, list[int], dict[str, str]]:
    """The records, those of the split to measure, at most evaluate.faces of them, and both's identifiers.

    Raises:
      UserError: there are no records, or the split is empty.
    """
    records = open_records(config.records_path, config.data.image_size)
    split = load_split(config.params_dir, records.names)
    indices = records.indices(split[config.evaluate.split])
    if not indices:
        raise UserError(f"{config.params_dir}: the {config.evaluate.split} split must hold a crop, got none")
    return records, indices[: config.evaluate.faces or None], identifiers(config, records, split)


def _measure_faces(
    measure: TextureMeasure,
    images: ImageEvaluation,
    records: Records,
    encoded: EncodedFaces,
    indices: Sequence[int],
    truth: Mapping[str, np.ndarray] | None,
    faces: list[MeasuredFace],
) -> None:
    """Measures the textures of each crop; adds to `faces`, and the measures of the paper's comparison to `images`."""
    config = measure.pipeline.config
    batches = crop_batches.batches(records, encoded, indices, 1, config.workers, config.data.buffer_size)
    bar = tqdm(batches, "evaluate", len(indices), unit="face", dynamic_ncols=True)
    # The second core measures the images while the first measures the textures.
    with ThreadPoolExecutor(1) as background:
        added: Future | None = None
        for index, batch in zip(indices, bar, strict=True):
            known = None if truth is None else TrueFace.of(truth, index)
            inputs = batch.crop, batch.encoded.coefficients, batch.encoded.embedding
            result = measure.reconstruct(*inputs)
            if added is not None:
                added.result()
            coefficients = None if known is None else known.coefficients
            added = background.submit(images.add, records.names[index], batch.crop, result, coefficients)
            face = measure(result, *inputs, known)
            if len(faces) >= config.evaluate.sheet_faces:
                face = dataclasses.replace(face, photo={}, views=[])  # megabytes per face, of possibly thousands
            faces.append(face)
        if added is not None:
            added.result()


def _write(output: Path, metrics: Mapping, images: ImageEvaluation, picture: Image.Image) -> None:
    """Writes the files that `evaluate` lists."""
    with atomic_path(output / "sheet.png") as path:
        picture.save(path)
    write_json(output / "metrics.json", metrics)
    images.write(output)
    write_evaluation_page(output, metrics, picture)


def _texture_metrics(faces: Sequence[MeasuredFace], run: str, others: Sequence[str]) -> dict:
    """Means of the results of `TextureMeasure`: PSNR over faces, albedo errors over the vertices of all faces."""

    def means(attribute: str, column: str) -> dict[str, float | None]:
        values = [getattr(face, attribute).get(column, {}) for face in faces]
        return _means(values, [face.vertices.get(column, 1) for face in faces])

    def kinds(found: dict[str, float | None]) -> dict[str, float | None] | None:
        return {kind: found.get(kind) for kind in KINDS} if found else None

    columns = {column: means("columns", column) for column in COLUMNS}
    rows = {run: "fine"} | {name: name for name in others}
    seen, hidden = (sum(f.vertices.get(column, 0) for f in faces) for column in ("albedo_visible", "albedo_hidden"))
    return {
        "faces": len(faces),
        "textures": {column: kinds(columns[column]) for column in COLUMNS},
        "new_views_by_yaw": {yaw: kinds(means("by_yaw", yaw)) for yaw in faces[0].by_yaw},
        "gain_aligned": {column: kinds(means("aligned", column)) for column in ALIGNED},
        "variants": {name: {column: columns[column].get(key) for column in COLUMNS} for name, key in rows.items()},
        "coverage": round(float(np.nanmean([f.coverage for f in faces])), 4),
        "hidden_share": round(hidden / (seen + hidden), 4) if seen + hidden else None,
    }


def _means(rows: Sequence[dict[str, float]], weights: Sequence[float]) -> dict[str, float | None]:
    """Weighted means; None instead of NaN (which JSON cannot hold) where there was nothing to measure."""
    result: dict[str, float | None] = {}
    for key in rows[0]:
        known = [(row[key], weight) for row, weight in zip(rows, weights, strict=True) if not np.isnan(row[key])]
        values, counts = np.transpose(known) if known else ([], [])
        result[key] = round(float(np.average(values, weights=counts)), 4) if known else None
    return result


def _photos(config: schema.Config) -> dict | None:
    """Measurements of the last `--mode test` in test.output; None if there is none or it was a video.

    Raises:
      UserError: the file is damaged or another program's.
    """
    path = Path(config.test.output) / "summary.json"
    summary = read_json(path)
    if not summary.get("reconstructed"):
        return None
    keys = ("given", "reconstructed", "psnr_coarse", "psnr_fine", "five_point_residual_px_max", "coverage", "seconds")
    # JSON's null stands for the PSNR of photos in which mask and face do not overlap.
    if not all(key in summary and isinstance(summary[key], int | float | None) for key in keys):
        raise _foreign(path)
    return {key: summary[key] for key in keys}


def _seconds(config: schema.Config) -> dict[str, float]:
    """Wall-clock seconds of the earlier stages, read from the files they wrote.

    Raises:
      UserError: a file is damaged or another program's.
    """
    sources = {
        "create_bin": manifest_path(config.records_path),
        "train": config.run_dir / "training.json",
        "test": Path(config.test.output) / "summary.json",
    }
    found = {stage: read_json(path).get("seconds") for stage, path in sources.items()}
    for stage, seconds in found.items():
        if not isinstance(seconds, int | float | None):
            raise _foreign(sources[stage])
    return {stage: seconds for stage, seconds in found.items() if seconds is not None}


def read_json(path: Path) -> dict:
    """Reads a JSON file that another mode wrote; {} if that mode has not run.

    Raises:
      UserError: the file is damaged or another program's.
    """
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"{path}: must be JSON that this program wrote, got a damaged file ({error}; delete it)"
        ) from None
    if not isinstance(content, dict):
        raise _foreign(path)
    return content


def _foreign(path: Path) -> UserError:
    return UserError(f"{path}: must be JSON that this program wrote, got another file (delete it)")
