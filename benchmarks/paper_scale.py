"""Runs the paper's configuration at full size on stand-in assets: python -m benchmarks.paper_scale [--mesh FILE.mat].

Trains configs/paper.yaml (224 px, ResNet-50, `normal`, published losses) for some updates. Prints the loss, seconds per
update and peak memory; then the seconds per crop of the passes over whole splits: frozen networks, validation and
evaluation. The licensed files are replaced by stand-ins of the same size: untrained weights, random bases, and the
built-in mesh at that density (35,659 vertices). With --mesh, the mesh has the real 35,709 vertices: it is made from the
triangles of Deep3DFaceReconstruction's facemodel_info.mat, embedded in the plane (Tutte) and bulged.
"""

import argparse
import dataclasses
import json
import resource
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import scipy.io
import scipy.sparse
import scipy.sparse.linalg

from configs import schema
from lib.face_model.face_model import FaceModel
from lib.records.record_file import RecordReader
from lib.records.record_writer import RecordWriter
from lib.records.splits import save_split
from lib.synthetic.builtin.face_generator import build_face_model
from lib.synthetic.photos import SyntheticFaces

COUNTS = (80, 64, 80)  # identity, expression, albedo of the Basel model
VERTICES = 35_709  # asked for; the built-in mesh gets 35,659
TRAINED, TESTED = 8, 10  # crops; one more is for validation


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mesh", type=Path, help="facemodel_info.mat, for the real triangles and landmarks")
    parser.add_argument("--updates", type=int, default=20)
    parser.add_argument("overrides", nargs="*", help="section.key=value")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run(Path(folder), args.mesh, args.updates, args.overrides)


def run(folder: Path, mesh: Path | None, updates: int, overrides: list[str]) -> None:
    model = stand_in(mesh)
    model.save(folder / "face.npz")
    config = schema.load(
        "configs/paper.yaml",
        [
            f"data.root_dir={folder}",
            f"face_model.source={folder / 'face.npz'}",
            f"regressor.weights={folder / 'regressor.npz'}",
            f"identity.weights={folder / 'identity.npz'}",
            f"train.updates_per_epoch={updates}",
            "train.epochs=1",
            "evaluate.detector_faces=0",
            "evaluate.identity_people=0",
            *overrides,
        ],
    )
    write_records(config)
    from model.networks.identity import build_identity_network
    from model.networks.regressor import build_regressor
    from model.weights.pretrained import save_weights

    save_weights(config.regressor.weights, build_regressor(config.regressor, model.layout), model.fingerprint, {})
    save_weights(config.identity.weights, build_identity_network(config.identity), model.fingerprint, {})
    size = {"vertices": model.vertex_count, "triangles": len(model.triangles), "batch": config.train.batch_size}
    print(json.dumps(size | figures_of_training(config)), flush=True)
    print(json.dumps({name: round(value, 3) for name, value in seconds_of_passes(config, folder).items()}))


def figures_of_training(config: schema.Config) -> dict[str, Any]:
    """Trains; returns the loss of every update, seconds per update and the peak memory."""
    from model.training.loop import train
    from model.training.run_log import RunLog

    losses, times = [], [time.perf_counter()]
    log = RunLog.training

    def noted(self, terms, update):
        losses.append(terms["total"])
        times.append(time.perf_counter())
        log(self, terms, update)

    with mock.patch.object(RunLog, "training", noted):
        train(config, config.run_dir)
    seconds = np.diff(times)[2:]  # the first updates compile
    return {
        "loss": [round(loss, 4) for loss in losses],
        "seconds_median": round(float(np.median(seconds)), 3),
        "seconds_range": [round(float(seconds.min()), 3), round(float(seconds.max()), 3)],
        "peak_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
    }


def seconds_of_passes(config: schema.Config, folder: Path) -> dict[str, float]:
    """Seconds per crop of the frozen networks, of validation and of `--mode evaluate`, after warm-up."""
    from model.evaluation.records import evaluate
    from model.input_pipeline.batches import batches
    from model.input_pipeline.frozen_outputs import encode_records
    from model.pipeline import load_pipeline
    from model.training.trainer import TextureTrainer

    pipeline, records = load_pipeline(config), RecordReader(config.records_path, config.data.image_size)
    crops = records.batch(range(len(records))).astype(np.float32) / 255
    encoded = encode_records(records, pipeline.encode, config.generated_dir, pipeline.cache_key)
    trainer = TextureTrainer(pipeline)
    singles = list(batches(records, encoded, range(len(records)), 1))
    found = {}
    for name, run_all in (
        ("encode_a_crop", lambda: pipeline.encode(crops)),
        ("validate_a_crop", lambda: [float(trainer.validate(batch)[0]["psnr_fine"]) for batch in singles]),
    ):
        run_all()  # compiles
        started = time.perf_counter()
        run_all()
        found[name] = (time.perf_counter() - started) / len(records)
    # Evaluation's set-up time does not depend on the number of faces, so the difference is the time per face.
    counts, times = (2, TESTED), []
    for count in counts:
        few = dataclasses.replace(config, evaluate=dataclasses.replace(config.evaluate, faces=count))
        started = time.perf_counter()
        evaluate(few, folder / "evaluate")
        times.append(time.perf_counter() - started)
    found["evaluate_a_crop"] = (times[1] - times[0]) / (counts[1] - counts[0])
    return found


def stand_in(mesh: Path | None) -> FaceModel:
    """Random face model of the same size as the Basel model."""
    rng = np.random.default_rng(0)
    base = build_face_model(VERTICES)
    if mesh is None:
        count = base.vertex_count
        position, triangles, landmarks, mirror = base.mean_shape, base.triangles, base.landmarks, base.mirror_index
        albedo = base.mean_albedo
    else:
        info = scipy.io.loadmat(mesh)
        triangles = info["tri"].astype(np.int64) - 1
        landmarks = info["keypoints"].astype(np.int64).ravel() - 1
        count = int(triangles.max()) + 1
        position = bulged(flattened(triangles, count))
        mirror, albedo = np.arange(count), np.full((count, 3), (0.7, 0.55, 0.45))
    fields = {
        "identity_basis": smooth(rng, position, COUNTS[0], 0.02),
        "expression_basis": smooth(rng, position, COUNTS[1], 0.01),
        "albedo_basis": smooth(rng, position, COUNTS[2], 0.02),
    }
    return FaceModel(
        name="stand-in",
        mean_shape=position - position.mean(axis=0),
        mean_albedo=albedo,
        triangles=triangles,
        landmarks=landmarks,
        skin_mask=np.ones(count, bool),
        front_mask=np.ones(count, bool),
        mirror_index=mirror,
        uv=(position[:, :2] - position[:, :2].min(axis=0)) / np.ptp(position[:, :2], axis=0),
        **fields,
    )


def flattened(triangles: np.ndarray, count: int) -> np.ndarray:
    """Tutte embedding [N, 2]: the longest border on a circle, every other vertex at the mean of its neighbours."""
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    directed = set(map(tuple, edges.tolist()))
    following = {a: b for a, b in directed if (b, a) not in directed}
    loops = []
    while following:
        loop = [next(iter(following))]
        while (vertex := following.pop(loop[-1])) != loop[0]:
            loop.append(vertex)
        loops.append(loop)
    outer = np.array(max(loops, key=len))
    angle = np.linspace(0, 2 * np.pi, len(outer), endpoint=False)
    links = scipy.sparse.coo_matrix((np.ones(len(edges)), edges.T), (count, count)).tocsr()
    links = ((links + links.T) > 0).astype(float)
    laplacian = scipy.sparse.diags(links.sum(axis=1).A1) - links
    inner = np.setdiff1d(np.arange(count), outer)
    flat = np.zeros((count, 2))
    flat[outer] = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    right = -laplacian[inner][:, outer] @ flat[outer]
    flat[inner] = scipy.sparse.linalg.splu(laplacian[inner][:, inner].tocsc()).solve(right)
    return flat


def bulged(flat: np.ndarray) -> np.ndarray:
    """Maps a disc [N, 2] to the front of an ellipsoid of a face's size, [N, 3] dm."""
    radius = np.linalg.norm(flat, axis=-1, keepdims=True)
    spread = flat * np.maximum(radius, 1e-9) ** -0.25  # spreads out the crowded centre
    depth = np.sqrt(np.maximum(1.05 - (spread**2).sum(axis=-1), 0))
    return np.stack([0.75 * spread[:, 0], 0.95 * spread[:, 1], 0.8 * depth], axis=-1)


def smooth(rng: np.random.Generator, position: np.ndarray, count: int, amplitude: float) -> np.ndarray:
    """Random fields [count, N, 3] that are smooth over the mesh."""
    frequency, phase = rng.normal(0, 2.5, (count, 3, 3)), rng.uniform(0, 2 * np.pi, (count, 1, 3))
    return (amplitude * np.cos(np.einsum("nd,kdc->knc", position, frequency) + phase)).astype(np.float32)


def write_records(config: schema.Config) -> None:
    """Packs a few synthetic crops; only their size matters here."""
    faces, size = SyntheticFaces(build_face_model(), config.data.image_size, 0), config.data.image_size
    names = [f"{i}.png" for i in range(TRAINED + 1 + TESTED)]
    with RecordWriter(config.records_path, (size, size, 4)) as writer:
        for i, name in enumerate(names):
            face = faces.sample(i)
            writer.append(np.dstack([face.image, face.alpha]), name)
    parts = {"train": names[:TRAINED], "val": names[TRAINED : TRAINED + 1], "test": names[TRAINED + 1 :]}
    save_split(config.params_dir, parts)


if __name__ == "__main__":
    main()
