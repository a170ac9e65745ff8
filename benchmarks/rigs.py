"""Exports the rigs of a folder of photos and checks each with the Khronos glTF validator.

    npm install gltf-validator
    python -m benchmarks.rigs --input DIR --output DIR [section.key=value ...]

Prints the validator's messages about each rig.glb, mesh.glb and mesh_lit.glb, and their numbers. The output folder must
be new or empty. The exit code is 1 if any message is an error, a photo has no face, or a face no rig.
"""

import argparse
import json
import sys
from collections import Counter
from pathlib import Path

from lib.errors import UserError

SEVERITIES = ("errors", "warnings", "infos", "hints")
FILES = ("rig.glb", "mesh.glb", "mesh_lit.glb")


def parse_arguments(argv: list[str] | None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input", type=Path, required=True, help="folder of photos")
    parser.add_argument("--output", type=Path, required=True, help="folder for the results")
    parser.add_argument("options", nargs="*", help="options of the configuration: section.key=value")
    return parser.parse_args(argv)


def check(folder: Path) -> tuple[int, Counter]:
    """Validates the exports of a folder of results; returns the number of rigs and that of messages by severity."""
    from tests.support.gltf.validator import messages

    paths = sorted(path for name in FILES for path in folder.rglob(name))
    counts: Counter = Counter()
    for path, found in zip(paths, messages(*paths) if paths else [], strict=True):
        for message in found:
            counts[SEVERITIES[message["severity"]]] += 1
            where = message.get("pointer", "")
            print(f"{path}: {SEVERITIES[message['severity']]}: {message['code']} {where} {message['message']}")
    return sum(path.name == "rig.glb" for path in paths), counts


def prepare(output: Path) -> None:
    """Refuses, before the work, what would spoil it.

    Raises:
      UserError: the validator is not installed, or the folder holds results that would be taken for new ones.
    """
    from tests.support.gltf.validator import Missing, messages

    try:
        messages()
    except Missing as error:
        raise UserError(str(error)) from None
    if output.is_dir() and any(output.iterdir()):
        raise UserError(f"{output}: must be empty or new, got a folder with files (choose another --output)")


def main(argv: list[str] | None = None) -> int:
    arguments = parse_arguments(argv)
    from configs import schema
    from model.reconstruction.folder import reconstruct_folder

    try:
        prepare(arguments.output)
        config = schema.load(overrides=[*arguments.options, "export.formats=[rig,glb]"])
        failed = reconstruct_folder(config, arguments.input, arguments.output)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    faces = json.loads((arguments.output / "summary.json").read_text(encoding="utf-8"))["reconstructed"]
    rigs, counts = check(arguments.output)
    numbers = ", ".join(f"{counts[severity]} {severity}" for severity in SEVERITIES)
    print(f"{rigs} rigs of {faces} faces and their meshes: {numbers}; {len(failed)} photos without a face")
    return 1 if counts["errors"] or failed or rigs != faces else 0


if __name__ == "__main__":
    sys.exit(main())
