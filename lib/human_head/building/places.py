"""Landmarks and regions of MakeHuman's head: vertices of the base mesh, chosen by eye, and masks over its chart."""

from dataclasses import dataclass

import numpy as np

from lib.errors import UserError
from lib.face_model.face_model import LANDMARKS
from lib.geometry.sphere import fit_sphere
from lib.human_head.building.control_mesh import ControlMesh
from lib.human_head.building.makehuman import MakeHumanFiles
from lib.human_head.chart import components
from lib.human_head.parts import EYES

NOSTRIL_RINGS = {0: 1.0, 1: 1.0, 2: 1.0, 3: 0.7}  # weight of the vertices this many edges from the bottom


@dataclass(frozen=True)
class Places:
    """Vertices of the base mesh.

    Attributes:
      middle: landmark -> vertex on the midline.
      left: landmark on the subject's left -> vertex, or the two ends of an edge whose middle it is.
      lips_inside: the upper and the lower end of the lips' inner side on the midline.
      nostril: bottom of the left nostril.
      lip_contact: the contact lines of the upper and the lower lip, from the middle to the left corner.
    """

    middle: dict[int, int]
    left: dict[int, int | tuple[int, int]]
    lips_inside: tuple[int, int]
    nostril: int
    lip_contact: tuple[tuple[int, ...], tuple[int, ...]]


MAKEHUMAN = Places(
    middle={8: 5225, 27: 133, 28: 131, 29: 201, 30: 5054, 33: 343, 51: 455, 57: 496, 62: 474, 66: 493},
    left={
        16: 7575, 15: 7038, 14: 7039, 13: 7456, 12: 7457, 11: 7619, 10: 11899, 9: 7620,
        22: (7001, 6983), 23: (6980, 6997), 24: (6979, 6996), 25: (6981, 6998), 26: 6999,
        34: 7077, 35: 7095,
        42: 7796, 43: 7791, 44: 7773, 45: 7781, 46: 7786, 47: 7788,
        52: 7216, 53: 11956, 54: 7187, 55: 7166, 56: (7245, 7239), 63: (7227, 7226), 64: 7176, 65: 7236,
    },
    lips_inside=(537, 540),
    nostril=7156,
    lip_contact=((474, 7229, 7228, 7227, 7226, 11964, 7225, 7179, 7176), (493, 7242, 7236, 7230, 7197)),
)  # fmt: skip
# Landmark on the subject's right of each on the left.
_RIGHT = {
    **{16 - i: i for i in range(8)}, **{26 - i: 17 + i for i in range(5)}, 34: 32, 35: 31,
    42: 39, 43: 38, 44: 37, 45: 36, 46: 41, 47: 40, 52: 50, 53: 49, 54: 48, 55: 59, 56: 58, 63: 61, 64: 60, 65: 67,
}  # fmt: skip


def place_vertices(mesh: ControlMesh, places: Places) -> dict[str, np.ndarray]:
    """Control vertices: "landmarks" [68, 2], the ends of an edge or twice a vertex; "lips_inside" [2]; contact lines.

    Raises:
      UserError: a vertex is not part of the head.
    """
    number = {int(vertex): i for i, vertex in enumerate(mesh.kept)}

    def control(vertex: int) -> int:
        if vertex not in number:
            raise UserError(f"landmarks must lie on the head, got vertex {vertex} of the base mesh elsewhere")
        return number[vertex]

    landmarks = np.zeros((LANDMARKS, 2), int)
    for landmark, vertex in places.middle.items():
        landmarks[landmark] = control(vertex)
    for landmark, vertices in places.left.items():
        pair = vertices if isinstance(vertices, tuple) else (vertices, vertices)
        landmarks[landmark] = [control(vertex) for vertex in pair]
        landmarks[_RIGHT[landmark]] = mesh.mirror[landmarks[landmark]]
    found = {"landmarks": landmarks, "lips_inside": np.array([control(vertex) for vertex in places.lips_inside])}
    for name, line in zip(("upper_contact", "lower_contact"), places.lip_contact, strict=True):
        left = np.array([control(vertex) for vertex in line])
        found[name] = np.concatenate([mesh.mirror[left[:0:-1]], left])
    return found


def masks(files: MakeHumanFiles, mesh: ControlMesh, places: Places) -> dict[str, np.ndarray]:
    """Masks [T] in [0, 1] over the chart: lips, eyelids, ears, sockets, mouth_inside, nostril."""
    found = {name: files.mask(name, mesh.chart) for name in ("lips", "eyelids", "ears")}
    island = components(len(mesh.chart), mesh.chart_quads)
    vertex = np.zeros(len(mesh.chart), int)
    vertex[mesh.chart_quads] = mesh.quads
    position = mesh.vertices[vertex]
    mouth = files.mask("inside-mouth", mesh.chart)
    found |= {"sockets": np.zeros(len(mesh.chart)), "mouth_inside": np.zeros(len(mesh.chart))}
    eyes = [fit_sphere(mesh.vertices[mesh.helpers[name]]) for name in EYES]
    for number in np.unique(island):
        own = island == number
        if mouth[own].mean() > 0.5:
            found["mouth_inside"][own] = 1.0
        if min(np.linalg.norm(position[own].mean(axis=0) - centre) / radius for centre, radius in eyes) < 0.8:
            found["sockets"][own] = 1.0
    # The masks are painted with soft borders across seams.
    skin = (found["sockets"] + found["mouth_inside"]) == 0
    for name in ("lips", "eyelids", "ears"):
        found[name] = found[name] * skin
    left = int(np.flatnonzero(mesh.kept == places.nostril)[0])
    weight = np.maximum(*(_near(mesh, start) for start in (left, mesh.mirror[left])))
    return found | {"nostril": weight[vertex] * skin}


def _near(mesh: ControlMesh, start: int) -> np.ndarray:
    """[V] weight of `NOSTRIL_RINGS` by the number of edges from a vertex."""
    rings = np.full(len(mesh.vertices), len(NOSTRIL_RINGS))
    rings[start] = 0
    for ring in range(len(NOSTRIL_RINGS) - 1):
        at_ring = (rings == ring)[mesh.quads]
        adjacent = mesh.quads[np.roll(at_ring, 1, axis=1) | np.roll(at_ring, -1, axis=1)]
        rings[adjacent] = np.minimum(rings[adjacent], ring + 1)
    return np.array([*NOSTRIL_RINGS.values(), 0.0])[rings]
