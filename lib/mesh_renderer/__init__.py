"""Differentiable mesh renderer: the TensorFlow 2 successor of the package mesh-renderer 1.4, on a small interface.

Code written for that package runs with its imports changed to

    from lib.mesh_renderer import camera_utils, mesh_renderer, rasterize_triangles

The program itself uses lib.mesh_renderer.fragments, which those three modules are built on.
"""

from lib.mesh_renderer import camera_utils, fragments, mesh_renderer, rasterize_triangles

__all__ = ["camera_utils", "fragments", "mesh_renderer", "rasterize_triangles"]
