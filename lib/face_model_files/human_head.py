"""The human head shipped in data/ as a face model; albedo and painted regions come from the built-in face."""

import hashlib
from pathlib import Path

import numpy as np

from lib.face_model.face_model import FaceModel
from lib.face_model_files.assembly import FACE_REACH
from lib.face_model_files.correspondence import Correspondence
from lib.human_head.expressions import STRENGTH, expression_prior
from lib.human_head.shipped import SHIPPED, HumanHead
from lib.human_head.surface import Surface, build_surface
from lib.synthetic.builtin.face_generator import METHOD as BUILT_IN_METHOD
from lib.synthetic.builtin.face_generator import load_face_model as load_built_in
from lib.synthetic.builtin.skin_albedo import COLOURS

NAME = "human head"
# Part of the cache key: increase the number when a change makes the same file give a different model.
METHOD = "human head, 1"
# Vertices of the face at each level of subdivision, for the choice of the level.
_COUNTS = (2900, 10_900, 42_000)
# Regions of the built-in face that this head has parts of its own for.
_OWN = ("eye", "iris", "pupil", "lips", "mouth_inside", "teeth")
CORNER_COLOUR = (0.62, 0.36, 0.33)
DARKNESS_DEPTH = 0.45  # dm behind the lips, where the inside of the mouth is dark
TEETH_WIDTH = 0.26  # dm from the midline to the last teeth
_PARTS = ("eye", "mouth_inside", "sockets")


def level_for(vertex_count: int) -> int:
    """Level of subdivision whose face comes nearest to a number of vertices, in proportion."""
    return int(np.argmin([abs(np.log(vertex_count / count)) for count in _COUNTS]))


def load_human_head(cache_dir: Path, area: str = "face", vertex_count: int = 10_000) -> FaceModel:
    """Loads an area of the head from the cache; builds and stores it if missing.

    Args:
      cache_dir: folder of the cache, also of the built-in model's.
      area: "face", "ears" (face with ears) or "head".
      vertex_count: approximate number of vertices of the face; other areas have the same density.

    Raises:
      UserError: the shipped file is missing or damaged.
      OSError: the cache can be neither read nor written.
    """
    level = level_for(vertex_count)
    digest = hashlib.sha256(f"{METHOD}\n{BUILT_IN_METHOD}\n".encode() + SHIPPED.read_bytes()).hexdigest()[:16]
    cached = Path(cache_dir) / f"human_head_{area}_{level}_{digest}.npz"
    return FaceModel.cached(
        cached, lambda: human_head_model(HumanHead.load(SHIPPED), load_built_in(cache_dir), area, level)
    )


def human_head_model(head: HumanHead, source: FaceModel, area: str = "face", level: int = 1) -> FaceModel:
    """Builds the face model.

    Args:
      head: the shipped head.
      source: model of albedo and painted regions.
      area, level: see `build_surface`.
    """
    surface = build_surface(head, area, level)
    shape = surface.mean(head.mean.astype(np.float64))
    shape = shape - shape.mean(axis=0) * (0, 1, 1)
    match = Correspondence(shape, surface.triangles, surface.landmarks, surface.mirror, source)
    is_part = np.maximum.reduce([surface.regions[name] for name in _PARTS]) > 0.5
    regions = _regions(surface, match, is_part)
    mean_albedo, albedo_basis = _albedo(surface, shape, match, regions, source)
    front = match.mask(source.front_mask) & (match.distance < FACE_REACH) & ~is_part
    front |= (surface.regions["eye"] > 0.5) & (surface.regions["iris"] > 0)
    return FaceModel(
        name=NAME,
        mean_shape=shape,
        identity_basis=surface.displacements(head.identity),
        expression_basis=surface.displacements(head.expression) * STRENGTH,
        mean_albedo=mean_albedo,
        albedo_basis=albedo_basis,
        triangles=surface.triangles,
        landmarks=surface.landmarks,
        skin_mask=match.mask(source.skin_mask) & ~is_part & (surface.regions["lips"] < 0.5),
        front_mask=front,
        mirror_index=surface.mirror,
        uv=surface.uv,
        regions=regions,
        expression_names=head.names["expressions"],
        expression_prior=expression_prior(),
        people={**head.population, "names": np.array(head.names["targets"])},
    )


def _regions(surface: Surface, match: Correspondence, is_part: np.ndarray) -> dict[str, np.ndarray]:
    """The head's own regions, and those painted on the built-in face where they fall on skin."""
    carried = {name: weight * ~is_part for name, weight in match.regions().items() if name not in _OWN}
    own = {name: np.clip(surface.regions[name], 0, 1) for name in (*_OWN, "nostril")}
    own["mouth_inside"] = np.maximum(own["mouth_inside"], surface.regions["teeth"])
    return carried | own


def _albedo(
    surface: Surface, shape: np.ndarray, match: Correspondence, regions: dict[str, np.ndarray], source: FaceModel
) -> tuple[np.ndarray, np.ndarray]:
    """Mean [N, 3] and basis [Ka, N, 3]: carried over for skin, painted for the parts."""
    mean = match.carry(source.mean_albedo).astype(np.float64)
    basis = match.carry(source.albedo_basis).astype(np.float64)

    def paint(weight: np.ndarray, colour, modes: np.ndarray) -> None:
        """Blends towards a colour [3] that varies by `modes` [Ka, 3]."""
        mean[:] += weight[:, None] * (np.asarray(colour) - mean)
        basis[:] += weight[:, None] * (modes[:, None] - basis)

    still = np.zeros((len(basis), 3))
    paint(regions["mouth_inside"], COLOURS["gum"], still)
    paint(surface.regions["tongue"], COLOURS["tongue"], still)
    behind = np.clip((shape[surface.landmarks[62], 2] - shape[:, 2]) / DARKNESS_DEPTH, 0, 1)
    paint(behind * regions["mouth_inside"] * (1 - regions["teeth"]), COLOURS["dark"], still)
    # Teeth lie in the shade of the lips, more so towards the corners.
    dim = 1 - 0.6 * np.clip(np.abs(shape[:, :1]) / TEETH_WIDTH, 0, 1) ** 2
    paint(surface.regions["teeth"], dim * COLOURS["teeth"], _average(source, "teeth"))
    paint(surface.regions["sockets"], CORNER_COLOUR, still)
    paint(regions["eye"], COLOURS["sclera"], _average(source, "eye", "iris"))
    paint(regions["iris"], COLOURS["iris"], _average(source, "iris", "pupil"))
    paint(regions["pupil"], COLOURS["pupil"], still)
    paint(0.9 * regions["nostril"], COLOURS["nostril"], still)
    return np.clip(mean, 0, 1), basis


def _average(source: FaceModel, region: str, without: str | None = None) -> np.ndarray:
    """[Ka, 3] mean of the albedo basis over a region, without another one inside it."""
    weight = source.regions[region] * (1 - source.regions[without] if without else 1)
    return np.einsum("knc,n->kc", source.albedo_basis, weight, dtype=np.float64) / weight.sum()
