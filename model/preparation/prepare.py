"""--mode prepare: turns a folder of photos into RGBA crops for training, with contact sheets for review.

This module runs in the main process and does not import TensorFlow; the worker processes do
(`model.preparation.worker`).
"""

import contextlib
import hashlib
import json
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

from tqdm import tqdm

from configs import schema
from lib.errors import UserError
from lib.face_image.photo_io import input_photos, result_names
from lib.face_image.quality import DELETED, KINDS
from lib.files.atomic import atomic_path, file_sha256, space_for
from lib.files.csv_files import write_csv
from lib.files.file_names import fitting_stem, name_fault, printable
from lib.files.json_files import json_text, write_json
from lib.files.own_files import begins, check_replaceable, has_keys
from lib.runtime.interruption import Interrupted
from lib.runtime.worker_pool import run_jobs
from lib.sidecar.sidecar_files import landmarks_path, mask_path
from model.preparation.job import Job
from model.preparation.sheets import write_sheets

PRINTED = 20  # number of left-out faces that are printed; left_out.csv lists all of them
_ADDED = len("~999_999.png")  # bytes that a crop's name may have in addition to its photo's
_AGAIN = "delete it and repeat the command"
_KINDS = {
    "prepared.json": has_keys("source", "photos", "crops", "records"),
    "left_out.csv": begins(b"photo,kind,reason"),
}
# Part of every crop's key. Raise it whenever the same photo, options and weights give a different crop or record.
METHOD = "regressed face, parsed mask, 2"


def prepare_folder(config: schema.Config, source: Path, output: Path) -> dict[str, str]:
    """Crops the faces in a folder of photos.

    Writes to `output`: crops/ (RGBA PNGs of data.image_size, alpha 255 on the face, for `create_bin.py --input`),
    sheets/ (pages of crops with their masks' outlines), prepared.json (a record of every photo) and left_out.csv. With
    progress.jsonl the same command resumes: a photo is processed again only if it, its sidecar files, the options or
    `METHOD` changed. Crops whose photo no longer exists are removed.

    Args:
      config: the effective configuration.
      source: folder of photos, with or without sub-folders, or one photo.
      output: created if missing.

    Returns:
      Photos without any crop: name -> reason.

    Raises:
      UserError: there is no photo, no photo gave a crop, or `output` holds a foreign file under the name of an output.
    """
    source, paths = input_photos(source, skip=output)
    check_replaceable(output, _KINDS)
    names = result_names(paths, source)
    crops, journal = output / "crops", output / "progress.jsonl"
    origin = {"source": str(source.resolve())}
    earlier = _read_journal(journal, origin)
    crops.mkdir(parents=True, exist_ok=True)
    options = _options_key(config)
    flat = _flat_names(names)
    records: dict[str, dict] = {}
    jobs: list[Job] = []
    for path in paths:
        photo = path.relative_to(source).as_posix()
        key = _key(path, options, config.prepare.beside, flat[path])
        record = earlier.get(photo)
        if record and record["key"] == key:
            records[photo] = _without_deleted(record, crops)
        else:
            jobs.append(Job(path, photo, crops / f"{flat[path]}.png", key))
    stale = {crop["file"] for record in earlier.values() for crop in record["crops"]}
    for name in stale - {crop["file"] for record in records.values() for crop in record["crops"]}:
        (crops / name).unlink(missing_ok=True)
    _write_journal(journal, origin, records)
    photos = [path.relative_to(source).as_posix() for path in paths]
    try:
        _run(config, jobs, records, journal, len(paths))
    except KeyboardInterrupt as error:
        _write_tables(output, config, source, [records[photo] for photo in photos if photo in records])
        advice = (
            f"{len(records)} of {len(photos)} photos are prepared in {output}; the same command prepares the others"
        )
        raise Interrupted(advice, getattr(error, "number", signal.SIGINT)) from error
    ordered = [records[photo] for photo in photos]
    _write_tables(output, config, source, ordered)
    pages = write_sheets(output / "sheets", crops, [c["file"] for r in ordered for c in r["crops"]])
    return _report(output, source, ordered, len(paths) - len(jobs), pages)


def _run(config: schema.Config, jobs: list[Job], records: dict[str, dict], journal: Path, count: int) -> None:
    """Runs the jobs; adds their records to `records` and to the journal as they arrive."""
    with (
        space_for(journal),
        open(journal, "a", encoding="utf-8") as stream,
        tqdm(total=count, initial=len(records), desc="prepare", unit="photo", dynamic_ncols=True) as bar,
    ):
        for record in run_jobs(jobs, make_preparer, (config,), config.workers, _lost):
            records[record["photo"]] = record
            stream.write(json_text(record) + "\n")
            stream.flush()
            bar.update()


def make_preparer(config: schema.Config) -> Callable[[Job], dict]:
    """Creates the function that prepares one photo; called once in each worker process."""
    from lib.runtime.quiet_tensorflow import import_tensorflow

    import_tensorflow()
    import cv2

    cv2.setNumThreads(1)  # processes run in parallel, and no environment variable limits OpenCV's threads
    from model.preparation.worker import Preparer

    return Preparer(config)


def _without_deleted(record: dict, crops: Path) -> dict:
    """Removes crops that the user has deleted from a record of an earlier run; they stay left out from then on."""
    gone = [crop for crop in record["crops"] if not (crops / crop["file"]).is_file()]
    if not gone:
        return record
    reasons = [{"kind": DELETED, "reason": f"{crop['file']} was deleted by hand"} for crop in gone]
    kept = [crop for crop in record["crops"] if crop not in gone]
    return record | {"crops": kept, "left_out": [*record["left_out"], *reasons]}


def _lost(jobs: list) -> str:
    return (
        "preparing must keep its processes, got one killed (too little memory? use --workers 1 and repeat the command; "
        f"it continues where it stopped) at one of {', '.join(job.photo for job in jobs)}"
    )


def _flat_names(names: dict[Path, str]) -> dict[Path, str]:
    """Flattens nested names, with `__` between folders; names that would collide get a number."""
    flat: dict[Path, str] = {}
    used: set[str] = set()
    for path, name in names.items():
        stem = fitting_stem(name.replace("/", "__"), _ADDED)
        candidate, number = stem, 1
        while candidate.casefold() in used:
            number += 1
            candidate = f"{stem}~{number}"
        used.add(candidate.casefold())
        flat[path] = candidate
    return flat


def _options_key(config: schema.Config) -> str:
    """Hash of everything that determines a crop apart from the photo: method, options, weights."""
    section = asdict(config.prepare)
    for name in ("input", "output"):
        section.pop(name)
    parts = [
        METHOD,
        section,
        asdict(config.face_model),
        asdict(config.camera),
        asdict(config.regressor),
        config.data.image_size,
    ]
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode())
    files = [schema.asset_path(config.regressor.weights)]
    if config.prepare.parser:
        files.append(Path(config.prepare.parser))
    for path in files:
        if not path.is_file():
            raise UserError(f"{path}: must be a file, got none")
        digest.update(file_sha256(path).encode())
    return digest.hexdigest()


def _key(path: Path, options: str, beside: bool, name: str) -> str:
    """Hash of a photo, its sidecar files, the options and the crop's name."""
    files = [path, *(filter(None, (landmarks_path(path), mask_path(path))) if beside else ())]
    states = [(file.name, *_state(file)) for file in files]
    return hashlib.sha256(json.dumps([options, name, states]).encode()).hexdigest()[:16]


def _state(file: Path) -> tuple[int, int]:
    """Size and time of a file; (-1, -1) if it cannot be read (a dangling link), which the worker reports."""
    try:
        state = file.stat()
    except OSError:
        return -1, -1
    return state.st_size, state.st_mtime_ns


def _read_journal(path: Path, origin: dict) -> dict[str, dict]:
    """Reads the last record of each photo; ignores the incomplete last line of an interrupted run.

    Raises:
      UserError: the journal belongs to another folder of photos, whose crops would be removed, or it was not written by
        this program.
    """
    if not path.is_file():
        return {}
    entries = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        with contextlib.suppress(json.JSONDecodeError):
            entries.append(json.loads(line))
    try:
        (first, *rest) = entries
        found, records = first["source"], {record["photo"]: record for record in rest}
        files = [crop["file"] for record in rest for crop in record["crops"]]
        complete = all({"key", "left_out"} <= record.keys() for record in rest)
    except (ValueError, KeyError, TypeError, AttributeError):
        complete = False
    if not complete:
        raise UserError(f"{path}: must be this program's journal, got other lines ({_AGAIN})")
    if any(name_fault(file) or Path(file).name != file for file in files):
        raise UserError(f"{path}: crops must lie in crops/, got a path ({_AGAIN})")
    if found != origin["source"]:
        raise UserError(
            f"{path.parent}: must be new or hold crops of {origin['source']}, got those of {found} (choose another "
            "--output)"
        )
    return records


def _write_journal(path: Path, origin: dict, records: dict[str, dict]) -> None:
    lines = [json_text(entry) + "\n" for entry in (origin, *records.values())]
    with atomic_path(path) as temporary:
        temporary.write_text("".join(lines), encoding="utf-8")


def _left_out(records: list[dict]) -> Iterator[tuple[str, str, str]]:
    """Photo, kind and reason for each face or photo that was left out."""
    for record in records:
        for entry in record["left_out"]:
            yield printable(record["photo"]), entry["kind"], entry["reason"]


def _write_tables(output: Path, config: schema.Config, source: Path, records: list[dict]) -> None:
    write_csv(output / "left_out.csv", [("photo", "kind", "reason"), *_left_out(records)])
    content = {
        "source": str(source.resolve()),
        "image_size": config.data.image_size,
        "photos": len(records),
        "crops": sum(len(record["crops"]) for record in records),
        "left_out": dict(Counter(kind for _, kind, _ in _left_out(records))),
        "records": [{name: value for name, value in record.items() if name != "key"} for record in records],
    }
    write_json(output / "prepared.json", content)


def _report(output: Path, source: Path, records: list[dict], skipped: int, pages: int) -> dict[str, str]:
    """Prints a table of the faces and photos left out; returns the photos without any crop."""
    entries = list(_left_out(records))
    counts = Counter(kind for _, kind, _ in entries)
    width = max((len(photo) for photo, _, _ in entries[:PRINTED]), default=0)
    for photo, _, reason in entries[:PRINTED]:
        print(f"{photo:<{width}}  left out: {reason}")
    if len(entries) > PRINTED:
        print(f"{len(entries) - PRINTED} more in {output / 'left_out.csv'}")
    if entries:
        print("left out: " + ", ".join(f"{counts[kind]} {kind}" for kind in KINDS if counts[kind]))
    remarks = [f"{printable(record['photo'])}: {record['remark']}" for record in records if record.get("remark")]
    for remark in remarks[:PRINTED]:
        print(remark)
    if len(remarks) > PRINTED:
        print(f"{len(remarks) - PRINTED} more remarks in {output / 'prepared.json'}")
    crops = sum(len(record["crops"]) for record in records)
    failed = {printable(r["photo"]): r["left_out"][0]["reason"] for r in records if not r["crops"]}
    if not crops:
        photo, reason = next(iter(failed.items()))
        raise UserError(
            f"{source}: at least one photo must show a face, got none of {len(records)} (the first, {photo}: {reason}; "
            f"all are listed in {output / 'left_out.csv'})"
        )
    done = f", {skipped} of them in an earlier run" if skipped else ""
    print(f"{crops} crops of {len(records) - len(failed)} of {len(records)} photos{done}, in {output / 'crops'}")
    print(f"review {output / 'sheets'} ({pages} pages) and delete bad crops, then run:")
    print(f"python create_bin.py --name mine --input {output / 'crops'}")
    return failed
