"""The worker of --mode prepare, when the photo changes meanwhile."""

from configs import schema
from model.preparation import worker
from model.preparation.photo_folder import PhotoFolder
from tests.support.photo_corpus import portrait


def test_a_photo_that_is_gone_after_all_leaves_no_crop(tmp_path, monkeypatch):
    """It would be packed without being on a sheet."""
    (tmp_path / "in").mkdir()
    portrait().save(tmp_path / "in/a.png")
    config = schema.load()
    folder = PhotoFolder.find(config, tmp_path / "in", tmp_path / "out")
    folder.crops.mkdir(parents=True)
    measure = worker.photo_size
    monkeypatch.setattr(worker, "photo_size", lambda path: path.unlink() or measure(path))
    record = worker.Preparer(config)(folder.job(tmp_path / "in/a.png"))
    assert (record["crops"], [entry["kind"] for entry in record["left_out"]]) == ([], ["failed"])
    assert not list(folder.crops.iterdir())
