"""Tables of --mode prepare, and what it prints at the end."""

import shlex
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from configs import schema
from lib.errors import UserError
from lib.face_image.quality import DELETED, KINDS
from lib.files.csv_files import write_csv
from lib.files.file_names import printable
from lib.files.folders import visible_files
from lib.files.json_files import write_json
from lib.messages import counted
from model.preparation.job import RETRY

LISTED = 5  # names in one line
PRINTED = 20  # number of left-out faces that are printed; left_out.csv lists all of them


def crop_files(records: Iterable[dict]) -> list[str]:
    """File names of the records' crops."""
    return [crop["file"] for record in records for crop in record["crops"]]


def _left_out(records: list[dict]) -> Iterator[tuple[str, str, str]]:
    """Photo, kind and reason for each face or photo that was left out."""
    for record in records:
        for entry in record["left_out"]:
            yield printable(record["photo"]), entry["kind"], entry["reason"]


def write_tables(output: Path, config: schema.Config, source: Path, records: list[dict]) -> None:
    """Writes left_out.csv and prepared.json."""
    write_csv(output / "left_out.csv", [("photo", "kind", "reason"), *_left_out(records)])
    content = {
        "source": str(source.resolve()),
        "image_size": config.data.image_size,
        "photos": len(records),
        "crops": len(crop_files(records)),
        "left_out": dict(Counter(kind for _, kind, _ in _left_out(records))),
        "records": [
            {name: value for name, value in record.items() if name not in ("key", RETRY)} for record in records
        ],
    }
    write_json(output / "prepared.json", content)


def _flags(config: schema.Config) -> list[str]:
    """Flags by which the next command works on the same crops."""
    data, default = config.data, schema.load().data
    size = [] if data.image_size == default.image_size else ["--img_size", str(data.image_size)]
    return size + ([] if data.root_dir == default.root_dir else ["--root_dir", data.root_dir])


def report_left_out(output: Path, source: Path, records: list[dict]) -> dict[str, str]:
    """Prints a table of the faces and photos left out; returns the photos that gave no crop, also before a deletion."""
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
    empty = [record for record in records if not record["crops"]]
    failed = [record for record in empty if all(entry["kind"] != DELETED for entry in record["left_out"])]
    if failed and len(empty) == len(records):
        photo, reason = printable(failed[0]["photo"]), failed[0]["left_out"][0]["reason"]
        raise UserError(
            f"{source}: at least one photo must show a face, got none of {len(records)} (the first, {photo}: {reason}; "
            f"all are listed in {output / 'left_out.csv'})"
        )
    return {printable(record["photo"]): record["left_out"][0]["reason"] for record in failed}


def report_strays(crops: Path, records: Iterable[dict]) -> None:
    """Names the PNGs beside the crops that no record holds: a killed run's, or the user's own."""
    if strays := sorted({path.name for path in visible_files(crops, ".png")}.difference(crop_files(records))):
        listed = ", ".join(map(printable, strays[:LISTED])) + (", ..." if len(strays) > LISTED else "")
        print(
            f"{crops}: {counted(len(strays), 'PNG')} of no photo: {listed} (on no sheet, but create_bin.py packs every "
            "PNG of the folder; delete those you do not want)",
            file=sys.stderr,
        )


def report_crops(config: schema.Config, output: Path, records: list[dict], skipped: int, pages: int) -> None:
    """Prints what there is by now, and the next command."""
    crops, with_crops = len(crop_files(records)), sum(bool(record["crops"]) for record in records)
    done = f", {skipped} of them in an earlier run" if skipped else ""
    every = counted(len(records), "photo")
    print(f"{counted(crops, 'crop')} of {with_crops} of {every}{done}, in {output / 'crops'}")
    print(f"review {output / 'sheets'} ({counted(pages, 'page')}) and delete bad crops, then run:")
    print(shlex.join(["python", "create_bin.py", "--name", "mine", *_flags(config), "--input", str(output / "crops")]))
