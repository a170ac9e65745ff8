"""Exports meshes of a reconstructed photo for other programs: textured OBJ and GLB, PLY with vertex colours."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from configs import schema
from lib.errors import UserError
from lib.face_model_files.arkit import BlendShapes
from lib.files.atomic import atomic_path
from lib.geometry.camera import Camera
from lib.images.png import png_bytes
from lib.mesh_export import gltf, usdz, uv_chart
from lib.mesh_export.mesh_io import write_mesh
from lib.mesh_export.rig import RigPart
from lib.mesh_export.stored_chart import load_chart
from lib.mesh_export.textured_obj import write_textured_obj
from model.morphable_model import MorphableModel
from model.reconstruction.baking import FaceTextures, TextureBaker
from model.reconstruction.files import FILES, TEXTURES
from model.reconstruction.new_views import framing
from model.rig import RigWriter

if TYPE_CHECKING:
    from model.reconstruction.photo_result import PhotoResult

# Units of OBJ and PLY files, also neutral.obj, and of 3D landmarks, per decimetre.
UNITS = {"mm": 100.0, "dm": 1.0, "m": 0.1}
# Formats with textures.
TEXTURED = frozenset({"obj", "glb", "rig", "usdz"})


class Exporter:
    """Writes meshes of reconstructed photos; all share one texture chart.

    Args:
      morphable: the face model.
      camera: camera of the crops.
      formats: formats as in `configs.photo_sections.Export`.
      texture_size: T, texels per side.
      normal_map: add normal maps to textured meshes.
      unit: of what `UNITS` are for, one of its keys; glTF's and USD's is the metre.
      cache: folder where the chart is stored if the face model does not come with a usable one.
      chart: texture chart; by default the face model's own.

    Raises:
      UserError: the formats include rigs, and the face model cannot have any; or the camera is inside the head.
    """

    def __init__(
        self,
        morphable: MorphableModel,
        camera: Camera,
        formats: tuple[str, ...],
        texture_size: int,
        normal_map: bool,
        cache: Path,
        unit: str = "dm",
        chart: uv_chart.UvChart | None = None,
    ):
        self.morphable, self.camera, self.formats = morphable, camera, formats
        self.texture_size, self.normal_map, self.cache = texture_size, normal_map, cache
        self.unit, self.scale, self._given_chart = unit, UNITS[unit], chart
        self.textured = bool(TEXTURED & set(formats))
        self.chosen(formats)
        framing(morphable.face_model.mean_shape, camera)  # refuses before the work what no picture can show

    @classmethod
    def of(
        cls, config: schema.Config, morphable: MorphableModel, camera: Camera, chart: uv_chart.UvChart | None = None
    ) -> "Exporter":
        """Creates the exporter of a configuration's section `export`."""
        section = config.export
        sizes = (section.texture_size, section.normal_map)
        return cls(morphable, camera, section.formats, *sizes, config.generated_dir, section.unit, chart)

    @cached_property
    def chart(self) -> uv_chart.UvChart:
        """Texture chart, created or loaded on first use."""
        return self._given_chart or load_chart(self.morphable.face_model, self.cache)

    @cached_property
    def baker(self) -> TextureBaker:
        """Baker of textures, created on first use."""
        return TextureBaker(self.morphable, self.camera, self.chart, self.texture_size, self.normal_map)

    @cached_property
    def rig(self) -> RigWriter:
        """Writer of rigs, created on first use."""
        return RigWriter(self.morphable, self.chart)

    @property
    def raster(self) -> uv_chart.ChartRaster:
        """The chart's texels."""
        return self.baker.raster

    def prepare(self) -> None:
        """Creates or loads the chart now; a damaged one is made again."""
        self.baker  # noqa: B018 - created once, kept

    def __call__(
        self, folder: Path, result: "PhotoResult", formats: Sequence[str] | str | None = None
    ) -> FaceTextures | None:
        """Writes the meshes of a reconstructed photo.

        All meshes show the face without its pose, y up and facing +z, in `unit` (metres in .glb files):
          mesh.obj, mesh.mtl: with PNG textures: albedo, lit, normals.
          mesh.glb: albedo and normals, for any lighting.
          mesh_lit.glb: the skin as lit in the photo, to be shown without further light.
          mesh_vertex_colors.glb, mesh.ply: the network's albedo as vertex colours.
          neutral.obj: the shape without expression, without the volume of hair, without colours.
          rig.glb: the shape without expression, with morph targets whose weights give the photo's expression.
          mesh.usdz, rig.usdz: as mesh.glb and rig.glb; the latter only if the formats also include rigs.

        Files of other formats stay: see `remove_earlier`.

        Args:
          folder: created if missing.
          result: the reconstructed photo.
          formats: one or more keys of `FILES`; by default those of this exporter.

        Returns:
          The textures, if the formats have any.

        Raises:
          UserError: a format is unknown, or the face model cannot have rigs.
        """
        formats = self.chosen(formats)
        reconstruction, triangles = result.reconstruction, self.morphable.face_model.triangles
        shape, albedo = reconstruction.coarse.face.shape, reconstruction.albedo[0].numpy()
        textures = result.textures if TEXTURED & set(formats) else None
        if textures is not None:
            images = {
                name: png_bytes(getattr(textures, name)) for name in TEXTURES if getattr(textures, name) is not None
            }
            vertices, normals = shape[0].numpy(), self.morphable.normals(shape)[0].numpy()
            if "obj" in formats:
                self.write_obj(folder, vertices, normals, images)
            relit = gltf.Material(images["albedo"], images.get("normals"))
            if "glb" in formats:
                self.write_glb(folder / "mesh.glb", vertices, normals, relit)
                unlit = gltf.Material(images["lit"], unlit=True)
                self.write_glb(folder / "mesh_lit.glb", vertices, normals, unlit)
                colours = folder / "mesh_vertex_colors.glb"
                gltf.write_glb(colours, vertices, triangles, normals, gltf.Material(), colours=albedo)
            if "usdz" in formats:
                self.write_usdz(folder / "mesh.usdz", vertices, normals, relit)
            if "rig" in formats:
                self.write_rig(rig_files(folder, formats), result, textures.albedo, images.get("normals"))
        if "ply" in formats:
            write_mesh(folder / "mesh.ply", self.scale * shape[0].numpy(), triangles, albedo)
        if "neutral" in formats:
            fitted = reconstruction.coarse.face.coefficients
            neutral = self.morphable.shape(fitted.identity, tf.zeros_like(fitted.expression))
            write_mesh(folder / "neutral.obj", self.scale * neutral[0].numpy(), triangles)
        return textures

    def chosen(self, formats: Sequence[str] | None) -> Sequence[str]:
        """The formats, by default those of this exporter; one may come without a list.

        Raises:
          UserError: a format is unknown, or the face model cannot have rigs.
        """
        formats = self.formats if formats is None else (formats,) if isinstance(formats, str) else formats
        if unknown := [name for name in formats if name not in FILES]:
            raise UserError(f"formats must be of {', '.join(FILES)}, got {', '.join(map(str, unknown))}")
        if "rig" in formats:
            BlendShapes.of(self.morphable.face_model)
        return formats

    def write_obj(self, folder: Path, vertices: np.ndarray, normals: np.ndarray, images: dict[str, bytes]) -> None:
        """Writes mesh.obj, mesh.mtl and textures (names in `TEXTURES` -> PNG bytes); vertices dm, normals [N, 3]."""
        for name, image in images.items():
            with atomic_path(folder / TEXTURES[name]) as path:
                path.write_bytes(image)
        write_textured_obj(
            folder / "mesh.obj", self.scale * vertices, normals, self.chart, {name: TEXTURES[name] for name in images}
        )

    def write_glb(self, path: Path, vertices: np.ndarray, normals: np.ndarray, material: gltf.Material) -> None:
        """Writes a textured mesh with vertices and normals [N, 3]."""
        cut = self.chart.vertex  # glTF allows one texture coordinate per vertex, so vertices on seams are split
        mesh = vertices[cut], self.chart.triangles, normals[cut]
        frame = None if material.normals is None else uv_chart.tangents(self.chart, vertices, normals)
        gltf.write_glb(path, *mesh, material, uv=self.chart.uv, tangents=frame)

    def write_usdz(self, path: Path, vertices: np.ndarray, normals: np.ndarray, material: gltf.Material) -> None:
        """Writes a textured mesh with vertices and normals [N, 3] for Apple's viewers and other readers of USD."""
        cut, none = self.chart.vertex, np.zeros([0, len(self.chart.vertex), 3])
        part = RigPart("face", vertices[cut], normals[cut], self.chart.triangles, self.chart.uv, none, none)
        usdz.write_usdz(path, [part], (), np.zeros(0), material)

    def write_rig(
        self, paths: Sequence[Path], result: "PhotoResult", albedo: np.ndarray, normal_map: bytes | None
    ) -> None:
        """Writes rigs with the albedo texture uint8 [T, T, 3] and a normal map's PNG."""
        fitted = self.morphable.layout.split(result.coefficients)
        face, own = (fitted.identity, fitted.expression), result.reconstruction.coarse.face.albedo[0].numpy()
        texture = self.rig.texture(albedo, self.raster, own, *face)
        self.rig(paths, *face, result.gaze, gltf.Material(png_bytes(texture), normal_map), lift=result.lift)

    def remove_earlier(self, folder: Path, formats: Sequence[str]) -> None:
        """Removes files of other formats from a folder of results, which would show an earlier result.

        This comes last: if the new files do not fit on the disk, the earlier ones stay.
        """
        unwanted = [name for form, names in FILES.items() if form not in formats for name in names]
        if "rig" not in formats:
            unwanted.append("rig.usdz")
        if not self.normal_map:
            unwanted.append(TEXTURES["normals"])
        for name in unwanted:
            (folder / name).unlink(missing_ok=True)


def rig_files(folder: Path, formats: Sequence[str]) -> list[Path]:
    """The files of a rig in a folder of results, if the formats include rigs."""
    return [folder / "rig.glb", folder / "rig.usdz"] if "usdz" in formats else [folder / "rig.glb"]
