"""What the shipped and trained networks achieve on faces whose truth is known: the numbers of results/demo."""

import importlib.metadata
import json
import platform
import time
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image, ImageDraw
from tqdm import tqdm

from configs import schema
from lib.mesh_renderer.fragments import interpolate
from lib.records import RecordReader
from lib.splits import load_split
from model import components, crop_batches
from model.encoding import encode_records
from model.face_gcn import FaceReconstruction
from model.metrics import coverage, masked_psnr
from model.optimum import per_vertex_optimum
from model.projection import projected_albedo
from model.texture_trainer import clipped
from utils import UserError, atomic_path, seed_everything

KINDS = ("coarse", "projection", "fine", "optimum")
PACKAGES = ("tensorflow", "keras", "numpy", "scipy", "numba", "pillow", "opencv-python-headless", "mtcnn")
SHEET_FACES = 8


def evaluate(config: schema.Config, output: Path) -> dict:
    """Measures the run's best texture network on the held-out crops and gathers what the other commands measured.

    All PSNR are over the pixels inside alpha and rendered face together; `coverage` tells which share of the alpha
    these are. `projection` is the de-lit projection: pixel colours divided by the shading, no network; `optimum` is the
    best any vertex colouring could do on the same geometry.

    Args:
      config: the effective configuration.
      output: receives metrics.json and sheet.png.

    Returns:
      The content of metrics.json.

    Raises:
      UserError: there are no records or no trained network.
    """
    started = time.monotonic()
    seed_everything(config.train.seed)
    records = RecordReader(config.records_path, config.data.image_size)
    indices = records.indices(load_split(config.params_dir)["test"])
    if config.evaluate.faces:
        indices = indices[: config.evaluate.faces]
    if not indices:
        raise UserError(f"{config.params_dir}: the test split must hold a crop, got none (raise data.test)")
    parts = components.load(config)
    components.restore_texture_network(parts)
    encoded = encode_records(records, parts.encode, config.generated_dir, parts.encoder_key)
    reconstruct = tf.function(parts.chain, reduce_retracing=True)
    faces, rows = [], []
    batches = crop_batches.batches(records, encoded, indices, 1, config.workers, config.data.buffer_size)
    for batch in tqdm(batches, "evaluate", len(indices), unit="face", dynamic_ncols=True):
        measured, pictures = _measure(parts, reconstruct(*batch), batch[0])
        faces.append(measured)
        if len(rows) < SHEET_FACES:
            rows.append((pictures, measured))
    output = Path(output)
    mean = {key: float(np.nanmean([face[key] for face in faces])) for key in faces[0]}
    metrics = {
        "synthetic": {
            "faces": len(faces),
            "psnr": {kind: round(mean[kind], 2) for kind in KINDS},
            "fine_minus_coarse": round(mean["fine"] - mean["coarse"], 2),
            "coverage": round(mean["coverage"], 4),
        },
        "photos": _photos(config),
        "seconds": _seconds(config) | {"evaluate": round(time.monotonic() - started, 1)},
        "versions": {"python": platform.python_version()} | {p: importlib.metadata.version(p) for p in PACKAGES},
    }
    with atomic_path(output / "metrics.json") as path:
        path.write_text(json.dumps(metrics, indent=1) + "\n")
    with atomic_path(output / "sheet.png") as path:
        _sheet(rows).save(path)
    _print(metrics, output)
    return metrics


def _measure(
    parts: components.Components, result: FaceReconstruction, crop: tf.Tensor
) -> tuple[dict[str, float], list[np.ndarray]]:
    """PSNR of every kind of texture on one crop [1, H, W, 4], and the pictures."""
    chain = parts.chain
    coarse, triangles = result.coarse, chain.morphable.triangles
    albedo = projected_albedo(coarse.albedo, coarse.sampled, coarse.face.shading)
    projection = interpolate(chain.shade(albedo, coarse.face), triangles, coarse.fragments)
    photo = crop[..., :3]
    mask = result.mask * crop[..., 3:]
    optimum = per_vertex_optimum(
        photo[0].numpy(),
        mask[0, ..., 0].numpy() >= 0.5,
        coarse.fragments.triangle_id[0].numpy(),
        coarse.fragments.barycentrics[0].numpy(),
        parts.face_model.triangles,
        parts.face_model.vertex_count,
    )
    renderings = dict(zip(KINDS, (coarse.rendering, projection, result.rendering, optimum[None]), strict=True))
    measured = {kind: float(masked_psnr(clipped(picture), photo, mask)[0]) for kind, picture in renderings.items()}
    measured["coverage"] = float(coverage(mask, crop[..., 3:])[0])
    pictures = [photo, *renderings.values(), result.overlay]
    return measured, [clipped(tf.convert_to_tensor(picture))[0].numpy() for picture in pictures]


def _photos(config: schema.Config) -> dict | None:
    """What the last `--mode test` into test.output measured; None where there was none."""
    path = Path(config.test.output) / "summary.json"
    if not path.is_file():
        return None
    summary = json.loads(path.read_text())
    keys = ("given", "reconstructed", "psnr_coarse", "psnr_fine", "five_point_residual_px_max", "coverage", "seconds")
    return {key: summary[key] for key in keys}


def _seconds(config: schema.Config) -> dict[str, float]:
    """Wall seconds of the stages before this one, as they noted them themselves."""
    sources = {
        "create_bin": config.records_path.with_suffix(".manifest.json"),
        "train": config.run_dir / "training.json",
        "test": Path(config.test.output) / "summary.json",
    }
    return {stage: json.loads(path.read_text())["seconds"] for stage, path in sources.items() if path.is_file()}


def _sheet(rows: list[tuple[list[np.ndarray], dict[str, float]]]) -> Image.Image:
    """One face a row: photo, the four textures with their PSNR, the overlay."""
    size = rows[0][0][0].shape[0]
    titles = ("photo", *KINDS, "overlay")
    caption = 16
    sheet = Image.new("RGB", (size * len(titles), (size + caption) * len(rows)), "white")
    draw = ImageDraw.Draw(sheet)
    for r, (pictures, measured) in enumerate(rows):
        for c, (title, picture) in enumerate(zip(titles, pictures, strict=True)):
            value = f"  {measured[title]:.1f} dB" if title in measured else ""
            draw.text((c * size + 4, r * (size + caption) + 2), title + value, fill="black")
            pixels = Image.fromarray(np.rint(picture * 255).astype(np.uint8))
            sheet.paste(pixels, (c * size, r * (size + caption) + caption))
    return sheet


def _print(metrics: dict, output: Path) -> None:
    synthetic = metrics["synthetic"]
    print(f"{synthetic['faces']} held-out synthetic faces, PSNR over {synthetic['coverage']:.0%} of the mask [dB]:")
    print("  " + "   ".join(f"{kind} {value:.2f}" for kind, value in synthetic["psnr"].items()))
    if photos := metrics["photos"]:
        print(
            f"{photos['reconstructed']} of {photos['given']} photos reconstructed: "
            f"coarse {photos['psnr_coarse']:.2f} dB, fine {photos['psnr_fine']:.2f} dB"
        )
    print(f"numbers: {output / 'metrics.json'}   pictures: {output / 'sheet.png'}")
