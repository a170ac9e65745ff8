"""Several photos of one person: one identity and one albedo from all of them, textures merged by visibility."""

import dataclasses
import json
import time
from collections.abc import Collection
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image
from tqdm import tqdm

from configs import schema
from lib import gltf
from lib.face_image.photo_io import photo_paths, result_names
from lib.mesh_io import write_mesh
from lib.mesh_renderer.fragments import interpolate
from model import components, reconstruction_files
from model.fitting_groups import PersonFitter, share
from model.metrics import masked_psnr
from model.reconstruction import NEW_VIEWS, Draft, PhotoResult, Reconstructor
from model.result_folder import PHOTO_ERRORS, ResultFolder
from model.texture_trainer import clipped
from utils import UserError, atomic_path

# Folder of what all photos of a person say together.
PERSON_FOLDER = "person"
# Weight of a photo's albedo where it did not see the skin: the mean of the networks' guesses is left.
UNSEEN = 0.01
# Faces seen at a flat angle are smeared: the weight falls with this power of the cosine.
FRONTALITY_POWER = 2.0
# A photo's gain on the albedo is limited to this factor either way.
MAX_GAIN = 1.5


def person_fitter(reconstruct: Reconstructor, frozen: bool = True) -> PersonFitter:
    """A fitter for `fit_person`; kept and used again, it is traced once for every number of photos."""
    parts = reconstruct.parts
    return PersonFitter(parts.chain.morphable, parts.camera, reconstruct.learning_rate, frozen=frozen)


def fit_person(reconstruct: Reconstructor, fitter: PersonFitter, drafts: list[Draft]) -> list[Draft]:
    """Fits photos of one person: each by itself, then the rest around the robust mean of identity and albedo.

    What misleads a photo (shadows, hair, glasses) misleads it with many pixels at once. One energy over all photos lets
    the strongest of them win; apart, they outvote it (`python -m benchmarks.same_person` compares both).

    Args:
      reconstruct: fits each photo.
      fitter: a frozen one of `person_fitter`.
      drafts: of one person.

    Returns:
      The drafts, identity and albedo the same in all.
    """
    if reconstruct.steps:
        drafts = reconstruct.fit(drafts, reconstruct.fitter)
    drafts = share_drafts(reconstruct, drafts)
    return reconstruct.fit(drafts, fitter) if reconstruct.steps else drafts


def share_drafts(reconstruct: Reconstructor, drafts: list[Draft]) -> list[Draft]:
    """The drafts with the robust mean of their identities and albedos."""
    shared = share(reconstruct.parts.face_model.layout, np.stack([draft.coefficients for draft in drafts]))
    return [dataclasses.replace(draft, coefficients=row) for draft, row in zip(drafts, shared, strict=True)]


def merge_albedos(albedos: np.ndarray, visibility: np.ndarray, frontality: np.ndarray) -> np.ndarray:
    """One albedo [N, 3] from those of P photos.

    What a photo saw counts by visibility and by how frontally it was seen; what none saw becomes the mean of the
    networks' guesses. Before, each photo's colours are scaled to the median of all on the skin that it shares with
    them, because exposure and albedo cannot be told apart in one photo.

    Args:
      albedos: [P, N, 3] RGB.
      visibility: [P, N] in [0, 1].
      frontality: [P, N] cosine between normal and view, negative where turned away.
    """
    weights = visibility * np.maximum(frontality, 0) ** FRONTALITY_POWER
    common = np.median(albedos, axis=0)
    scale = weights.sum(axis=1)[:, None]
    mean = np.einsum("pn,pnc->pc", weights, albedos) / np.maximum(scale, 1e-6)
    wanted = np.einsum("pn,nc->pc", weights, common) / np.maximum(scale, 1e-6)
    gains = np.clip(wanted / np.maximum(mean, 1e-3), 1 / MAX_GAIN, MAX_GAIN)
    gains = np.where(scale > 0, gains, 1.0)
    weights = weights + UNSEEN
    return np.einsum("pn,pnc->nc", weights, albedos * gains[:, None]) / weights.sum(axis=0)[:, None]


def merged_albedo(results: list[PhotoResult]) -> np.ndarray:
    """`merge_albedos` of photos of one person."""
    chains = [result.result for result in results]
    return merge_albedos(
        np.concatenate([chain.albedo for chain in chains]),
        np.concatenate([chain.coarse.sampled.visibility[..., 0] for chain in chains]),
        np.concatenate([chain.coarse.face.normals[..., 2] for chain in chains]),
    ).astype(np.float32)


def reconstruct_people(config: schema.Config, source: Path, output: Path) -> dict[str, str]:
    """Reconstructs people, each from all photos of a folder.

    Each photo gets its folder as in `reconstruct_folder`, and each person a folder `person` with mesh.obj, mesh.ply and
    mesh.glb (no pose, no expression, merged albedo), coefficients.json, metrics.json and sheet.png.

    Args:
      config: the effective configuration.
      source: folder of one person's photos, or of one such folder for each person.
      output: folder of the results; a sub-folder for each person if `source` has them.

    Returns:
      The photos that could not be reconstructed: name -> reason.

    Raises:
      UserError: there is no photo, no trained network, or not one photo could be reconstructed.
    """
    source, output = Path(source), Path(output)
    people = person_folders(source, output)
    parts = components.load(config)
    components.restore_texture_network(parts)
    reconstruct = Reconstructor.of(config, parts)
    fitter = person_fitter(reconstruct)
    written = ResultFolder(config, parts, source, output)
    for folder in tqdm(people, "reconstruct", unit="person", dynamic_ncols=True):
        paths = photo_paths(folder, skip=output)
        results, failed = _reconstruct_person(reconstruct, fitter, paths)
        names = result_names(paths, source)
        for path, result in results.items():
            taken = Path(names[path]).name == PERSON_FOLDER
            try:
                written.add(path, f"{names[path]}_{path.suffix[1:]}" if taken else names[path], result)
            except PHOTO_ERRORS as error:
                failed[path] = error
        for path, error in failed.items():
            written.fail(path, error)
        if good := [result for path, result in results.items() if path not in failed]:
            target = output / folder.relative_to(source) / PERSON_FOLDER
            write_person(target, reconstruct, good, config.export.formats)
    return written.finish()


def person_folders(source: Path, output: Path | None = None) -> list[Path]:
    """The folder itself, or its sub-folders: one for each person. Sub-folders without photos do not count.

    Args:
      source: of the photos.
      output: a folder within it that holds results.

    Raises:
      UserError: both photos and sub-folders with photos, or neither.
    """
    paths = photo_paths(source, skip=output)
    folders = sorted({source / path.relative_to(source).parts[0] for path in paths if path.parent != source})
    if not folders:
        return [source]
    beside = [path for path in paths if path.parent == source]
    if beside:
        raise UserError(
            f"{source}: must hold photos of one person, or a folder for each person, got photos ({beside[0].name}) and "
            f"folders with photos ({folders[0].name}) side by side"
        )
    return folders


def _reconstruct_person(
    reconstruct: Reconstructor, fitter: PersonFitter, paths: list[Path]
) -> tuple[dict[Path, PhotoResult], dict[Path, Exception]]:
    """Results of the photos that worked, errors of those that did not."""
    drafts: dict[Path, Draft] = {}
    results: dict[Path, PhotoResult] = {}
    failed: dict[Path, Exception] = {}
    started = time.monotonic()
    for path in paths:
        try:
            drafts[path] = reconstruct.guess(reconstruct.reader.read(path))
        except PHOTO_ERRORS as error:
            failed[path] = error
    if not drafts:
        return results, failed
    try:
        fitted = fit_person(reconstruct, fitter, list(drafts.values()))
    except PHOTO_ERRORS as error:  # the photos were fitted together
        return results, failed | dict.fromkeys(drafts, error)
    seconds = (time.monotonic() - started) / len(drafts)  # the joint part belongs to all of them alike
    for path, draft in zip(drafts, fitted, strict=True):
        try:
            results[path] = reconstruct.finish(draft, time.monotonic() - seconds)
        except PHOTO_ERRORS as error:
            failed[path] = error
    return results, failed


def write_person(
    folder: Path, reconstruct: Reconstructor, results: list[PhotoResult], formats: Collection[str]
) -> None:
    """Writes what photos of one person say together, meshes in the exports' `formats`; see `reconstruct_people`."""
    parts, layout = reconstruct.parts, reconstruct.parts.face_model.layout
    albedo = merged_albedo(results)
    first = layout.split(results[0].coefficients)
    identity = first.identity[None]
    morphable = parts.chain.morphable
    shape = morphable.shape(tf.constant(identity), tf.zeros([1, layout.expression]))
    neutral, triangles = shape[0].numpy(), parts.face_model.triangles
    for suffix in {"obj", "ply"} & set(formats):
        write_mesh(folder / f"mesh.{suffix}", neutral, triangles, albedo)
    if "glb" in formats:
        normals = morphable.normals(shape)[0].numpy()
        gltf.write_glb(folder / "mesh.glb", neutral, triangles, normals, gltf.Material(), colours=np.clip(albedo, 0, 1))
    psnr, rows = {}, []
    for result in results:
        coarse = result.result.coarse
        colours = tf.constant(albedo[None]) * coarse.face.shading
        drawn = clipped(interpolate(colours, morphable.triangles, coarse.fragments))
        mask = result.result.mask * result.alpha[None, ..., None]
        psnr[result.photo.name] = round(float(masked_psnr(drawn, tf.constant(result.photo.rgb[None]), mask)[0]), 4)
        rows.append(np.hstack([result.photo.rgb, drawn[0].numpy()]))
    views = []
    for yaw in (NEW_VIEWS[0], 0.0, NEW_VIEWS[1]):
        posed = np.zeros([1, layout.size], np.float32)
        posed[:, layout.slices["identity"]] = identity
        posed[:, layout.slices["angles"]] = [0.0, yaw, 0.0]
        views.append(reconstruct.draw(posed, tf.constant(albedo[None]))[..., :3])
    row = np.hstack(views)
    width = row.shape[1]
    rows = [np.pad(cells, ((0, 0), (0, width - cells.shape[1]), (0, 0)), constant_values=1) for cells in rows]
    with atomic_path(folder / "sheet.png") as path:
        Image.fromarray(reconstruction_files.to_bytes(np.vstack([row, *rows]))).save(path)
    contents = {
        "coefficients": {
            "photos": [result.photo.name for result in results],
            "face_model": {"name": parts.face_model.name, "fingerprint": parts.face_model.fingerprint},
            "coefficients": {"identity": first.identity.tolist(), "albedo": first.albedo.tolist()},
        },
        "metrics": {"photos": len(results), "psnr_merged": psnr},
    }
    for name, content in contents.items():
        with atomic_path(folder / f"{name}.json") as path:
            path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
