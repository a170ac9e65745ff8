"""Writes the folder `person`: meshes, textures, numbers and pictures of one person, merged from all photos."""

import contextlib
import dataclasses
from pathlib import Path

import numpy as np
import tensorflow as tf

from lib.face_model.coefficients import Coefficients
from lib.files.atomic import atomic_path
from lib.files.disk_list import DiskList
from lib.files.file_names import printable
from lib.files.json_files import write_json
from lib.geometry.lighting import BANDS, shade, shading
from lib.images.clipping import clipped
from lib.images.contact_sheet import Tile, contact_sheet
from lib.images.display import to_bytes
from lib.images.png import png_bytes
from lib.mesh_export import gltf
from lib.mesh_export.mesh_io import write_mesh
from lib.mesh_renderer.fragments import interpolate, rasterize
from model.metrics.images import masked_psnr
from model.person.merge import MergedSkin, SkinView, merge
from model.reconstruction.baking import FaceTextures, texture_bytes
from model.reconstruction.export import Exporter, rig_files
from model.reconstruction.face_reconstructor import FaceReconstructor
from model.reconstruction.files import MARK, check_result_folder, foreign_file, remove_results
from model.reconstruction.new_views import NEW_VIEWS, turned_mesh, turned_view
from model.reconstruction.photo_result import PhotoResult
from model.reconstruction.result_folder import SHEET_ROWS

PERSON_FOLDER = "person"
SHEET = "sheet.png"
# [27] spherical harmonics of light from the camera: skin that faces it has about the brightness of its albedo.
FRONT_LIGHT = np.tile(np.eye(BANDS, dtype=np.float32)[2] * 0.16, 3)


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class PersonRecord(SkinView):
    """The part of a photo's result that is needed to merge the photos of a person.

    Attributes:
      name: name of the photo's results.
      coefficients: [K] final coefficients.
      rgb: [H, W, 3] the crop, RGB in [0, 1].
      alpha: [H, W] mask of the crop.
      gaze: [2] of the eyes, None for straight ahead, see `PhotoResult`.
    """

    name: str
    coefficients: np.ndarray
    rgb: np.ndarray
    alpha: np.ndarray
    gaze: np.ndarray | None

    @classmethod
    def named(cls, result: PhotoResult, textures: FaceTextures | None, name: str) -> "PersonRecord":
        """Record of a reconstructed photo and its textures, if any."""
        return cls(
            **vars(SkinView.of(result, textures)),
            name=printable(name),
            coefficients=result.coefficients,
            rgb=result.photo.rgb,
            alpha=result.alpha,
            gaze=result.gaze,
        )


def check_person(folder: Path) -> None:
    """Refuses a person's folder that holds somebody's own file under the name of a result's, with a UserError."""
    check_result_folder(folder, SHEET)


def write_person(
    folder: Path, reconstruct: FaceReconstructor, export: Exporter, records: DiskList[PersonRecord]
) -> MergedSkin:
    """Merges the photos of one person and writes the result.

    Depending on the export formats, the meshes are mesh.obj with mesh_albedo.png and mesh_normals.png, mesh.glb,
    rig.glb, mesh.usdz, rig.usdz, and mesh.ply with vertex colours. They have no pose and no expression, and the photos'
    merged textures.
    Further files: coefficients.json, metrics.json and sheet.png.

    Args:
      folder: created if missing.
      reconstruct: the reconstructor of the photos.
      export: the exporter of the photos.
      records: records of the person's photos, at least one.

    Returns:
      The merged skin.

    Raises:
      UserError: the folder holds somebody's own file under the name of a result's.
    """
    check_person(folder)
    layout = reconstruct.pipeline.face_model.layout
    skin = merge(records, export.raster if export.textured else None)
    shared = layout.split(records[0].coefficients)
    _write_coefficients(folder, reconstruct, records)  # first, because it marks the folder
    write_meshes(folder, export, shared, skin)
    psnr: dict[str, float] = {}
    rows: list[list[Tile]] = []
    for record in records:
        drawn = reconstruct.draw(record.coefficients[None], tf.constant(skin.albedo[None]), record.gaze)
        mask = drawn[..., 3:] * record.alpha[..., None]
        compared = (tf.constant(picture[None]) for picture in (drawn[..., :3], record.rgb, mask))
        psnr[record.name] = round(float(masked_psnr(*compared)[0]), 4)
        if len(rows) < SHEET_ROWS:
            merged = f"merged  {psnr[record.name]:.1f} dB"
            rows.append([(record.name, to_bytes(record.rgb)), (merged, to_bytes(drawn[..., :3]))])
    with atomic_path(folder / SHEET) as path:
        contact_sheet([turned_views(export, shared.identity, skin), *rows]).save(path)
    write_json(folder / "metrics.json", {"photos": len(records), "psnr_merged": psnr})
    export.remove_earlier(folder, export.formats)
    return skin


def remove_person(folder: Path) -> None:
    """Removes the files of `write_person` from the folder of a person whom a run cannot write, or has yet to write."""
    with contextlib.suppress(OSError):  # perhaps the reason of the failure
        if foreign_file(folder, SHEET) is None:
            (folder / SHEET).unlink(missing_ok=True)
            remove_results(folder)


def turned_views(export: Exporter, identity: np.ndarray, skin: MergedSkin) -> list[Tile]:
    """Pictures of the exported area with a person's skin, without expression, lit from the front, from three sides."""
    morphable, shape = export.morphable, neutral_shape(export, identity, skin)
    views: list[Tile] = []
    for yaw in (NEW_VIEWS[0], 0.0, NEW_VIEWS[1]):
        if skin.texture is not None:
            texture = texture_bytes(skin.texture.albedo)
            view = turned_view(
                morphable, export.chart, shape[0].numpy(), texture, (0.0, yaw, 0.0), export.camera, FRONT_LIGHT
            )
            picture = view[..., :3] * view[..., 3:]
        else:
            turned, clip = turned_mesh(morphable, shape, tf.constant([[0.0, yaw, 0.0]]), export.camera, complete=True)
            light = shading(morphable.normals(turned), tf.constant(FRONT_LIGHT[None]))
            fragments = rasterize(clip, morphable.triangles, export.camera.image_size)
            colour = shade(tf.constant(skin.albedo[None]), light)
            picture = clipped(interpolate(colour, morphable.triangles, fragments))[0].numpy()
        views.append((f"yaw {np.degrees(yaw):+.0f}", to_bytes(picture)))
    return views


def write_meshes(folder: Path, export: Exporter, shared: Coefficients, skin: MergedSkin) -> None:
    """Writes the meshes that `write_person` describes; of the coefficients, identity and albedo are used."""
    morphable, triangles = export.morphable, export.morphable.face_model.triangles
    shape = neutral_shape(export, shared.identity, skin)
    vertices, normals = shape[0].numpy(), morphable.normals(shape)[0].numpy()
    if "ply" in export.formats:
        write_mesh(folder / "mesh.ply", export.scale * vertices, triangles, skin.albedo)
    if not export.textured:
        return
    textures = skin_textures(export, vertices, skin)
    images = {name: png_bytes(pixels) for name, pixels in textures.items()}
    if "obj" in export.formats:
        export.write_obj(folder, vertices, normals, images)
    material = gltf.Material(images["albedo"], images.get("normals"))
    if "usdz" in export.formats:
        export.write_usdz(folder / "mesh.usdz", vertices, normals, material)
    if "glb" in export.formats:
        export.write_glb(folder / "mesh.glb", vertices, normals, material)
    if "rig" in export.formats:
        still = np.zeros(morphable.layout.expression, np.float32)
        paths = rig_files(folder, export.formats)
        export.rig(paths, shared.identity, still, None, rig_material(export, textures, shared), lift=skin.lift)


def neutral_shape(export: Exporter, identity: np.ndarray, skin: MergedSkin) -> tf.Tensor:
    """The exported area [1, N, 3] of an identity [Ki] without expression, with the volume of the hair."""
    return (
        export.morphable.shape(tf.constant(identity[None]), tf.zeros([1, export.morphable.layout.expression]))
        + skin.lift
    )


def skin_textures(export: Exporter, vertices: np.ndarray, skin: MergedSkin) -> dict[str, np.ndarray]:
    """A person's textures uint8 [T, T, 3]: "albedo" and, if exported, "normals"; vertices [N, 3] without expression."""
    if skin.texture is None:
        raise ValueError("a skin must have a texture for textured meshes, got one without")
    textures = {"albedo": texture_bytes(skin.texture.albedo)}
    if (relief := export.baker.relief(vertices, skin.texture.albedo, skin.texture.weight)) is not None:
        textures["normals"] = relief
    return textures


def rig_material(export: Exporter, textures: dict[str, np.ndarray], shared: Coefficients) -> gltf.Material:
    """Material of a person's rig, from `skin_textures` and the coefficients of identity and albedo."""
    own = export.morphable.albedo(tf.constant(shared.albedo[None]))[0].numpy()
    still = np.zeros(export.morphable.layout.expression, np.float32)
    texture = export.rig.texture(textures["albedo"], export.raster, own, shared.identity, still)
    return gltf.Material(png_bytes(texture), png_bytes(textures["normals"]) if "normals" in textures else None)


def _write_coefficients(folder: Path, reconstruct: FaceReconstructor, records: DiskList[PersonRecord]) -> None:
    """Writes coefficients.json."""
    face_model = reconstruct.pipeline.face_model
    shared = face_model.layout.split(records[0].coefficients)
    content = {
        "photos": [record.name for record in records],
        "face_model": {"name": face_model.name, "fingerprint": face_model.fingerprint},
        "coefficients": {"identity": shared.identity.tolist(), "albedo": shared.albedo.tolist()},
    }
    write_json(folder / MARK, content)
