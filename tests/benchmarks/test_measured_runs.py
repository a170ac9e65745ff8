"""Benchmarks that measure a run: what belongs to it, and what it must not have been trained on."""

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

import main as program
from benchmarks import large_yaw, video_jitter
from benchmarks.bench import first_updates
from benchmarks.fitted_truth import measure_crops
from configs import schema
from lib.errors import UserError
from lib.records.record_writer import RecordWriter
from lib.records.splits import save_split
from model.runs import checkpoints
from model.runs.checkpoints import Progress
from model.training.run_log import RunLog
from tests.support.helpers import ROOT


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


@pytest.mark.parametrize(("frames", "seconds"), [(6, 0.24), (9, 0.36), (-3, -0.12)])
def test_lags_of_up_to_half_a_second_are_measured(frames, seconds):
    true = np.cumsum(np.random.default_rng(0).normal(size=(150, 4)), axis=0)
    found = true[np.clip(np.arange(150) - frames, 0, 149)]
    assert video_jitter.lag(found, true, 25.0) == (pytest.approx(seconds), False)
    assert video_jitter.described_lag(found, true, 25.0) == f"{1e3 * seconds:+.0f} ms"


def test_a_lag_beyond_the_tried_shifts_is_said_to_be_one():
    true = np.cumsum(np.random.default_rng(0).normal(size=(150, 4)), axis=0)
    assert video_jitter.described_lag(np.roll(true, 14, axis=0), true, 25.0) == "at least +480 ms"
    assert video_jitter.described_lag(true[:32], true[:32], 25.0) == "+0 ms", "a short clip, too"
    assert video_jitter.described_lag(true[:10], true[:10], 25.0) == "+0 ms"


@pytest.mark.parametrize("frames", [1, 4, 9])
def test_clips_too_short_for_any_shift_have_no_lag(frames):
    true = np.random.default_rng(0).normal(size=(frames, 4))
    assert video_jitter.described_lag(true, true, 25.0) == "unknown (too few frames)"


def test_the_speed_of_a_fit_is_that_of_test_modes(capsys):
    fitters = []
    reconstruct = SimpleNamespace(fitter="test mode's", fit=lambda drafts, fitter: fitters.append(fitter))
    large_yaw.print_speed(reconstruct, [None, None])
    assert fitters == ["test mode's"] * 4
    assert "batch of 2:" in capsys.readouterr().out


def test_threads_are_those_of_the_rasteriser_as_well():
    code = (
        "from benchmarks.timing import use_threads; use_threads(1); from lib.runtime.compilation import kernel_threads"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; print(kernel_threads())"], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "1"
