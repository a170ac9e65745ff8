"""--cluster local: the bytes of one process, from Ray; and commands that have no parts."""

import importlib.util
import os
import subprocess
import sys

import pytest
from PIL import Image

import create_bin
import main
from tests.programs.test_create_bin import SIZE, crop, folder_of_crops, run
from tests.support.helpers import ROOT
from tests.support.programs.one_line import one_line

# Small parts, so that few crops have several.
PROGRAM = """
import sys
import create_bin
from configs import flags
from lib.runtime.leaving import leave
create_bin.CROPS_PER_PART = 4
leave(flags.run(create_bin.main, ""))
"""


def test_a_cluster_packs_the_bytes_of_one_process(tmp_path, capsys):
    """Also once crops were added, beside the parts of the earlier division."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("needs requirements-cluster.txt")
    folder = folder_of_crops(tmp_path / "crops", 7)
    Image.new("RGB", (SIZE, SIZE)).save(folder / "004.png")
    one, many = tmp_path / "one", tmp_path / "many"
    assert run(many, "--input", str(folder), "--shard", "0/1") == 0
    Image.fromarray(crop(8)).save(folder / "008.png")
    assert run(one, "--input", str(folder)) == 0
    capsys.readouterr()
    command = ["--root_dir", many, "--img_size", SIZE, "--workers", 2, "--input", folder, "--cluster", "local"]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *map(str, command)],
        env=os.environ | {"PYTHONPATH": str(ROOT), "HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for name in ("face.bin", "params/face/image_train.txt", "params/face/split.json"):
        assert (one / "data" / name).read_bytes() == (many / "data" / name).read_bytes()
    assert len(list((many / "data" / "face.shards").glob("*-of-00002.bin"))) == 2
    shown = [line for line in done.stderr.replace("\r", "\n").splitlines() if line.strip()]
    assert [line for line in shown if not line.startswith(("cluster:", "pack:", "left out", "suspicious"))] == []
    assert not (tmp_path / "home").exists(), "Ray must leave nothing in the user's home"


@pytest.mark.parametrize(
    ("program", "command", "message"),
    [
        (main, "--mode train --cluster local", "--cluster must come with --mode prepare or test, got --mode train"),
        (main, "--mode test --input docs --same-person --cluster local", "--cluster must come with photos one by one"),
        (main, "--mode prepare --cluster local --merge", "not allowed with argument"),
        (create_bin, "--cluster local", "--cluster must come with --input and a folder of RGBA PNGs, got none"),
    ],
)
def test_a_command_without_parts_is_refused(program, command, message, capsys):
    assert message in one_line(program.main, command.split(), capsys)


def test_a_part_gets_the_command_line_without_the_cluster():
    words = ["--mode", "prepare", "--cluster", "local", "--input", "x", "--cluster=local"]
    assert main.parse(words).arguments == ["--mode", "prepare", "--input", "x"]
