"""Meshes of a reconstructed photo that other programs open: textured OBJ and GLB, PLY with vertex colours."""

import dataclasses
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import tensorflow as tf

from configs import schema
from lib.errors import UserError
from lib.files.atomic import atomic_path
from lib.files.numpy_files import read_npz, write_npz
from lib.geometry.camera import Camera
from lib.mesh_export import gltf, normal_map, texture_baking, uv_chart
from lib.mesh_export.mesh_io import write_mesh
from lib.mesh_export.textured_obj import write_textured_obj
from lib.mesh_renderer.fragments import triangle_ids_and_depth
from model.morphable_model import MorphableModel, PosedFace
from model.projection import depth_slack, facing_cosine

if TYPE_CHECKING:
    from model.reconstruction.photo_result import PhotoResult

# The z-buffer's pixels per pixel of the crop: half a millimetre decides which texels lie behind a nose.
ZBUFFER_SCALE = 4
# zlib's level: photos hardly get smaller above it, but take several times as long.
PNG_COMPRESSION = 3
# Texture -> its file next to mesh.obj.
TEXTURES = {"albedo": "mesh_albedo.png", "lit": "mesh_lit.png", "normals": "mesh_normals.png"}
# Formats with textures.
TEXTURED = frozenset({"obj", "glb"})
# Format -> the files it may leave.
FILES = {
    "obj": ("mesh.obj", "mesh.mtl", *TEXTURES.values()),
    "glb": ("mesh.glb", "mesh_lit.glb", "mesh_vertex_colors.glb"),
    "ply": ("mesh.ply",),
    "neutral": ("neutral.obj",),
}


@dataclasses.dataclass(frozen=True, eq=False)
class FaceTextures:
    """Textures of one face, uint8 [T, T, 3], row 0 at v = 1.

    Attributes:
      albedo: the skin without light, sRGB.
      lit: the skin as in the photo, sRGB.
      normals: tangent-space normal map (lib/mesh_export/normal_map.py), or None.
      weight: [T, T] float32, share of the photo in them.
      density: [T, T] float32, pixels of the photo on a texel's side.
    """

    albedo: np.ndarray
    lit: np.ndarray
    normals: np.ndarray | None
    weight: np.ndarray
    density: np.ndarray


class Exporter:
    """Writes the meshes of one photo after the other; the chart they are drawn on is made once.

    Args:
      morphable: the face model.
      camera: of the crops.
      formats: of `configs.photo_sections.Export`.
      texture_size: T, texels a side.
      normal_map: whether textured meshes get one.
      cache: folder that keeps the chart of a face model that brings none of its own.
    """

    def __init__(
        self,
        morphable: MorphableModel,
        camera: Camera,
        formats: tuple[str, ...],
        texture_size: int,
        normal_map: bool,
        cache: Path,
    ):
        self.morphable, self.camera, self.formats = morphable, camera, formats
        self.texture_size, self.normal_map, self.cache = texture_size, normal_map, cache
        self.textured = bool(TEXTURED & set(formats))

    @classmethod
    def of(cls, config: schema.Config, morphable: MorphableModel, camera: Camera) -> "Exporter":
        """The exporter of the configuration's section export."""
        section = config.export
        sizes = (section.texture_size, section.normal_map)
        return cls(morphable, camera, section.formats, *sizes, config.generated_dir)

    @cached_property
    def chart(self) -> uv_chart.UvChart:
        """The texture chart, made or read when it is first needed."""
        return load_chart(self.morphable, self.cache)

    @cached_property
    def raster(self) -> uv_chart.ChartRaster:
        """The chart's texels."""
        return uv_chart.rasterize_chart(self.chart, self.texture_size)

    def prepare(self) -> None:
        """Makes or reads the chart now, if the formats have textures.

        Raises:
          UserError: the kept chart is damaged.
        """
        if self.textured:
            self.raster  # noqa: B018 - computed once, kept

    def __call__(
        self, folder: Path, result: "PhotoResult", formats: Sequence[str] | None = None
    ) -> FaceTextures | None:
        """Writes the meshes of a reconstructed photo.

        All are the face without its pose, y up, the front along z; decimetres, in .glb metres. mesh.obj, mesh.mtl and
        its PNG textures: albedo, lit, normals. mesh.glb: albedo and normals, for light of your own. mesh_lit.glb: as in
        the photo, shown as it is. mesh_vertex_colors.glb and mesh.ply: the network's albedo, one colour a vertex.
        neutral.obj: the shape without expression, nothing else. Files of other formats are removed: they would show an
        earlier result.

        Args:
          folder: is made.
          result: the face.
          formats: of `FILES`, instead of this exporter's.

        Returns:
          The textures, if the formats have any.

        Raises:
          UserError: a format is unknown.
        """
        formats = self.formats if formats is None else formats
        if unknown := [name for name in formats if name not in FILES]:
            raise UserError(f"formats must be of {', '.join(FILES)}, got {', '.join(map(str, unknown))}")
        self.remove_earlier(folder, formats)
        face_gcn, triangles = result.reconstruction, self.morphable.face_model.triangles
        shape, albedo = face_gcn.coarse.face.shape, face_gcn.albedo[0].numpy()
        textures = self.bake(result) if TEXTURED & set(formats) else None
        if textures is not None:
            images = {
                name: png_bytes(getattr(textures, name)) for name in TEXTURES if getattr(textures, name) is not None
            }
            vertices, normals = shape[0].numpy(), self.morphable.normals(shape)[0].numpy()
            if "obj" in formats:
                self.write_obj(folder, vertices, normals, images)
            if "glb" in formats:
                relit = gltf.Material(images["albedo"], images.get("normals"))
                self.write_glb(folder / "mesh.glb", vertices, normals, relit)
                unlit = gltf.Material(images["lit"], unlit=True)
                self.write_glb(folder / "mesh_lit.glb", vertices, normals, unlit)
                colours = folder / "mesh_vertex_colors.glb"
                gltf.write_glb(colours, vertices, triangles, normals, gltf.Material(), colours=albedo)
        if "ply" in formats:
            write_mesh(folder / "mesh.ply", shape[0].numpy(), triangles, albedo)
        if "neutral" in formats:
            fitted = face_gcn.coarse.face.coefficients
            neutral = self.morphable.shape(fitted.identity, tf.zeros_like(fitted.expression))
            write_mesh(folder / "neutral.obj", neutral[0].numpy(), triangles)
        return textures

    def write_obj(self, folder: Path, vertices: np.ndarray, normals: np.ndarray, images: dict[str, bytes]) -> None:
        """mesh.obj, mesh.mtl and their textures, PNG files by their names in `TEXTURES`; vertices, normals [N, 3]."""
        for name, image in images.items():
            with atomic_path(folder / TEXTURES[name]) as path:
                path.write_bytes(image)
        write_textured_obj(
            folder / "mesh.obj", vertices, normals, self.chart, {name: TEXTURES[name] for name in images}
        )

    def write_glb(self, path: Path, vertices: np.ndarray, normals: np.ndarray, material: gltf.Material) -> None:
        """A textured mesh of vertices and normals [N, 3]."""
        cut = self.chart.vertex  # glTF has one texture coordinate a vertex
        mesh = vertices[cut], self.chart.triangles, normals[cut]
        frame = None if material.normals is None else uv_chart.tangents(self.chart, vertices, normals)
        gltf.write_glb(path, *mesh, material, uv=self.chart.uv, tangents=frame)

    def remove_earlier(self, folder: Path, formats: Sequence[str]) -> None:
        """Removes files of other formats from a folder of results."""
        unwanted = [name for form, names in FILES.items() if form not in formats for name in names]
        if not self.normal_map:
            unwanted.append(TEXTURES["normals"])
        for name in unwanted:
            (folder / name).unlink(missing_ok=True)

    def bake(self, result: "PhotoResult") -> FaceTextures:
        """The textures of a reconstructed photo, from its own pixels."""
        face_gcn, size = result.reconstruction, self.raster.size
        view = surface_view(self.morphable, self.camera, face_gcn.coarse.face, result.readable)
        weight = texture_baking.photo_weight(self.raster, view)
        points = result.region.from_crop(
            self.camera.project(face_gcn.coarse.face.vertices)[0].numpy().astype(np.float64)
        )
        footprint = uv_chart.texel_footprint(self.chart, points, size)
        colours = texture_baking.sample_photo(self.raster, result.region.pixels, points, footprint)
        vertices = (tensor[0].numpy() for tensor in (face_gcn.colour, face_gcn.albedo, face_gcn.coarse.face.shading))
        baked = texture_baking.blend(self.raster, colours, weight, *vertices)
        normals = self.relief(face_gcn.coarse.face.shape[0].numpy(), baked.albedo, weight)
        density = self.raster.interpolate(footprint[:, None])[..., 0].astype(np.float32)
        return FaceTextures(texture_bytes(baked.albedo), texture_bytes(baked.lit), normals, weight, density)

    def relief(self, shape: np.ndarray, albedo: np.ndarray, weight: np.ndarray) -> np.ndarray | None:
        """The normal map uint8 [T, T, 3] of an albedo texture [T, T, 3] on a shape [N, 3]; None if none is wanted.

        Args:
          weight: [T, T] share of photos in the texture.
        """
        if not self.normal_map:
            return None
        lengths = self.raster.interpolate(uv_chart.texel_lengths(self.chart, shape, self.raster.size))
        skin = self.raster.interpolate(self.morphable.face_model.skin_mask[:, None])[..., 0]
        return texture_bytes(normal_map.detail_normals(albedo, weight * skin, lengths))


def surface_view(
    morphable: MorphableModel, camera: Camera, face: PosedFace, mask: np.ndarray
) -> texture_baking.SurfaceView:
    """How the camera of the crops sees a face (a batch of one), through a mask [H, W] of the crop."""
    height, width = camera.image_size
    fine = dataclasses.replace(camera, image_size=(height * ZBUFFER_SCALE, width * ZBUFFER_SCALE))
    clip = fine.clip_coordinates(face.vertices)
    ids, z = triangle_ids_and_depth(clip, morphable.triangles, fine.image_size)
    zbuffer = tf.where(ids >= 0, fine.depth_of_clip(z), np.inf)
    depth = fine.depth(face.vertices)[..., None]
    cosine = facing_cosine(face.vertices, face.normals, fine)
    skin = morphable.face_model.skin_mask
    return texture_baking.SurfaceView(
        points=fine.project(face.vertices)[0].numpy(),
        depth=depth[0, :, 0].numpy(),
        slack=depth_slack(depth, cosine, fine)[0, :, 0].numpy(),
        # Eyes and the inside of the mouth are too small to smear, and their normals turn from row to row.
        cosine=np.where(skin, cosine[0, :, 0].numpy(), 1),
        zbuffer=zbuffer[0].numpy(),
        mask=mask,
    )


def load_chart(morphable: MorphableModel, cache: Path) -> uv_chart.UvChart:
    """The face model's chart; where its texture coordinates cannot carry a texture, one made once and kept in `cache`.

    Raises:
      UserError: the kept file is damaged.
    """
    model = morphable.face_model
    fault = uv_chart.chart_fault(model.uv, model.triangles)
    if fault is None:
        return uv_chart.uncut(model.uv, model.triangles)
    path = cache / f"uv_chart_{model.fingerprint}.npz"
    if not path.exists():
        print(f"{model.name}: no texture fits its texture coordinates ({fault}); unwrapping it, once, into {path}")
        chart = uv_chart.unwrap(model.mean_shape, model.triangles)
        write_npz(path, {"vertex": chart.vertex, "uv": chart.uv, "triangles": chart.triangles})
    try:
        return uv_chart.UvChart(**read_npz(path, ("vertex", "uv", "triangles")))
    except (ValueError, OSError) as error:
        raise UserError(
            f"{path}: must be the chart of a face model, got a damaged file (delete it): {error}"
        ) from error


def texture_bytes(texture: np.ndarray) -> np.ndarray:
    """Uint8 of a texture in [0, 1]."""
    return np.rint(texture * 255).astype(np.uint8)


def png_bytes(pixels: np.ndarray) -> bytes:
    """The PNG file of uint8 RGB [T, T, 3]."""
    done, data = cv2.imencode(".png", pixels[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, PNG_COMPRESSION])
    if not done:
        raise OSError(f"a texture of {pixels.shape[1]} x {pixels.shape[0]} texels could not be encoded as PNG")
    return data.tobytes()
