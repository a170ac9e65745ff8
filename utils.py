"""The random seed, and the mesh levels that the graph networks pool over."""

import os
import random
from collections.abc import Mapping, Sequence

import numpy as np

from lib.mesh_sampling import MeshHierarchy, load_or_build


def seed_everything(seed: int) -> None:
    """Seeds Python, NumPy and TensorFlow; the one place that does."""
    import tensorflow as tf  # imported here so that programs without TensorFlow start quickly

    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - libraries still draw from the global generator
    tf.random.set_seed(seed)


def init_sampling(
    refer_mesh: Mapping[str, np.ndarray], data_dir: str | os.PathLike, ds_factors: Sequence[float] = (4, 4, 4, 4)
) -> MeshHierarchy:
    """The mesh levels that the graph networks pool over: computed once, kept as .npz files, loaded ever after.

    Every level is a subset of the vertices of the one before, about N / factor of them. For each level i the folder
    holds adjacency<i>.npz and laplacians<i>.npz, for each step downsamp_trans<i>.npz (picks vertices) and
    upsamp_trans<i>.npz (interpolates on the coarse surface): the original program's names; its folders are read, too.
    `lib.mesh_sampling` does the work.

    Args:
      refer_mesh: "vertices" [N, 3] and "faces" [F, 3] of the reference mesh.
      data_dir: folder of the files, data/params/<name>.
      ds_factors: reduction from each level to the next.

    Returns:
      Laplacians, down- and up-sampling matrices and level sizes, finest first.

    Raises:
      UserError: the folder is another program's and does not fit this mesh.
    """
    return load_or_build(data_dir, refer_mesh["vertices"], refer_mesh["faces"], ds_factors)
