"""--mode prepare in shards: any scheduler runs the parts, and merging gives the files of one process.

All shards write their crops to the folder that one process would write, each crop renamed into place. A shard's records
go to `.shards/<shard>.json` once all of its photos are done; until then they are in its own journal, so that a killed
shard resumes.
"""

import json
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from configs import schema
from lib.errors import UserError
from lib.files.json_files import with_checksum, without_checksum, write_json
from lib.files.shards import FOLDER, Shard, changed_photo, check_same_recipe, finished
from lib.messages import counted
from lib.runtime.interruption import Interrupted
from model.preparation.journal import read_journal
from model.preparation.photo_folder import JOURNAL, PhotoFolder
from model.preparation.prepare import check_output, finish, prepare_photos, remove_crops, replace_journal
from model.preparation.report import crop_files

_SUFFIX = ".json"
_JOURNALS = "*-of-*[0-9].jsonl"  # of the shards of every division


def prepare_shard(config: schema.Config, source: Path, output: Path, shard: Shard) -> None:
    """Prepares one part of the photos; a photo that fails is recorded, and reported by `merge_shards`.

    Args:
      config: the effective configuration.
      source: all photos, as for `prepare_folder`.
      output: folder of the results of all shards.
      shard: the part.

    Raises:
      UserError: as `prepare_folder`, but a shard may have no photo, or none with a face.
    """
    check_output(output)
    folder = PhotoFolder.find(config, source, output)
    paths = shard.part(folder.paths)
    journal = output / FOLDER / f"{shard.name}.jsonl"
    own = read_journal(journal, folder.origin)
    known = folder.earlier | own
    photos = [folder.photo(path) for path in paths]
    earlier = {photo: known[photo] for photo in photos if photo in known}
    # Photos that are gone or another shard's by now: merging removes the crops of theirs that no shard has made again.
    # The empty key makes these records count as outdated: another shard may have replaced their crops.
    others = [record | {"key": ""} for photo, record in own.items() if photo not in earlier]
    records: dict[str, dict] = {}
    try:
        prepare_photos(config, folder, paths, earlier, journal, records, others)
    except KeyboardInterrupt as error:
        advice = f"{len(records)} of {len(paths)} photos of the shard are done; the same command prepares the others"
        raise Interrupted(advice, getattr(error, "number", signal.SIGINT)) from error
    ordered = [records[photo] for photo in photos]
    write_shard(output / FOLDER / f"{shard.name}{_SUFFIX}", folder.recipe(shard.count), ordered)
    crops = sum(len(record["crops"]) for record in ordered)
    print(f"shard {shard}: {counted(crops, 'crop')} of {counted(len(paths), 'photo')}; --merge joins all shards")


def merge_shards(config: schema.Config, source: Path, output: Path, count: int | None = None) -> dict[str, str]:
    """Writes the tables, sheets and journal of all photos once every shard is done.

    Args:
      config: the effective configuration.
      source: all photos.
      output: folder of the results of all shards.
      count: see `lib.files.shards.finished`.

    Returns:
      Photos without any crop: name -> reason.

    Raises:
      UserError: a shard is missing or was made differently, a photo has changed since, or no photo gave a crop.
    """
    check_output(output)
    folder = PhotoFolder.find(config, source, output)
    shards = {path: read_shard(path) for path in finished(output / FOLDER, _SUFFIX, count)}
    check_same_recipe({path: content["recipe"] for path, content in shards.items()}, folder.recipe(len(shards)))
    records = {record["photo"]: record for content in shards.values() for record in content["records"]}
    for path, photo in zip(folder.paths, folder.photos, strict=True):
        if photo not in records or records[photo]["key"] != folder.key(path):
            every = (Shard(index, len(shards)) for index in range(len(shards)))
            raise changed_photo(path, next(shard for shard in every if path in shard.part(folder.paths)))
    ordered = [folder.without_deleted(records[photo]) for photo in folder.photos]
    # Once: there may be a million crops and a thousand journals.
    held = replace_journal(output / JOURNAL, folder, [*folder.others, *ordered], folder.earlier)
    for earlier in (output / FOLDER).glob(_JOURNALS):
        try:
            found = read_journal(earlier, folder.origin)
        except UserError as error:  # of a division that was given up, of another folder of photos
            print(f"{error}; crops of that journal are left alone", file=sys.stderr)
        else:
            alone = set(crop_files(folder.left_alone(found)))
            remove_crops(folder.crops, set(crop_files(found.values())) - held - alone)
    return finish(config, folder, ordered, skipped=0)


def write_shard(path: Path, recipe: Mapping[str, Any], records: Sequence[Mapping[str, Any]]) -> None:
    """Writes the records of a finished shard."""
    write_json(path, with_checksum({"recipe": recipe, "records": records}))


def read_shard(path: Path) -> Mapping[str, Any]:
    """Recipe and records of a finished shard; raises UserError if the file is damaged."""
    try:
        content = json.loads(path.read_bytes())
        if content.keys() != {"recipe", "records"}:  # which earlier versions wrote
            content = without_checksum(content)
        whole = isinstance(content["recipe"], dict)
        whole &= all({"photo", "key", "crops", "left_out", "remark"} <= record.keys() for record in content["records"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        whole = False
    if not whole:
        raise UserError(f"{path}: must hold the records of a shard, got other contents (run the shard again)")
    return content
