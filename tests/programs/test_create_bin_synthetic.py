"""What create_bin.py refuses to render: it would take hours, and every fit would be off."""

import os
import subprocess
import sys

import create_bin
from configs import flags
from tests.programs.test_create_bin import assert_one_error_line, run
from tests.support.helpers import ROOT


def test_synthetic_crops_of_another_camera_are_refused(tmp_path, capsys):
    """They would be rendered by the published one, and every fit would be off."""
    assert flags.run(lambda: create_bin.main(["--root_dir", str(tmp_path), "camera.distance=12"]), "") == 2
    message = "camera.focal_ratio, camera.distance: must be 4.53125 and 10 for synthetic faces, got 4.53125 and 12"
    assert message in capsys.readouterr().err


def test_synthetic_crops_of_a_face_model_that_is_not_there_are_refused(tmp_path, capsys):
    assert run(tmp_path, "face_model.source=data/other.npz") == 2
    said = capsys.readouterr().err
    assert_one_error_line(said, "data/other.npz: no such file or folder (python main.py --mode doctor with the same --")
    assert len(said) < 400, "the formats of all models would bury the cause"


def test_tensorflow_says_nothing_of_its_own(tmp_path):
    """It is imported before the face model is known, so this error comes after its start-up messages."""
    options = ["--config", "configs/built_in.yaml", "pretrain.seed=3", "data.synthetic_seed=100"]
    command = [sys.executable, "create_bin.py", "--root_dir", str(tmp_path), *options]
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: data.synthetic_seed: must differ from the seed of the faces that regressor")
    assert done.stderr.count("\n") == 1
