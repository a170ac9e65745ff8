"""Inner tensors of a .tflite network as its outputs: what LiteRT's slow kernels compute, at full speed."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from lib.errors import UserError
from lib.face_mesh.features import MAPS, crop_features
from lib.face_mesh.network import FILE, PACKAGE, SIDE
from lib.network_files.tflite_network import TfliteNetwork, packaged_network
from lib.network_files.tflite_outputs import with_outputs


def test_the_inner_tensors_are_those_of_the_whole_network():
    crop = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8)
    reference = Interpreter(
        str(packaged_network(PACKAGE, FILE)),
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    reference.allocate_tensors()
    reference.set_tensor(reference.get_input_details()[0]["index"], crop[None].astype(np.float32) / 255)
    reference.invoke()
    numbers = {entry["name"]: entry["index"] for entry in reference.get_tensor_details()}
    maps = crop_features(crop)
    assert [level.shape for level in maps] == [(side, side, channels) for side, channels in MAPS.values()]
    for name, level in zip(MAPS, maps, strict=True):
        np.testing.assert_allclose(level, reference.get_tensor(numbers[name])[0], atol=1e-3)


def test_only_the_wanted_tensors_are_output_in_the_order_asked_for():
    names = ("p_re_lu_5", "p_re_lu_2")
    network = TfliteNetwork(packaged_network(PACKAGE, FILE), outputs=names)
    assert tuple(network(np.zeros(network.input_shape, np.float32))) == names


def test_an_unknown_tensor_is_named(tmp_path):
    path = packaged_network(PACKAGE, FILE)
    with pytest.raises(ValueError, match="names must be tensors of the network, got 'p_re_lu_99'"):
        with_outputs(path.read_bytes(), ["p_re_lu_2", "p_re_lu_99"])
    with pytest.raises(UserError, match=r"must be a \.tflite network, got"):
        TfliteNetwork(path, outputs=["p_re_lu_99"])


def test_threads_that_share_a_network_get_their_own_outputs():
    network = TfliteNetwork(packaged_network(PACKAGE, FILE))
    inputs = np.random.default_rng(0).random((4, *network.input_shape)).astype(np.float32)
    expected = [network(values) for values in inputs]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda turn: network(inputs[turn % 4]), range(40)))
    for turn, outputs in enumerate(found):
        for name, values in outputs.items():
            np.testing.assert_array_equal(values, expected[turn % 4][name])
