"""Reconstructs people from several photos each: one identity and albedo per person, textures merged by visibility."""

import functools
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
from tqdm import tqdm

from configs import schema
from lib.errors import UserError
from lib.face_image.photo_io import photo_paths, read_photo, result_names
from lib.face_image.region import face_region
from lib.files.disk_list import DiskList
from lib.files.file_names import printable
from lib.sidecar.sidecar_files import report_sidecars, sidecar_files
from model.person.estimator import BATCH, Gallery, PersonEstimator, batches, fit_apart
from model.person.files import PERSON_FOLDER, PersonRecord, check_person, remove_person, write_person
from model.photos.errors import failure_reason, photo_barrier
from model.photos.unchanged import UnchangedFiles
from model.reconstruction.draft import Draft
from model.reconstruction.face_reconstructor import FaceReconstructor
from model.reconstruction.files import check_result_folder, remove_other_faces, remove_results
from model.reconstruction.result_folder import RUN_FILES, ResultFolder, shown_name
from model.reconstruction.worker import report_data, save


def reconstruct_people(config: schema.Config, source: Path, output: Path) -> dict[str, str]:
    """Reconstructs people, each from all photos in a folder.

    Each photo gets a folder as in `reconstruct_folder`, and each person a folder `person`, written by `write_person`:
    meshes (no pose, no expression, merged albedo), coefficients.json, metrics.json and sheet.png.

    Args:
      config: the effective configuration.
      source: folder of one person's photos, or folder with a sub-folder of photos for each person.
      output: folder for the results, with a sub-folder for each person if `source` has them.

    Returns:
      The photos that could not be reconstructed, and the people that could not be merged: name -> reason.

    Raises:
      UserError: there is no photo or no trained network, a person's folder holds somebody's own files, or all photos
        failed.
    """
    source, output = Path(source), Path(output)
    people = {folder: folder.relative_to(source) / PERSON_FOLDER for folder in person_folders(source, output)}
    for person in people.values():  # before the work
        check_person(output / person)
    sidecars = sidecar_files(photo_paths(source, skip=output))
    if config.prepare.beside:
        report_sidecars(sidecars)
    reconstruct = FaceReconstructor.load(config)
    export = reconstruct.export  # a face model that cannot have rigs is refused before the work
    estimator = PersonEstimator(reconstruct)
    written = ResultFolder(source, output, report_data(reconstruct))
    unmerged: dict[str, str] = {}
    with written.reported_at_the_end(len(sidecars)):
        for folder, person in tqdm(people.items(), "reconstruct", unit="person", dynamic_ncols=True):
            paths = photo_paths(folder, skip=output)
            names = result_names(paths, source, taken=(*RUN_FILES, person.as_posix()))
            remove_person(output / person)  # a run that is stopped now would leave it beside other photos' results
            records = _reconstruct_person(estimator, written, names, sidecars)
            for path, name in names.items():
                if shown_name(path, source) in written.failed:
                    remove_results(output / name)
            if len(records):
                with photo_barrier(functools.partial(_fail_person, unmerged, output, person)):
                    write_person(output / person, reconstruct, export, records)
    return written.failed | unmerged


def person_folders(source: Path, output: Path | None = None) -> list[Path]:
    """Folders of photos, one for each person: `source` itself, or its sub-folders that hold photos.

    Args:
      source: the folder to search.
      output: folder of results, ignored if it lies within `source`.

    Raises:
      UserError: `source` holds both photos and sub-folders with photos, or neither.
    """
    paths = photo_paths(source, skip=output)
    folders = sorted({source / path.relative_to(source).parts[0] for path in paths if path.parent != source})
    if not folders:
        return [source]
    loose = [path for path in paths if path.parent == source]
    if loose:
        raise UserError(
            f"{source}: must hold photos of one person, or a folder for each person, got photos ({loose[0].name}) and "
            f"folders with photos ({folders[0].name}) side by side"
        )
    return folders


def _reconstruct_person(
    estimator: PersonEstimator,
    written: ResultFolder,
    names: dict[Path, str],
    sidecars: Mapping[Path, Iterable[Path]],
) -> DiskList[PersonRecord]:
    """Reconstructs one person's photos, writes each to its folder in `names`, and returns their records.

    `sidecars` are the sidecar files of all photos when the run began.

    Only one batch of photos is in memory at a time; between passes, crops are stored on disk and photos are read again.
    """
    started = time.monotonic()
    unchanged = UnchangedFiles()
    gallery, paths = _fit_each(estimator, written, names, sidecars, unchanged)
    records: DiskList[PersonRecord] = DiskList()
    if not paths:
        return records
    shared = None
    with photo_barrier(functools.partial(_fail_all, written, paths)):
        shared = estimator.fit_shared(gallery)
    if shared is None:  # the joint fit failed, so all its photos did
        return records
    fit = functools.partial(estimator.fit_with_identity, shared)
    jointly = time.monotonic() - started
    for first in range(0, len(paths), BATCH):
        batch = paths[first : first + BATCH]
        began = time.monotonic()
        drafts = [gallery.drafts[first + offset] for offset in range(len(batch))]
        fitted = _fitted(fit, written, batch, drafts)
        together = time.monotonic() - began
        for path, draft in fitted.items():
            began = time.monotonic()
            with photo_barrier(functools.partial(_fail, written, path)):
                unchanged.check(path)
                pixels = np.rot90(read_photo(path), draft.photo.turns)
                region = face_region(pixels, draft.photo.alignment, draft.photo.photo_size)
                result = estimator.reconstruct.finish(draft, region)
                shown, alone = shown_name(path, written.source), time.monotonic() - began
                taken = own_seconds(jointly, len(paths), together, len(batch), alone)
                entry, textures = save(result, written.output, names[path], shown, taken, written.wants_rows)
                remove_other_faces(written.output / names[path], None)
                written.add(entry)
                records.append(PersonRecord.named(result, textures, names[path]))
    return records


def own_seconds(jointly: float, photos: int, together: float, batch: int, alone: float) -> float:
    """Time of one photo: equal shares of the person's joint fit and of its batch's fit, and what was spent on it alone.

    Args:
      jointly, photos: seconds of the joint fit, and the number of its photos.
      together, batch: seconds of the batch's fit, and the number of its photos.
      alone: seconds.
    """
    return jointly / photos + together / batch + alone


def _fit_each(
    estimator: PersonEstimator,
    written: ResultFolder,
    names: Mapping[Path, str],
    sidecars: Mapping[Path, Iterable[Path]],
    unchanged: UnchangedFiles,
) -> tuple[Gallery, list[Path]]:
    """Fits each photo alone, the keys of `names`; returns the drafts of those that succeeded, and their paths."""
    gallery, kept = Gallery(), []
    reconstruct = estimator.reconstruct
    for batch in batches(list(names)):
        drafts = {}
        for path in batch:
            with photo_barrier(functools.partial(_fail, written, path)):
                check_result_folder(written.output / names[path])  # before the work
                unchanged.check(path)
                photo, _ = reconstruct.reader.read(path, sidecars.get(path, ()))
                drafts[path] = reconstruct.initial_estimate(photo)
        for path, draft in _fitted(estimator.fit_each, written, list(drafts), list(drafts.values())).items():
            gallery.append(draft)
            kept.append(path)
    return gallery, kept


def _fitted(
    fit: Callable[[list[Draft]], list[Draft]], written: ResultFolder, paths: list[Path], drafts: list[Draft]
) -> dict[Path, Draft]:
    """Fits a batch; leaves out the photos that cannot be fitted, and records them as failed."""
    fitted = fit_apart(fit, drafts, lambda position, error: _fail(written, paths[position], error)) if drafts else []
    return {path: draft for path, draft in zip(paths, fitted, strict=True) if draft is not None}


def _fail_person(unmerged: dict[str, str], output: Path, person: Path, error: Exception) -> None:
    """Tells, apart from the photos' failures, that a person cannot be merged; removes what there is of the result."""
    remove_person(output / person)
    name = printable(person.as_posix())
    unmerged[name] = failure_reason(person, error)
    tqdm.write(f"{name}: not merged, {unmerged[name]}", file=sys.stderr)


def _fail_all(written: ResultFolder, paths: list[Path], error: Exception) -> None:
    for path in paths:
        _fail(written, path, error)


def _fail(written: ResultFolder, path: Path, error: Exception) -> None:
    written.fail(shown_name(path, written.source), failure_reason(path, error))
