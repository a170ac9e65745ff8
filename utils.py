"""Seeding of all random generators, and the mesh hierarchy that the graph networks pool over."""

import os
import random
from collections.abc import Mapping, Sequence

import numpy as np

from lib.mesh_sampling import MeshHierarchy, Step, load_or_build


def seed_everything(seed: int) -> None:
    """Seeds the global generators of Python, NumPy and TensorFlow; no other code does."""
    import tensorflow as tf  # imported here so that programs without TensorFlow start quickly

    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - libraries still draw from the global generator
    tf.random.set_seed(seed)


def init_sampling(
    refer_mesh: Mapping[str, np.ndarray],
    data_dir: str | os.PathLike,
    ds_factors: Sequence[float] = (4, 4, 4, 4),
    steps: Sequence[Step] | None = None,
) -> MeshHierarchy:
    """Loads the mesh levels that the graph networks pool over; the first call computes and saves them.

    Every level keeps about N / factor of the previous level's vertices. The folder holds adjacency<i>.npz and
    laplacians<i>.npz for each level i, and downsamp_trans<i>.npz (selects vertices) and upsamp_trans<i>.npz
    (interpolates on the coarse surface) for each step. The original program uses the same names, and its folders can
    be read. `lib.mesh_sampling` does the work.

    Args:
      refer_mesh: "vertices" [N, 3] and "faces" [F, 3] of the reference mesh.
      data_dir: folder of the files, data/params/<name>.
      ds_factors: reduction factor of each step.
      steps: the levels that a network was trained on (`lib.mesh_sampling.read_carried`), which are not saved; None
        to choose them.

    Returns:
      Laplacians, down- and up-sampling matrices and level sizes, finest first.

    Raises:
      UserError: the folder was written by another program and does not fit this mesh.
    """
    return load_or_build(data_dir, refer_mesh["vertices"], refer_mesh["faces"], ds_factors, steps)
