"""Compares the faces that test mode fits with the truth of synthetic crops, beside regressor and mean face.

python -m benchmarks.fitted_truth [--count 20] [--output FILE.json] [section.key=value ...]

Takes the test crops that `python create_bin.py` rendered, finds landmarks and mask in each as in a photo, and fits as
`python main.py --mode test` does, with the trained network of the run. Means over the crops:

* shape_mm.{mean_face, regressed, fitted}: distance of the front's vertices without expression, after the best rotation,
  translation and scale;
* albedo.{regressed, fitted, fine}: mean absolute error over the front's skin, of the face model's albedo and of the
  network's. Vertices are compared by number, so a fit that is a pixel off counts as an error where the skin has detail.

Crops in which the detector finds no face are left out.
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from benchmarks.same_person import ALIGNMENTS, identity_errors
from configs import schema
from lib.errors import UserError
from lib.files.json_files import write_json
from lib.records.record_index import open_records
from lib.records.splits import load_split
from model.evaluation.fresh_photos import check_crops
from model.evaluation.other_runs import check_training_data, identifiers
from model.input_pipeline.ground_truth import record_truth
from model.reconstruction.face_reconstructor import FaceReconstructor


def measure(
    reconstructor: FaceReconstructor, name: str, rgb: np.ndarray, truth: Mapping[str, np.ndarray]
) -> dict[str, dict[str, float]]:
    """Errors of one crop.

    Args:
      reconstructor: finds, fits and refines the face.
      name: name of the crop.
      rgb: [H, W, 3] uint8.
      truth: "coefficients" [K] and "true_albedo" [N, 3].

    Raises:
      UserError: the detector finds no face.
    """
    model = reconstructor.pipeline.face_model
    skin = model.skin_mask & model.front_mask
    found = reconstructor.reader.find_in_array(rgb, name, 1)
    photo, region = reconstructor.reader.with_region(name, found, found.faces[0])
    draft = reconstructor.initial_estimate(photo)
    (fitted,) = reconstructor.fit([draft], reconstructor.fitter)
    fine = reconstructor.finish(fitted, region).reconstruction.albedo[0].numpy()[: model.vertex_count]

    split, morphable = model.layout.split, reconstructor.pipeline.face_gcn.morphable
    rows = {"regressed": split(draft.regressed), "fitted": split(fitted.coefficients)}
    true_identity, true_albedo = split(truth["coefficients"]).identity, truth["true_albedo"].astype(np.float32)
    identities = {"mean_face": np.zeros_like(true_identity)} | {key: row.identity for key, row in rows.items()}
    albedos = {key: morphable.albedo(tf.constant(row.albedo[None]))[0].numpy() for key, row in rows.items()}
    albedos["fine"] = fine
    scaled = ALIGNMENTS.index("with scale")
    return {
        "shape_mm": {key: identity_errors(model, own, true_identity)[scaled] for key, own in identities.items()},
        "albedo": {
            key: float(np.abs(np.clip(value, 0, 1) - true_albedo)[skin].mean()) for key, value in albedos.items()
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20, help="crops to measure")
    parser.add_argument("--output", type=Path, help="JSON file for the numbers")
    parser.add_argument("overrides", nargs="*", metavar="section.key=value")
    arguments = parser.parse_args()
    config = schema.load(None, arguments.overrides)
    try:
        result = measure_crops(config, arguments.count)
    except UserError as error:
        parser.error(str(error))
    print(json.dumps(result, indent=1))
    if arguments.output:
        write_json(arguments.output, result)


def measure_crops(config: schema.Config, count: int) -> dict[str, Any]:
    """Means over the first `count` test crops.

    Raises:
      UserError: the records are no synthetic crops, or a network was trained on them, or no face is found.
    """
    records = open_records(config.records_path, config.data.image_size)
    split = load_split(config.params_dir, records.names)
    data = identifiers(config, records, split)
    check_training_data(config, data)
    reconstructor = FaceReconstructor.load(config)
    check_crops(config, reconstructor.pipeline.face_model.fingerprint, data["crops"])
    truth = record_truth(config, records, reconstructor.pipeline.face_model.fingerprint)
    if truth is None:
        raise UserError(f"{config.records_path} must hold synthetic crops (python create_bin.py), got others")
    indices = records.indices(split["test"])[:count]
    rows = []
    for index in tqdm(indices, "fit", unit="face", dynamic_ncols=True):
        own = {key: values[index] for key, values in truth.items()}
        try:
            rows.append(measure(reconstructor, records.names[index], records.batch([index])[0, ..., :3], own))
        except UserError as error:
            tqdm.write(f"{records.names[index]} is left out: {error}")
    if not rows:
        raise UserError("a face must be found in one of the crops, got none")
    means = {
        group: {key: round(float(np.mean([row[group][key] for row in rows])), 4) for key in rows[0][group]}
        for group in rows[0]
    }
    return {"faces": len(rows), **means}


if __name__ == "__main__":
    main()
