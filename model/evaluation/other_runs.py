"""Texture networks of other runs, to be measured on the same faces, and the data that runs were trained on."""

import dataclasses
import sys
from collections.abc import Mapping, Sequence

from configs import schema
from configs.network_sections import VARIANTS
from lib.errors import UserError
from lib.records.records import Records
from lib.records.splits import split_hash
from model.evaluation.textures import KINDS
from model.face_gcn import FaceGCN
from model.input_pipeline.ground_truth import rendered_as
from model.pipeline import load_pipeline, restore_texture_network
from model.runs import checkpoints
from model.runs.training_data import of_weights
from model.weights.pretrained import read_metadata


def identifiers(config: schema.Config, records: Records, split: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Identifiers of records and their split, for `check_training_data`."""
    crops = rendered_as(config, records)
    return {"records": records.fingerprint, "split": split_hash(split), "crops": crops}


def check_training_data(config: schema.Config, data: Mapping[str, str]) -> bool | None:
    """Compares what the configuration's texture network was trained on with the data to be measured.

    Other records with the same split, such as the same crops packed again, are only reported; so is a network of which
    is not known what it was trained on, such as some of earlier versions.

    Args:
      config: names the run; while there is none, texture.weights.
      data: `identifiers` of the data to be measured.

    Returns:
      Whether the network was trained with this split of the data, and not on another data set; None if that is unknown.

    Raises:
      UserError: the run's split differs, or the network has been trained on crops of another split of the same.
    """
    path, own_split = config.texture_path, None
    if not path.is_file():  # whoever loads it reports it
        return None
    if path == config.run_dir / "best.npz":
        trained = checkpoints.read_identifiers(path)
        if trained.get("split", data["split"]) != data["split"]:
            raise UserError(
                f"{path}: must be trained with the present split, {data['split']}, got {trained['split']} (it may have "
                "seen the crops to be measured: train again, or pack those that it was trained on)"
            )
        if trained.get("records", data["records"]) != data["records"]:
            print(f"{path}: trained on other records of the same names; these are measured", file=sys.stderr)
        own_split = trained.get("split")  # also of a run of an earlier version
        face_model, runs = trained.get("face model", ""), checkpoints.read_training_data(path)
    else:
        metadata = read_metadata(path, "train")
        face_model, runs = metadata["face_model"], of_weights(metadata)
        own_split = runs[0].split
    seen = {run.seen(face_model, config.data.image_size, data): run for run in runs}
    if run := seen.get(True):
        crops = "these records" if run.synthetic_seed is None else f"crops of data.synthetic_seed {run.synthetic_seed}"
        raise UserError(
            f"{path}: must not have seen the crops to be measured, got a network that was trained on another split of "
            f"{crops} (measure others: python create_bin.py with another --name and data.synthetic_seed)"
        )
    if None in seen:
        print(
            f"{path}: it is unknown whether all that this network was trained on excludes these crops", file=sys.stderr
        )
    if own_split == data["split"]:
        return True
    return None if None in seen else False


def other_runs(config: schema.Config, data: Mapping[str, str]) -> tuple[dict[str, FaceGCN], list[str]]:
    """Loads the runs of evaluate.runs that were trained with the same split, except the configuration's own run.

    Args:
      config: the effective configuration.
      data: as for `check_training_data`.

    Returns:
      The `FaceGCN` of each run with its best weights; and for each run left out, a line with the reason and a remedy.

    Raises:
      UserError: a run has the name of a texture, in whose row it would stand.
    """
    runs, left_out = {}, []
    if taken := [name for name in config.evaluate.runs if name in KINDS]:
        raise UserError(
            f"evaluate.runs: names must not be {', '.join(KINDS)}, got {', '.join(taken)} (rename the run's folder)"
        )
    for name in config.evaluate.runs:
        run = dataclasses.replace(config, train=dataclasses.replace(config.train, suffix=name))
        if run.run_dir == config.run_dir:
            continue
        if not (run.run_dir / "best.npz").is_file():
            option = "--model" if name in VARIANTS else "--suffix"
            left_out.append(f"{name}: not trained (python main.py --mode train {option} {name})")
            continue
        try:
            check_training_data(run, data)
            texture = schema.load(run.run_dir / "config.yaml").texture
            other = load_pipeline(dataclasses.replace(run, texture=texture))
            restore_texture_network(other)
            runs[name] = other.face_gcn
        except UserError as error:
            left_out.append(f"{name}: left out, {error}")
    return runs, left_out


def run_name(config: schema.Config) -> str:
    """Name of a run, from the second part of its folder: the variant's name, or the value of --suffix."""
    return config.run_dir.name.removeprefix(f"{config.data.name}_")
