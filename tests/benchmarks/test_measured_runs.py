"""Benchmarks that measure a run: what belongs to it, and what it must not have been trained on."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

import main as program
from benchmarks.bench import first_updates
from benchmarks.fitted_truth import measure_crops
from configs import schema
from lib.errors import UserError
from lib.records.record_writer import RecordWriter
from lib.records.splits import save_split
from model.runs import checkpoints
from model.runs.checkpoints import Progress
from model.training.run_log import RunLog


def test_the_rate_of_updates_includes_their_scalars(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(RunLog, "training", RunLog.training)  # the benchmark replaces it
    monkeypatch.setattr(sys, "argv", ["first_updates", str(tmp_path), "0"])
    monkeypatch.setattr(program, "start_tensorflow", lambda: None)

    def train(arguments):
        program.start_tensorflow()
        log = RunLog(tmp_path, SimpleNamespace(workers=SimpleNamespace(chief=True)), list, 1, SimpleNamespace())
        for update in range(1, first_updates.LAST + 1):
            try:
                log.training({"total": 1.0}, update)
            finally:
                log.writer.flush()

    monkeypatch.setattr(program, "main", train)
    first_updates.main()
    assert len(capsys.readouterr().out.split()) == 2
    (events,) = (tmp_path / "logs").iterdir()
    assert events.read_bytes().count(b"train/total") == first_updates.LAST // 10


def test_fits_are_not_measured_on_crops_that_the_run_may_have_seen(tmp_path):
    config = schema.load(overrides={"data.root_dir": str(tmp_path), "data.image_size": 32})
    config.records_path.parent.mkdir(parents=True)
    with RecordWriter(config.records_path, (32, 32, 4)) as writer:
        for name in "abc":
            writer.append(np.full((32, 32, 4), 255, np.uint8), name)
    save_split(config.params_dir, {"train": ["a"], "val": ["b"], "test": ["c"]})
    checkpoints.save(config.run_dir / "best.npz", {}, Progress(), {"split": "another"})
    with pytest.raises(UserError, match=r"best\.npz: must be trained with the present split"):
        measure_crops(config, 1)
