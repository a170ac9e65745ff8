"""Computes the measures of the paper's comparison on a folder of photos, or of already aligned crops."""

import dataclasses
import functools
import time
from pathlib import Path

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from configs import schema
from lib.face_image.photo_io import photo_paths, result_names
from lib.files.file_names import printable
from lib.files.own_files import check_replaceable
from lib.messages import counted
from lib.records.crop_files import read_crop
from model.evaluation.images import FILES, ImageEvaluation, print_means
from model.face_gcn import FaceReconstruction
from model.photos.errors import failure_reason, photo_barrier
from model.pipeline import Pipeline, load_pipeline, restore_texture_network
from model.reconstruction.face_reconstructor import FaceReconstructor


def evaluate_folder(config: schema.Config, source: Path, output: Path) -> dict[str, str]:
    """Measures the run's best texture network on the images in a folder; see model/evaluation/images.py.

    Photos are aligned, masked and fitted as in test mode. With evaluate.crops, the files are aligned RGBA crops whose
    coefficients come from the regressor, as in training. An image that fails does not stop the others.

    Args:
      config: the effective configuration.
      source: the folder, with or without sub-folders.
      output: receives images.csv, images.json, images.png.

    Returns:
      Images that could not be measured: name -> reason.

    Raises:
      UserError: there is no image or no trained network, or all images failed.
    """
    started = time.monotonic()
    paths = photo_paths(source, skip=output)
    check_replaceable(output, FILES)
    if config.evaluate.faces:
        paths = paths[: config.evaluate.faces]
    pipeline = load_pipeline(config)
    restore_texture_network(pipeline)
    images = ImageEvaluation(pipeline)
    read = _crops(pipeline) if config.evaluate.crops else _photos(config, pipeline)
    names = {path: printable(name) for path, name in result_names(paths, source).items()}

    def fail(path: Path, error: Exception) -> None:
        images.failed[names[path]] = failure_reason(path, error)

    try:
        for path in tqdm(paths, "evaluate", unit="image", dynamic_ncols=True):
            with photo_barrier(functools.partial(fail, path)):
                images.add(names[path], *read(path))
    except KeyboardInterrupt:
        if images.rows:
            images.write(output)
            print(f"{len(images.rows)} of {len(paths)} images measured, in {Path(output).resolve() / 'images.csv'}")
        raise
    summary = images.write(output)
    print(f"{summary['images']} of {counted(len(paths), 'image')}, {time.monotonic() - started:.0f} s")
    print_means(summary["mean"])
    for name, reason in images.failed.items():
        print(f"  left out: {name}: {reason}")
    print(f"image by image: {Path(output).resolve() / 'images.csv'}   pictures: images.png in the same folder")
    return images.failed


def _photos(config: schema.Config, pipeline: Pipeline):
    face_only = dataclasses.replace(config, export=dataclasses.replace(config.export, area=config.face_model.area))
    reconstruct = FaceReconstructor(face_only, pipeline)

    def read(path: Path) -> tuple[tf.Tensor, FaceReconstruction]:
        found = reconstruct(path)
        return tf.constant(np.dstack([found.photo.rgb, found.alpha])[None], tf.float32), found.reconstruction

    return read


def _crops(pipeline: Pipeline):
    face_gcn = tf.function(pipeline.face_gcn, reduce_retracing=True, autograph=False)

    def read(path: Path) -> tuple[tf.Tensor, FaceReconstruction]:
        crop = tf.constant(read_crop(path, pipeline.camera.image_size[0])[None], tf.float32) / 255.0
        encoded = pipeline.encode(crop)
        return crop, face_gcn(crop, encoded.coefficients, encoded.embedding)

    return read
