"""Wording of messages, and a report whose reader closes standard output."""

import os
import subprocess
import sys

import pytest

from lib.messages import counted, print_lines
from tests.support.helpers import ROOT

PROGRAM = """
import sys
from configs import flags
from lib.runtime.leaving import leave
from lib.messages import print_lines

leave(flags.run(lambda: print_lines(["a"] * 3 + ["b" * 100_000], "all is done"), ""))
"""


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_closed_standard_output_is_named(unbuffered):
    read, write = os.pipe()
    os.close(read)
    environment = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, env=environment, stdout=write, stderr=subprocess.PIPE, check=False
    )
    os.close(write)
    assert done.returncode == 2
    assert done.stderr.decode() == "error: standard output must stay open to the end, got it closed (all is done)\n"


def test_lines_are_printed(capsys):
    print_lines(["a", "b"], "")
    assert capsys.readouterr().out == "a\nb\n"


def test_one_is_singular():
    assert [counted(number, "crop") for number in (0, 1, 2)] == ["0 crops", "1 crop", "2 crops"]
    assert [counted(number, "minute") for number in (0.5, 1.0, 30.0)] == ["0.5 minutes", "1 minute", "30 minutes"]
