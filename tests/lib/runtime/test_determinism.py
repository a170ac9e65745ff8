"""--deterministic: sums do not depend on the number of threads."""

import os
import subprocess
import sys

import pytest

import main
from tests.support.helpers import ROOT
from tests.support.programs.main_program import called_instead

# Sums over long axes, forwards and backwards: what the partition among threads rounds differently.
SCRIPT = """
import hashlib
from lib.runtime.quiet_tensorflow import import_tensorflow
import_tensorflow()
import numpy as np, tensorflow as tf
from lib.runtime.determinism import make_deterministic
from utils import seed_everything
seed_everything(1)
make_deterministic()
values = tf.random.stateless_normal([4, 96, 96, 16], [1, 2])
kernel = tf.Variable(tf.random.stateless_normal([3, 3, 16, 16], [3, 4]))
with tf.GradientTape() as tape:
    maps = tf.nn.conv2d(values, kernel, 1, "SAME")
    rows = tf.reshape(maps, [16, -1])
    loss = tf.reduce_sum(tf.tanh(tf.matmul(rows, rows, transpose_b=True))) + tf.reduce_mean(tf.exp(0.01 * maps))
matrix = np.asarray(rows, np.float32)
results = (loss, tape.gradient(loss, kernel), matrix @ matrix.T)
print(hashlib.sha256(b"".join(np.asarray(result).tobytes() for result in results)).hexdigest())
"""


def test_sums_are_equal_whatever_the_number_of_threads():
    names = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT],
            cwd=ROOT,
            env={**os.environ, **dict.fromkeys(names, str(count))},
            stdout=subprocess.PIPE,
            text=True,
        )
        for count in (1, 3)
    ]
    hashes = [run.communicate()[0] for run in runs]
    assert len(hashes[0]) == 65
    assert hashes[0] == hashes[1]


@pytest.mark.parametrize(
    ("mode", "function"),
    [
        ("train", ("model.training.loop", "train")),
        ("pretrain", ("model.pretraining.loop", "pretrain")),
        ("masks", ("model.pretraining.mask_training", "train_mask_decoder")),
    ],
)
@pytest.mark.parametrize("flag", [[], ["--deterministic"]])
def test_every_mode_that_trains_takes_the_flag(mode, function, flag, monkeypatch):
    called_instead(monkeypatch, *function)
    for check in ("check_records", "share_processors"):
        monkeypatch.setattr(main, check, lambda *_: None)
    started: list[bool] = []
    monkeypatch.setattr(main, "start_tensorflow", lambda seed, fixed=False, **_: started.append(fixed))
    assert main.main(["--mode", mode, *flag]) == 0
    assert started == [bool(flag)]
