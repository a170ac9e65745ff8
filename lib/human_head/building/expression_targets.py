"""Expressions under ARKit's names, from faceunits01 and MakeHuman's own units, symmetric and with lids that close."""

import numpy as np

from lib.human_head.building.control_mesh import ControlMesh
from lib.human_head.building.makehuman import MakeHumanFiles
from lib.human_head.expressions import BOTH, NAMES, SIDED, SIDES, UNITS
from lib.human_head.parts import EYES
from lib.human_head.population import ANCESTRIES, SHARES


def expression_displacements(files: MakeHumanFiles, mesh: ControlMesh) -> np.ndarray:
    """[E, V, 3] displacements at full strength in the order of `NAMES`, decimetres of the base mesh.

    The left and the right expression of a pair are made exact mirror images, the others symmetric. Eyeballs stay.
    """
    flip = np.array([-1.0, 1.0, 1.0])

    def mirrored(move: np.ndarray) -> np.ndarray:
        return move[mesh.mirror] * flip

    found = {}
    for name in BOTH:
        move = files.face_unit(name)[mesh.kept]
        found[name] = 0.5 * (move + mirrored(move))
    for name in SIDED:
        right, left = (files.face_unit(f"{name}{side}")[mesh.kept] for side in SIDES)
        found |= _pair(name, 0.5 * (left + mirrored(right)), mirrored)
    for name, pattern in UNITS.items():
        right, left = (_unit(files, pattern.format(side=side.lower()))[mesh.kept] for side in SIDES)
        found |= _pair(name, 0.5 * (left + mirrored(right)), mirrored)
    moves = np.array([found[name] for name in NAMES])
    moves[:, np.concatenate([mesh.helpers[name] for name in EYES])] = 0.0
    return moves


def _pair(name: str, left: np.ndarray, mirrored) -> dict[str, np.ndarray]:
    return {f"{name}Right": mirrored(left), f"{name}Left": left}


def _unit(files: MakeHumanFiles, name: str) -> np.ndarray:
    """One of MakeHuman's units as the average over ancestries."""
    parts = [
        share * files.target(f"expression/units/{ancestry}", name)
        for share, ancestry in zip(SHARES, ANCESTRIES, strict=True)
    ]
    return np.sum(parts, axis=0)
