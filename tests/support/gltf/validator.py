"""The Khronos glTF validator, where node and its package are there: npm install gltf-validator."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.helpers import ROOT

SCRIPT = """
const validator = require("gltf-validator"), fs = require("fs");
Promise.all(process.argv.slice(1).map((path) => validator.validateBytes(new Uint8Array(fs.readFileSync(path)))))
  .then((reports) => console.log(JSON.stringify(reports.map((report) => report.issues.messages))));
"""


class Missing(Exception):
    """The validator is not installed; the message says what is needed."""


def messages(*paths: Path) -> list[list[dict]]:
    """The validator's messages about each .glb, hints included."""
    node = shutil.which("node")
    if node is None:
        raise Missing("needs node and the npm package gltf-validator, got no node")
    command = [node, "-e", SCRIPT, *(str(path.resolve()) for path in paths)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if "Cannot find module 'gltf-validator'" in done.stderr:
        raise Missing("needs the npm package gltf-validator in the checkout: npm install gltf-validator")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def faults(*paths: Path) -> list[list[dict]]:
    """As `messages`; skips the test if the validator is missing."""
    try:
        return messages(*paths)
    except Missing as error:
        pytest.skip(str(error))
