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


def faults(*paths: Path) -> list[list[dict]]:
    """The validator's messages about each .glb, hints included; skips the test if the validator is missing."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs node and the npm package gltf-validator, got no node")
    command = [node, "-e", SCRIPT, *map(str, paths)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if "Cannot find module 'gltf-validator'" in done.stderr:
        pytest.skip("needs the npm package gltf-validator in the checkout: npm install gltf-validator")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
