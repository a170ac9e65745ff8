"""--mode prepare: turns a folder of photos into RGBA crops for training, with contact sheets for review.

This module runs in the main process and does not import TensorFlow; the worker processes do
(`model.preparation.worker`).
"""

import contextlib
import re
import signal
import sys
from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence
from pathlib import Path

from tqdm import tqdm

from configs import schema
from lib.errors import GivenUp, UserError
from lib.face_image.quality import DELETED, KILLED
from lib.files.atomic import space_for
from lib.files.own_files import begins, check_replaceable, has_keys
from lib.files.shards import FOLDER
from lib.runtime.determinism import use_one_thread
from lib.runtime.interruption import Interrupted
from lib.runtime.resources import affordable
from lib.runtime.worker_pool import Outcome, run_in_processes
from lib.sidecar.sidecar_files import report_sidecars
from model.preparation.job import RETRY, Job
from model.preparation.journal import journal_line, read_journal, write_journal
from model.preparation.photo_folder import JOURNAL, PhotoFolder
from model.preparation.report import crop_files, report_crops, report_left_out, report_strays, write_tables
from model.preparation.sheets import write_sheets

_KILLED = "the process that worked on it was killed (too little memory? give more, or use fewer --workers)"
# Peak of a process with the default configuration: photos of 12 megapixels.
PROCESS_BYTES = 5 * 2**28
INTERRUPTED_SHEETS = 5000  # crops whose sheets are drawn after an order to stop: in 20 seconds
_KINDS = {
    "prepared.json": has_keys("source", "photos", "crops", "records"),
    "left_out.csv": begins(b"photo,kind,reason"),
}
# An earlier run leaves at least one of the first; without any, files like the others are somebody's own.
_MARKS = (JOURNAL, "prepared.json", f"{FOLDER}/*.json*")
_PICTURES = ("crops/*.png", "sheets/page_*.png")


def prepare_folder(config: schema.Config, source: Path, output: Path) -> dict[str, str]:
    """Crops the faces in a folder of photos.

    Writes to `output`: crops/ (RGBA PNGs of data.image_size, alpha 255 on the face, for `create_bin.py --input`),
    sheets/ (pages of crops with their masks' outlines), prepared.json (a record of every photo) and left_out.csv. With
    progress.jsonl the same command resumes: a photo is processed again only if it, its sidecar files, the options or
    `METHOD` changed, or if it failed for a reason that may lie outside of it. Crops whose photo no longer exists are
    removed. One photo of a folder is added to the crops of the others; tables and sheets hold all of them.

    Args:
      config: the effective configuration.
      source: folder of photos, with or without sub-folders, or one photo.
      output: created if missing.

    Returns:
      Photos of this run that gave no crop: name -> reason.

    Raises:
      UserError: there is no photo, no photo gave a crop, or `output` holds a foreign file under the name of an output.
    """
    check_output(output)
    folder = PhotoFolder.find(config, source, output)
    journal = output / JOURNAL
    records: dict[str, dict] = {}
    try:
        skipped = prepare_photos(config, folder, folder.paths, folder.earlier, journal, records, folder.others)
    except KeyboardInterrupt as error:
        advice = _write_interrupted(config, folder, records)
        raise Interrupted(advice, getattr(error, "number", signal.SIGINT)) from error
    return finish(config, folder, [records[photo] for photo in folder.photos], skipped)


def _write_interrupted(config: schema.Config, folder: PhotoFolder, done: Mapping[str, dict]) -> str:
    """Writes the results of a run that was told to stop, sheets only if they take seconds; returns how to continue."""
    # The journal also holds earlier records of photos that were to be tried again, whose crops are still there.
    known = {**read_journal(folder.output / JOURNAL, folder.origin), **done}
    kept = [known[photo] for photo in folder.photos if photo in known and known[photo]["key"]]
    more = f", {len(kept) - len(done)} more as an earlier run left them" if len(kept) > len(done) else ""
    advice = (
        f"{len(done)} of {len(folder.paths)} photos are prepared in {folder.output}{more}; the same command prepares"
    )
    write_tables(folder.output, config, folder.source, records := folder.with_others(kept))
    if len(crops := crop_files(records)) > INTERRUPTED_SHEETS:
        return f"{advice} the others and draws the sheets"
    print(f"\n{advice} the others; drawing the sheets (stop again to leave them out)", file=sys.stderr)
    with contextlib.suppress(KeyboardInterrupt):
        write_sheets(folder.output / "sheets", folder.crops, crops)
    return f"{advice} the others"


def check_output(output: Path) -> None:
    """Raises UserError if a run would replace a file that is not of an earlier run."""
    check_replaceable(output, _KINDS)
    if not any(any(output.glob(pattern)) for pattern in _MARKS):
        for pattern in _PICTURES:
            if foreign := sorted(output.glob(pattern)):
                raise UserError(
                    f"{foreign[0]}: must be an earlier run's file to be replaced, got another one (choose another "
                    "--output)"
                )


def prepare_photos(
    config: schema.Config,
    folder: PhotoFolder,
    paths: Sequence[Path],
    earlier: Mapping[str, dict],
    journal: Path,
    records: dict[str, dict],
    others: Collection[dict] = (),
) -> int:
    """Prepares photos whose earlier records are missing, outdated, or of a failure that may be mended by now.

    Args:
      config: the effective configuration.
      folder: all photos.
      paths: those to prepare.
      earlier: records of an earlier run; crops of theirs that no record holds any longer are removed. Photos that are
        tried again keep theirs until then, because a shard's journal is not the only one that holds them.
      journal: receives the records as they arrive.
      records: also receives them, by photo.
      others: records of other photos that the journal keeps, and whose crops are not removed.

    Returns:
      The number of photos whose earlier record still holds.
    """
    if config.prepare.beside:
        report_sidecars({path: folder.sidecars[path] for path in paths})
    folder.crops.mkdir(parents=True, exist_ok=True)
    jobs: list[Job] = []
    known: dict[str, dict] = {}  # earlier records of photos to prepare
    deleted, resumed = 0, journal.is_file()
    again: list[dict] = []  # those that hold but for what may be mended by now, with what was deleted since
    for job in map(folder.job, paths):
        if job.photo not in earlier:
            jobs.append(job)
            continue
        record = folder.without_deleted(earlier[job.photo])
        if record["key"] == job.key and not record.get(RETRY):
            records[job.photo] = record
            continue
        jobs.append(job)
        known[job.photo] = record
        if record["key"] == job.key:
            again.append(record)
        else:
            deleted += sum(entry["kind"] == DELETED for entry in record["left_out"])
    if deleted:
        print(
            f"{folder.crops}: crops deleted by hand are made again where photos or options have changed, got "
            f"{deleted} (look through the sheets again)",
            file=sys.stderr,
        )
    held = replace_journal(journal, folder, [*others, *records.values(), *again], earlier)
    if resumed:
        remove_crops(folder.crops, _written(config, folder.crops, jobs) - held)
    _run(config, folder, jobs, records, journal, len(paths), known)
    return len(paths) - len(jobs)


def replace_journal(journal: Path, folder: PhotoFolder, kept: Sequence[dict], earlier: Mapping[str, dict]) -> set[str]:
    """Writes the records to keep, and removes the crops that only `earlier` ones hold; returns the names of the others.

    Until they are removed, the journal holds their records, too, so that the next run removes what a stopped one left.
    The empty key makes these outdated: crops that are gone while a journal holds them count as deleted by hand.
    """
    held = set(crop_files(kept))
    if stale := set(crop_files(earlier.values())) - held:
        photos = {record["photo"] for record in kept}
        outdated = [record | {"key": ""} for photo, record in earlier.items() if photo not in photos]
        write_journal(journal, folder.origin, [*kept, *outdated])
        remove_crops(folder.crops, stale)
    write_journal(journal, folder.origin, kept)
    return held


def remove_crops(folder: Path, names: Iterable[str]) -> None:
    """Deletes crops that no record holds any longer."""
    for name in names:
        (folder / name).unlink(missing_ok=True)


def _written(config: schema.Config, folder: Path, jobs: Iterable[Job]) -> set[str]:
    """Names of the crops of some photos that are there, also without a record, as a killed run leaves them."""
    number = r"_[0-9]+$" if config.prepare.faces == "all" else r"$"
    stems = {job.crop.stem for job in jobs}
    return {path.name for path in folder.glob("*.png") if re.sub(number, "", path.stem) in stems}


def finish(config: schema.Config, folder: PhotoFolder, records: list[dict], skipped: int) -> dict[str, str]:
    """Writes tables and contact sheets and prints the report; returns the photos that gave no crop.

    Args:
      config: the effective configuration.
      folder: all photos.
      records: one for each, in order.
      skipped: number of photos that an earlier run prepared.
    """
    every = folder.with_others(records)
    write_tables(folder.output, config, folder.source, every)
    pages = write_sheets(folder.output / "sheets", folder.crops, crop_files(every))
    failed = report_left_out(folder.output, folder.source, records)
    report_strays(folder.crops, every)
    report_crops(config, folder.output, every, skipped + len(folder.others), pages)
    return failed


def _run(
    config: schema.Config,
    folder: PhotoFolder,
    jobs: list[Job],
    records: dict[str, dict],
    journal: Path,
    count: int,
    known: Mapping[str, dict],
) -> None:
    """Runs the jobs; adds their records to `records` and to the journal as they arrive.

    Photos at which an earlier run's process was killed come last, and wait for the next run if too many processes are
    killed at them again, because all others are done.

    Args:
      known: earlier records of the photos, by photo.
    """
    killed = {photo for photo, record in known.items() if any(each["kind"] == KILLED for each in record["left_out"])}
    with (
        space_for(journal),
        open(journal, "a", encoding="utf-8") as stream,
        tqdm(total=count, initial=len(records), desc="prepare", unit="photo", dynamic_ncols=True) as bar,
    ):

        def add(job: Job, record: dict | None) -> None:
            stale = _written(config, folder.crops, [job]) if record is None else set()
            record = record or _lost(job)
            if (before := known.get(job.photo)) and before["key"] == job.key:
                record = folder.deleted_again(record, before)
                stale.update(crop_files([before]))
            records[job.photo] = record
            stream.write(journal_line(record, folder.origin))
            stream.flush()
            remove_crops(folder.crops, stale.difference(crop_files([record])))  # when no journal holds them any longer
            bar.update()

        def run(jobs: list[Job]) -> GivenUp | None:
            try:
                with contextlib.closing(_outcomes(config, jobs, count)) as outcomes:
                    for outcome in outcomes:
                        add(outcome.job, outcome.result)
            except GivenUp as error:
                return error
            return None

        others = [job for job in jobs if job.photo not in killed]
        error = run(others)
        if error is not None and any(job.photo not in records for job in others):
            raise UserError(f"{error}; repeat the command to go on with the others") from error
        run([job for job in jobs if job.photo in killed])
        for job in jobs:
            if job.photo not in records:
                add(job, None)


def _outcomes(config: schema.Config, jobs: list[Job], count: int) -> Generator[Outcome[Job, dict], None, None]:
    """Prepares photos, in this process only if there is one: a photo that kills its process must not end the others."""
    if count > 1 and jobs:
        yield from run_in_processes(jobs, make_preparer, (config,), process_count(config, len(jobs)))
    elif jobs:
        prepare = make_preparer(config)
        for job in jobs:
            yield Outcome(job, prepare(job))


def _lost(job: Job) -> dict:
    """The record of a photo whose process was killed."""
    left_out = [{"kind": KILLED, "reason": _KILLED}]
    return {"photo": job.photo, "key": job.key, "crops": [], "left_out": left_out, "remark": "", RETRY: True}


def process_count(config: schema.Config, photos: int) -> int:
    """Number of processes for so many photos: data.workers, or one for each core if memory suffices."""
    return max(min(config.data.workers or affordable(config.workers, PROCESS_BYTES), photos), 1)


def make_preparer(config: schema.Config) -> Callable[[Job], dict]:
    """Creates the function that prepares one photo; called once in each process that does so.

    Crops do not depend on the number of processes, because each uses one thread.
    """
    use_one_thread(hide_gpu=True)  # crops must not depend on the number of processes
    from lib.runtime.quiet_tensorflow import import_tensorflow

    import_tensorflow()
    from model.preparation.worker import Preparer

    return Preparer(config)
