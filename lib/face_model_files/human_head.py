"""The human head shipped in data/ as a face model; albedo and painted regions come from the built-in face."""

import dataclasses
import hashlib
from pathlib import Path

import numpy as np

from lib.errors import UserError
from lib.face_model.face_model import FaceModel
from lib.face_model_files.assembly import FACE_REACH
from lib.face_model_files.correspondence import Correspondence
from lib.face_model_files.inner_parts import head_albedo, head_regions, is_inner
from lib.face_model_files.neck import with_neck
from lib.face_model_files.throat import with_throat
from lib.files.folders import cache_in
from lib.files.numpy_files import DamagedFile, report_remade
from lib.geometry.lengths import MILLIMETRES
from lib.geometry.smoothstep import smoothstep
from lib.human_head.chart import enlarged
from lib.human_head.expressions import STRENGTH, expression_prior
from lib.human_head.shipped import SHIPPED, HumanHead, shipped_bytes
from lib.human_head.surface import build_surface
from lib.mesh_export.stored_chart import read_chart, write_chart
from lib.mesh_export.uv_chart import UvChart
from lib.synthetic.appearance.canonical import CanonicalFace
from lib.synthetic.appearance.hair import above_hairline
from lib.synthetic.appearance.noise import mirrored, noise
from lib.synthetic.builtin.face_generator import METHOD as BUILT_IN_METHOD
from lib.synthetic.builtin.face_generator import load_face_model as load_built_in
from lib.synthetic.rendering import compiled
from lib.synthetic.rendering.shadows import averaging, bake_occlusion

NAME = "human head"
# Part of the cache key: increase the number when a change makes the same file give a different model.
METHOD = "human head, 4"
# Likewise, for `ExtendedHead`.
EXTENSION_METHOD = "extended head, 9"
# The border of the face's mesh is straightened: vertices farther than this [dm] from where the head has them are new.
SAME = 1e-5
# Least share of a face's vertices that are where its head has them; 0.95 are, and none of another area or density.
LEAST_SHARED = 0.8
# Hair begins and is full at these heights [mm] above the natural hairline.
HAIR_BEGINS, HAIR_FULL = -3.0, 6.0
# Amplitude and wavelength [mm] of the ragged hairline.
RAGGED, RAGGED_SIZE = 2.5, 8.0
# Brightness of the nadir relative to the zenith.
GROUND = 0.1
# Rounds of smoothing of the share of the sky that a vertex sees.
SKY_ROUNDS = 3
# Vertices of the face at each level of subdivision, for the choice of the level.
COUNTS = (3826, 11_011, 39_314, 151_721)


def level_for(vertex_count: int) -> int:
    """Level of subdivision whose face comes nearest to a number of vertices, in proportion."""
    return int(np.argmin([abs(np.log(vertex_count / count)) for count in COUNTS]))


def load_human_head(cache_dir: Path, area: str = "face", vertex_count: int = 10_000) -> FaceModel:
    """Loads an area of the head from the cache; builds and stores it if missing.

    Args:
      cache_dir: folder of the cache, also of the built-in model's.
      area: "face", "ears" (face with ears) or "head".
      vertex_count: approximate number of vertices of the face; other areas have the same density.

    Raises:
      UserError: the shipped file is missing or damaged.
      OSError: the cache cannot be read.
    """
    level = level_for(vertex_count)
    return FaceModel.cached(
        _cached(cache_dir, area, level),
        lambda: human_head_model(HumanHead.load(SHIPPED), load_built_in(cache_dir), area, level),
    )


class HeadAroundFace(FaceModel):
    """A whole head with the origin of its face, about which it turns."""

    CENTROID_TOLERANCE = 0.5


@dataclasses.dataclass(frozen=True, eq=False)
class ExtendedHead:
    """A larger area of the head whose first vertices are those of a smaller one, in its order and frame.

    Vertices that the smaller area straightens along its border are ordinary skin here. Vertices beyond it are not split
    along the seams of the texture chart.

    Attributes:
      model: the larger area; new vertices at the end close the mouth and, of a whole head, the neck. Its region "scalp"
        is where hair grows; "sky" is the share of the light of a sky, brightest above, that reaches each vertex.
      chart: its texture chart.
    """

    model: HeadAroundFace
    chart: UvChart

    @classmethod
    def load(cls, cache_dir: Path, inner: str, area: str, vertex_count: int = 10_000) -> "ExtendedHead":
        """Loads the area `area` beyond the area `inner` from the cache; builds and stores it if missing.

        Args:
          cache_dir, vertex_count: see `load_human_head`.

        Raises:
          UserError: the shipped file is missing or damaged.
          OSError: the cache cannot be read.
        """
        level = level_for(vertex_count)
        path = _cached(cache_dir, f"{inner}_{area}", level, EXTENSION_METHOD)
        charted = path.with_suffix(".chart.npz")
        if path.is_file() and charted.is_file():
            try:
                model = HeadAroundFace.load(path)
                return cls(model, read_chart(charted, model.triangles))
            except UserError as error:
                report_remade(path, error)
            except DamagedFile as error:
                report_remade(charted, error)
        source = load_built_in(cache_dir)
        extended = cls.build(HumanHead.load(SHIPPED), source, inner, area, level)
        with cache_in(path.parent):
            extended.model.save(path)
            write_chart(charted, extended.chart)
        return extended

    def shared(self, face: FaceModel) -> np.ndarray:
        """Bool [M], vertices of the smaller area that are where this one has them."""
        return np.linalg.norm(self.model.mean_shape[: face.vertex_count] - face.mean_shape, axis=1) < SAME

    def continues(self, face: FaceModel) -> bool:
        """Whether a face is the smaller area, with this one's coefficients, and no other area or density."""
        if face.vertex_count > self.model.vertex_count or face.layout != self.model.layout:
            return False
        return bool(self.shared(face).mean() >= LEAST_SHARED)

    @classmethod
    def build(cls, head: HumanHead, source: FaceModel, inner: str, area: str, level: int) -> "ExtendedHead":
        """Builds it; `source` is as in `human_head_model`."""
        smaller, whole = (human_head_model(head, source, name, level) for name in (inner, area))
        surfaces = [build_surface(head, name, level) for name in (inner, area)]
        numbers = [surface.origin for surface in surfaces]
        row = {tuple(number): i for i, number in enumerate(numbers[1].tolist())}
        first = np.array([row[tuple(number)] for number in numbers[0].tolist()])
        order = np.concatenate([first, np.setdiff1d(np.arange(len(numbers[1])), first)])
        # Of the vertices with one number, those of the smaller area stay, else the first.
        _, earliest, group = np.unique(numbers[1][order, 0], return_index=True, return_inverse=True)
        merged = earliest[group.ravel()]
        merged[: len(first)] = np.arange(len(first))
        kept, place = np.unique(merged, return_inverse=True)
        new = np.empty(len(order), np.int32)
        new[order] = place.ravel()
        model = _rearranged(whole, order[kept], new)
        regions = {**model.regions, "scalp": _scalp(model, surfaces[1].regions["ears"][order[kept]])}
        # Each area is centred on its own centroid.
        shift = np.median(smaller.mean_shape - model.mean_shape[: len(first)], axis=0)
        chart = UvChart(new, enlarged(whole.uv, whole.uv[order[: len(first)]][smaller.front_mask]), whole.triangles)
        arrays = {field.name: getattr(model, field.name) for field in dataclasses.fields(model)}
        changed = {"mean_shape": model.mean_shape + shift, "regions": regions}
        extended = HeadAroundFace(**arrays | changed)
        extended, chart = with_throat(extended, chart)
        if area == "head":  # others end beside the face
            extended, chart = with_neck(extended, chart, len(first))
        return cls(dataclasses.replace(extended, regions={**extended.regions, "sky": _open_sky(extended)}), chart)


def _rearranged(model: FaceModel, rows: np.ndarray, place: np.ndarray) -> FaceModel:
    """A model with its vertices in another order, some of them merged.

    Args:
      model: with N vertices.
      rows: [M] which vertex each new vertex is.
      place: [N] new number of each vertex; merged ones share it.
    """
    vertex = ("mean_shape", "mean_albedo", "uv", "skin_mask", "front_mask")
    bases = ("identity_basis", "expression_basis", "albedo_basis")
    return dataclasses.replace(
        model,
        **{name: getattr(model, name)[rows] for name in vertex},
        **{name: getattr(model, name)[:, rows] for name in bases},
        triangles=place[model.triangles],
        landmarks=place[model.landmarks],
        mirror_index=place[model.mirror_index[rows]],
        regions={name: weight[rows] for name, weight in model.regions.items()},
    )


def _scalp(model: FaceModel, ears: np.ndarray) -> np.ndarray:
    """[N] in [0, 1], where hair grows on a head; `ears` [N] in [0, 1]."""
    places = CanonicalFace(model).points
    height = above_hairline(places) + RAGGED * noise(mirrored(places), RAGGED_SIZE, seed=0)
    share = smoothstep((height - HAIR_BEGINS) / (HAIR_FULL - HAIR_BEGINS))
    return share * (1 - np.clip(ears, 0, 1)) * model.skin_mask


def _open_sky(model: FaceModel) -> np.ndarray:
    """[N] in [0, 1], share of a light mostly from above that reaches each vertex: little under the jaw."""
    normals = compiled.normals(model.mean_shape, model.triangles)
    sky = bake_occlusion(MILLIMETRES * model.mean_shape, normals, model.triangles, model.vertex_count, ground=GROUND)
    mean = averaging(model.triangles, model.vertex_count)
    for _ in range(SKY_ROUNDS):
        sky = mean @ sky
    return np.clip(sky, 0, 1)


def _cached(cache_dir: Path, area: str, level: int, method: str = "") -> Path:
    digest = hashlib.sha256(f"{METHOD}\n{BUILT_IN_METHOD}\n{method}".encode() + shipped_bytes()).hexdigest()[:16]
    return Path(cache_dir) / f"human_head_{area}_{level}_{digest}.npz"


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
    inner = is_inner(surface.regions)
    regions = head_regions(surface.regions, match, inner)
    upper_lip = shape[surface.landmarks[62], 2]
    mean_albedo, albedo_basis = head_albedo(surface.regions, shape, upper_lip, match, regions)
    front = match.mask(source.front_mask) & (match.distance < FACE_REACH) & ~inner
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
        skin_mask=match.mask(source.skin_mask) & ~inner & (surface.regions["lips"] < 0.5),
        front_mask=front,
        mirror_index=surface.mirror,
        uv=surface.uv,
        regions=regions,
        expression_names=head.names["expressions"],
        expression_prior=expression_prior(),
        expression_strength=STRENGTH,
        people={**head.population, "names": np.array(head.names["targets"])},
    )
