"""Differentiable mesh renderer: a TensorFlow 2 successor of the package mesh-renderer 1.4.

Code written for that package runs after changing its imports to

    from lib.mesh_renderer import camera_utils, mesh_renderer, rasterize_triangles

The program itself uses lib.mesh_renderer.fragments, on which these three modules are built.
"""

from lib.mesh_renderer import camera_utils, fragments, mesh_renderer, rasterize_triangles

__all__ = ["camera_utils", "fragments", "mesh_renderer", "rasterize_triangles"]
