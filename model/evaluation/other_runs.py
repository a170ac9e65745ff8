"""Texture networks of other runs, to be measured on the same faces."""

import dataclasses

from configs import schema
from configs.network_sections import VARIANTS
from lib.errors import UserError
from model.face_gcn import FaceGCN
from model.pipeline import load_pipeline, restore_texture_network


def other_runs(config: schema.Config) -> tuple[dict[str, FaceGCN], list[str]]:
    """Loads the runs of evaluate.runs that were trained on the same records, except the configuration's own run.

    Returns:
      The `FaceGCN` of each run with its best weights; and for each run left out, a line with the reason and a remedy.
    """
    runs, left_out = {}, []
    for name in config.evaluate.runs:
        run = dataclasses.replace(config, train=dataclasses.replace(config.train, suffix=name))
        if run.run_dir == config.run_dir:
            continue
        if not (run.run_dir / "best.npz").is_file():
            option = "--model" if name in VARIANTS else "--suffix"
            left_out.append(f"{name}: not trained (python main.py --mode train {option} {name})")
            continue
        try:
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
