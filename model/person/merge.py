"""Merges the photos of a person into one skin: vertex colours and textures, weighted by visibility."""

import dataclasses
from collections.abc import Iterator
from typing import Protocol

import numpy as np

from lib.mesh_export.uv_chart import ChartRaster
from model.reconstruction.baking import FaceTextures
from model.reconstruction.photo_result import PhotoResult

# Weight of all photos together on hidden skin: where no photo shows it, the networks' predictions are averaged, and so
# is what the photos' textures have there, the mirrored side's detail and grain.
UNSEEN = 0.01
# Skin seen at a grazing angle is smeared, so the weight falls with this power of the cosine.
FRONTALITY_POWER = 2.0
# Limit of the gain on a photo's albedo, in both directions.
MAX_GAIN = 1.5
# Largest number of photos in the median that gains are relative to; if there are more, they are chosen evenly.
MEDIAN_PHOTOS = 32
# Pixels per texel beyond which a texture does not get sharper.
FULL_DENSITY = 1.0
# Textures are blended by this power of their weights: fits are off by a pixel, so an even blend would be blurred.
SHARPNESS = 3.0
# Difference from what most photos have of hair or cloth by which a photo is unlike them: at the border of hair, shares
# are soft.
APART = 0.5
# A photo that is unlike the others counts for this share: for less than any that has what most do, but not for nothing
# where no photo has, as between hair and a cap.
UNLIKE = 1e-6


@dataclasses.dataclass(frozen=True, eq=False)
class SeenTexture:
    """The part of a photo's textures that is merged.

    Attributes:
      albedo: uint8 [T, T, 3].
      share: [T, T] float32, share of the photo in each texel.
      density: [T, T] float32, photo pixels per texel side.
    """

    albedo: np.ndarray
    share: np.ndarray
    density: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class SkinView:
    """The skin as one photo shows it.

    Attributes:
      albedo: [N, 3] RGB.
      visibility: [N] in [0, 1].
      frontality: [N] cosine between normal and viewing direction, negative where turned away.
      lift: [N, 3] or [3], the volume of hair, see `PhotoResult`.
      hair, cloth: [N] in [0, 1], their shares.
      texture: texture of this photo, or None.
    """

    albedo: np.ndarray
    visibility: np.ndarray
    frontality: np.ndarray
    lift: np.ndarray
    hair: np.ndarray
    cloth: np.ndarray
    texture: SeenTexture | None

    @classmethod
    def of(cls, result: PhotoResult, textures: FaceTextures | None) -> "SkinView":
        """View of a reconstructed photo."""
        reconstruction, scalp = result.reconstruction, result.scalp
        albedo = reconstruction.albedo[0].numpy()
        none = np.zeros(len(albedo), np.float32)
        return cls(
            albedo=albedo,
            visibility=reconstruction.coarse.sampled.visibility[0, :, 0].numpy(),
            frontality=reconstruction.coarse.face.normals[0, :, 2].numpy(),
            lift=result.lift,
            hair=none if scalp is None else scalp.strands,
            cloth=none if scalp is None else scalp.cloth,
            texture=None if textures is None else SeenTexture(textures.albedo, textures.weight, textures.density),
        )

    @property
    def weight(self) -> np.ndarray:
        """Weight [N] of the photo at each vertex."""
        return self.visibility * np.maximum(self.frontality, 0) ** FRONTALITY_POWER

    def gain(self, common: np.ndarray, alike: np.ndarray | float = 1.0) -> np.ndarray:
        """Factors [3] that scale the albedo to the level of `common` [N, 3] on what the photo shows, if `alike` [N]."""
        weight = self.weight * alike
        if not weight.sum():
            return np.ones(3)
        mean, wanted = weight @ self.albedo / weight.sum(), weight @ common / weight.sum()
        return np.clip(wanted / np.maximum(mean, 1e-3), 1 / MAX_GAIN, MAX_GAIN)


class SkinViews(Protocol):
    """One or more views of a person's skin, in memory or on disk; they are iterated more than once."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> SkinView: ...

    def __iter__(self) -> Iterator[SkinView]: ...


@dataclasses.dataclass(frozen=True, eq=False)
class MergedTexture:
    """Texture from all photos of a person.

    Attributes:
      albedo: [T, T, 3] float32 RGB in [0, 1].
      weight: [T, T] float32 share of the photos in each texel.
    """

    albedo: np.ndarray
    weight: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class MergedSkin:
    """Skin from all photos of a person.

    Attributes:
      albedo: [N, 3] float32 RGB.
      lift: [N, 3] or [3] float32 decimetres, what the volume of the hair adds to the shape.
      texture: None if textures are not merged.
    """

    albedo: np.ndarray
    lift: np.ndarray
    texture: MergedTexture | None


def merge(views: SkinViews, raster: ChartRaster | None = None) -> MergedSkin:
    """Merges P photos, read one after the other, into one skin.

    Photos are weighted by visibility and by how frontally they show the skin, in textures also by their pixels per
    texel. Skin that no photo shows becomes the mean of the networks' predictions. Before merging, each photo's colours
    are scaled to the median of all photos on the skin it shows, because one photo cannot separate exposure from albedo.
    Strands and cloth that half of the photos or fewer show must not end up on skin, nor count in its median. The volume
    of the hair is the photos' median: each sees its outline from one side and guesses the rest. Textures are merged as
    detail, what they have beyond their photo's vertex colours, because that has no seams between photos.

    Args:
      views: views of the P photos; all must have textures if there is a raster.
      raster: raster of the texture chart; None to merge no textures.
    """
    medians = _medians(views)
    common, lift = medians["albedo"], medians["lift"]
    total, mass = np.zeros(common.shape), np.zeros(len(common))
    gains = []
    for view in views:
        alike = _alike(view.hair, view.cloth, medians)
        gains.append(view.gain(common, alike))
        weight = np.maximum(alike, UNLIKE) * (view.weight + UNSEEN / len(views))
        total += weight[:, None] * view.albedo * gains[-1]
        mass += weight
    albedo = (total / mass[:, None]).astype(np.float32)
    if raster is None:
        return MergedSkin(albedo, lift, None)
    return MergedSkin(albedo, lift, _merge_textures(views, gains, albedo, medians, raster))


def _medians(views: SkinViews) -> dict[str, np.ndarray]:
    """Medians of albedo, lift, hair and cloth over at most `MEDIAN_PHOTOS` of the views, each read once.

    Of hair and cloth, the lower median: where as many photos show skin, it is skin. The lift there is the smaller one
    of the two in the middle, and the albedo that of the photos that are alike.
    """
    rows: dict[str, list[np.ndarray]] = {part: [] for part in ("albedo", "lift", "hair", "cloth")}
    for index in np.unique(np.linspace(0, len(views) - 1, min(MEDIAN_PHOTOS, len(views))).round().astype(int)):
        view = views[int(index)]
        for part, values in rows.items():
            values.append(getattr(view, part))
    medians = {part: np.quantile(rows[part], 0.5, axis=0, method="lower") for part in ("hair", "cloth")}
    unlike = (
        np.array([_alike(hair, cloth, medians) for hair, cloth in zip(rows["hair"], rows["cloth"], strict=True)]) == 0
    )
    mixed = unlike.any(axis=0) & ~unlike.all(axis=0)
    albedo = np.array(rows["albedo"])
    medians["albedo"] = np.median(albedo, axis=0)
    medians["albedo"][mixed] = np.nanmedian(np.where(unlike[:, mixed, None], np.nan, albedo[:, mixed]), axis=0)
    low, high = (np.quantile(rows["lift"], 0.5, axis=0, method=method) for method in ("lower", "higher"))
    smaller = np.where(np.abs(low) < np.abs(high), low, high)
    covered = np.clip(medians["hair"] + medians["cloth"], 0, 1)[:, None] if low.ndim > 1 else 0
    medians["lift"] = (smaller + covered * ((low + high) / 2 - smaller)).astype(np.float32)
    return medians


def _alike(hair: np.ndarray, cloth: np.ndarray, medians: dict[str, np.ndarray]) -> np.ndarray:
    """[N] in [0, 1], how far a view has hair and cloth [N] where most views do, and only there."""
    alike = np.ones(len(hair))
    for share, usual in ((hair, medians["hair"]), (cloth, medians["cloth"])):
        alike *= np.clip(1 - np.abs(share - usual) / APART, 0, 1)
    return alike


def _merge_textures(
    views: SkinViews,
    gains: list[np.ndarray],
    albedo: np.ndarray,
    medians: dict[str, np.ndarray],
    raster: ChartRaster,
) -> MergedTexture:
    """Adds the views' detail, after their gains [3], to the vertices' merged albedo [N, 3]."""
    size = raster.size
    total, mass = np.zeros((size, size, 3), np.float32), np.zeros((size, size), np.float32)
    share = np.zeros((size, size), np.float32)
    for view, gain in zip(views, gains, strict=True):
        seen = view.texture
        if seen is None:
            raise ValueError("views must have textures to be merged, got one without")
        vertices = raster.interpolate(
            np.column_stack([np.clip(view.albedo, 0, 1), _alike(view.hair, view.cloth, medians)])
        )
        sharp = seen.share * np.minimum(seen.density / FULL_DENSITY, 1) ** 2 + UNSEEN / len(views)
        weight = (np.maximum(vertices[..., 3], UNLIKE) * sharp) ** SHARPNESS
        detail = seen.albedo / np.float32(255) - vertices[..., :3]
        total += weight[..., None] * detail * gain.astype(np.float32)
        mass += weight
        share = np.maximum(share, seen.share)
    detail = total / np.maximum(mass, np.finfo(np.float32).tiny)[..., None]
    texture = raster.interpolate(np.clip(albedo, 0, 1)) + detail
    return MergedTexture(raster.dilate(np.clip(texture, 0, 1)).astype(np.float32), share)
