"""The scripts for schedulers: their commands and flags exist, and the parts they name are parts of the job."""

import re
import shlex
import subprocess

import pytest
import yaml

import create_bin
import main
from lib.files.shards import Shard
from tests.support.helpers import ROOT

SCRIPTS = ("prepare_and_pack.slurm", "prepare_job.yaml", "train.slurm")
SLURM, JOB, TRAIN = (ROOT / "examples" / name for name in SCRIPTS)


@pytest.mark.parametrize("what", ["prepare", "pack", "test"])
def test_the_array_runs_one_part(what, tmp_path):
    """The script itself, with a `python` that prints its arguments."""
    (tmp_path / "python").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    (tmp_path / "python").chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_COUNT": "16"}
    command = ["sh", str(SLURM), what, "my photos", "out"]
    done = subprocess.run(
        command, env=environment | {"SLURM_CPUS_PER_TASK": "4"}, capture_output=True, text=True, check=True
    )
    program, *arguments = done.stdout.splitlines()
    args = {"main.py": main, "create_bin.py": create_bin}[program].parse(arguments)
    assert args.shard == Shard(3, 16)
    assert args.input == "my photos"
    assert what == "pack" or args.mode == what


@pytest.mark.parametrize(
    ("restarts", "saved", "succeeds"),
    [(0, True, True), (1, True, True), (1, False, True), (1, True, False), (5, True, False)],
)
def test_the_training_job_continues_after_a_restart(tmp_path, restarts, saved, succeeds):
    """The script itself, with programs that print their names and arguments."""
    for name, code in (("srun", 0 if succeeds else 2), ("scontrol", 0)):
        (tmp_path / name).write_text(f'#!/bin/sh\nprintf "%s\\n" {name} "$@"\nexit {code}\n')
        (tmp_path / name).chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "SLURM_JOB_ID": "7", "SLURM_RESTART_COUNT": str(restarts)}
    command = ["sh", str(TRAIN), str(tmp_path), "--name", "my crops"]
    if saved:
        (tmp_path / "latest.npz").touch()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    words = done.stdout.splitlines()
    args = main.parse(words[words.index("main.py") + 1 : words.index("my crops") + 1])
    assert (args.name, args.distribute) == ("my crops", "multi_worker")
    assert bool(args.restore) == (restarts > 0 and saved)
    requeued = not succeeds and restarts < 5
    assert done.returncode == (0 if succeeds or requeued else 2)
    assert words[words.index("my crops") + 1 :] == (["scontrol", "requeue", "7"] if requeued else [])


def test_the_merges_of_the_array_exist():
    programs = {"main.py": main, "create_bin.py": create_bin}
    found = re.findall(r'"python (.+?)"', SLURM.read_text())
    for words in map(shlex.split, found):
        programs[words[0]].parse(words[1:])
    assert len(found) == 3


def test_the_indexed_job_names_its_parts():
    spec = yaml.safe_load(JOB.read_text())["spec"]
    (container,) = spec["template"]["spec"]["containers"]
    for index in (0, spec["completions"] - 1):
        args = main.parse([word.replace("$(JOB_COMPLETION_INDEX)", str(index)) for word in container["args"]])
        assert args.shard == Shard(index, spec["completions"])
