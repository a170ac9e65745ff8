"""Textures of a photo: relief on the skin alone; the hidden side has mirrored detail, but not on the eyes."""

import dataclasses

import cv2
import numpy as np

from configs import schema
from lib.geometry.camera import Camera
from lib.mesh_export.texture_fill import at_vertices
from lib.mesh_export.uv_chart import uncut
from lib.synthetic.appearance.canonical import REGIONS, CanonicalFace
from model.morphable_model import MorphableModel
from model.reconstruction.baking import TextureBaker
from model.reconstruction.face_reconstructor import FaceReconstructor
from tests.support.faces import built_in_face
from tests.support.photo_corpus import portrait_pixels
from tests.support.reconstruction_parts import SIZE, untrained_parts

PORTRAIT = portrait_pixels()


def test_only_skin_has_relief():
    model, flat = MorphableModel(built_in_face(2500)), (128, 128, 255)
    baker = TextureBaker(model, Camera((SIZE, SIZE)), uncut(model.face_model.uv, model.face_model.triangles), 256, True)
    noise = np.random.default_rng(0).uniform(0.3, 0.7, (256, 256, 3)).astype(np.float32)
    relief = baker.relief(model.face_model.mean_shape, noise, np.ones((256, 256), np.float32))
    skin = baker.raster.interpolate(model.face_model.skin_mask[:, None].astype(np.float32))[..., 0]
    near = cv2.dilate(skin, np.ones((5, 5)))  # slopes reach to the neighbouring texels
    none = baker.raster.inside & (near == 0)
    assert min(none.sum(), (skin == 1).sum()) > 100
    assert (relief[none] == flat).all()
    assert (relief[skin == 1] != flat).any(axis=-1).mean() > 0.5


def test_a_hidden_eye_takes_no_detail_from_the_other_one():
    overrides = {"fit.steps": 0, "data.image_size": SIZE, "export.texture_size": 1024}
    face = FaceReconstructor(schema.load(overrides=overrides), untrained_parts())(PORTRAIT)
    rows = np.arange(face.region.pixels.shape[0])[:, None, None]
    striped = np.clip(face.region.pixels * np.where(rows % 6 < 3, 0.7, 1.3), 0, 255).astype(np.uint8)
    region = dataclasses.replace(face.region, pixels=striped)
    half = face.readable * (np.arange(SIZE) < face.photo.alignment.points[2, 0])
    baker, model = face.export.baker, face.export.morphable.face_model
    textures, plain = (baker(dataclasses.replace(face, region=of, readable=half)) for of in (region, face.region))

    shown = at_vertices(face.export.chart, textures.weight[..., None], model.vertex_count)[model.mirror_index, 0]
    eye = CanonicalFace(model).regions[:, REGIONS.index("eye")]
    eye, shown, skin = np.moveaxis(baker.raster.interpolate(np.column_stack([eye, shown, model.skin_mask])), -1, 0)
    hidden = (textures.weight == 0) & (shown > 0.9)
    eyes, skin = hidden & (eye > 0.95), hidden & (eye < 0.01) & (skin == 1)
    assert min(eyes.sum(), skin.sum()) > 500
    stripes = (textures.lit / np.maximum(plain.lit.astype(np.float32), 1)).mean(axis=-1)
    detail = np.abs(stripes - cv2.blur(stripes, (15, 15)))
    assert np.median(detail[skin]) > 0.03
    assert np.median(detail[eyes]) < 0.3 * np.median(detail[skin])
