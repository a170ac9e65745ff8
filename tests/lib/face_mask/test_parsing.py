"""Masks of a face-parsing network: a tiny one, made here, whose classes are known at every pixel."""

import sys

import numpy as np
import pytest
import tensorflow as tf

from lib.errors import UserError
from lib.face_mask.parsing import FaceParser
from tests.support.published_files.parsing_network import MEAN, STD, write_network


def stripes():
    crop = np.zeros((48, 48, 3), np.uint8)
    for channel in range(3):
        crop[:, 16 * channel : 16 * channel + 16, channel] = 200
    return crop


@pytest.mark.parametrize("classes", [False, True])
def test_listed_classes_are_face(tmp_path, classes):
    pytest.importorskip("onnxruntime")
    path = write_network(tmp_path / "parser.onnx", size=48, classes=classes)
    alpha = FaceParser(path, 48, MEAN, STD, (0, 2))(stripes())
    assert alpha.dtype == np.float32
    np.testing.assert_array_equal(alpha, np.repeat([[1.0] * 16 + [0.0] * 16 + [1.0] * 16], 48, 0))


def test_the_crop_is_brought_to_the_network_s_size(tmp_path):
    pytest.importorskip("onnxruntime")
    alpha = FaceParser(write_network(tmp_path / "p.onnx"), 16, MEAN, STD, (1,))(stripes())
    assert alpha.shape == (48, 48)
    assert alpha[:, 20:28].min() == 1
    assert alpha[:, :10].max() == alpha[:, 38:].max() == 0


def test_masks_of_crops_smaller_than_the_network_are_means(tflite_network):
    parser = FaceParser(tflite_network, 16, MEAN, STD, (1,))
    parser._scores = lambda image: np.tile(np.arange(16) % 4 == 0, (1, 16, 1))
    np.testing.assert_array_equal(parser(np.zeros((4, 4, 3), np.uint8)), 0.25)


def test_scores_of_a_single_class_are_refused_rather_than_read_as_background(tflite_network):
    parser = FaceParser(tflite_network, 16, MEAN, STD, (1,))
    parser._scores = lambda image: np.full((1, 1, 16, 16), 5.0)
    with pytest.raises(UserError, match=r"must give scores of at least two classes, .* got \[1, 1, 16, 16\]"):
        parser(np.zeros((4, 4, 3), np.uint8))


@pytest.fixture(scope="module")
def tflite_network(tmp_path_factory):
    """A .tflite file for 16 px whose scores are the channels of its input."""
    function = tf.function(lambda image: tf.identity(2.0 * image), [tf.TensorSpec([1, 16, 16, 3], tf.float32)])
    module = tf.Module()
    module.function = function
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()], module)
    path = tmp_path_factory.mktemp("tflite") / "parser.tflite"
    path.write_bytes(converter.convert())
    return path


def test_a_tensorflow_lite_network_is_a_parser_as_well(tflite_network):
    alpha = FaceParser(tflite_network, 16, MEAN, STD, (1,))(stripes())
    assert alpha.shape == (48, 48)
    assert alpha[:, 20:28].min() == 1
    assert alpha[:, :10].max() == alpha[:, 38:].max() == 0
    with pytest.raises(UserError, match=r"prepare\.parser_size 32, got: an input \[1, 16, 16, 3\]"):
        FaceParser(tflite_network, 32, MEAN, STD, (1,))


def test_what_is_missing_or_does_not_fit_is_said(tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime")
    with pytest.raises(UserError, match="must be an ONNX file, got none"):
        FaceParser(tmp_path / "none.onnx", 16, MEAN, STD, (1,))
    path = write_network(tmp_path / "p.onnx")
    with pytest.raises(UserError, match=r"must take an input of prepare\.parser_size 32"):
        FaceParser(path, 32, MEAN, STD, (1,))(stripes())
    (tmp_path / "text.onnx").write_text("no network")
    with pytest.raises(UserError, match=r"text\.onnx: must be an ONNX network"):
        FaceParser(tmp_path / "text.onnx", 16, MEAN, STD, (1,))
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UserError, match="needs the package onnxruntime, which is not installed"):
        FaceParser(path, 16, MEAN, STD, (1,))
