"""--mode prepare: how many processes prepare, and with how many threads."""

import pytest

from configs import schema
from model.preparation import prepare as preparation


def test_one_process_uses_one_thread_as_each_of_several_does(monkeypatch):
    class Called(Exception):
        pass

    def called(hide_gpu):
        assert hide_gpu
        raise Called

    monkeypatch.setattr(preparation, "use_one_thread", called)
    with pytest.raises(Called):
        preparation.make_preparer(schema.load())


@pytest.mark.parametrize(("workers", "photos", "expected"), [(8, 3, 3), (8, 100, 8), (0, 100, 3), (0, 2, 2), (0, 0, 1)])
def test_number_of_processes(monkeypatch, workers, photos, expected):
    monkeypatch.setattr(preparation, "affordable", lambda wanted, each: min(wanted, 3))
    monkeypatch.setattr(schema.Config, "workers", property(lambda self: self.data.workers or 16))
    assert preparation.process_count(schema.load(overrides={"data.workers": workers}), photos) == expected
