"""The mesh hierarchy, from fine to coarse, that the graph networks pool over; needs no TensorFlow."""

from lib.mesh_sampling.carried import carried_arrays, read_carried
from lib.mesh_sampling.graph import adjacency_matrix, normalised_laplacian
from lib.mesh_sampling.hierarchy import MeshHierarchy, Step, build_hierarchy
from lib.mesh_sampling.simplification import simplify
from lib.mesh_sampling.storage import load_hierarchy, load_or_build, save_hierarchy
from lib.mesh_sampling.transfer import downsampling_matrix, upsampling_matrix

__all__ = [
    "MeshHierarchy",
    "Step",
    "adjacency_matrix",
    "build_hierarchy",
    "carried_arrays",
    "downsampling_matrix",
    "load_hierarchy",
    "load_or_build",
    "normalised_laplacian",
    "read_carried",
    "save_hierarchy",
    "simplify",
    "upsampling_matrix",
]
