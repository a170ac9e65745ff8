"""Graphs that are kept on disk: traced once, remade when anything changes or breaks, never fatal."""

import numpy as np
import pytest
import tensorflow as tf

from lib.files import headed_npz
from lib.runtime.stored_function import StoredFunction, tensors_of

LARGE = tf.constant(np.arange(200.0), tf.float32)
SMALL = tf.constant(3.0)


class Traced:
    """x -> [3 x, the sum of x and 0..199, steps of a loop] that counts how often it is traced."""

    def __init__(self):
        self.count = 0

    def __call__(self, x):
        self.count += 1
        steps = tf.while_loop(lambda i: i < 4, lambda i: (i + 1,), (tf.constant(0),))[0]
        return [SMALL * x["x"], tf.reduce_sum(x["x"] + LARGE), steps]


def stored(folder, function, key=0, constants=None):
    return StoredFunction("f", function, constants or {"large": LARGE, "small": SMALL}, {"key": key}, folder)


def check(results, x):
    np.testing.assert_allclose(results[0], 3 * x)
    assert float(results[1]) == pytest.approx(float(np.sum(x + np.arange(200.0))))
    assert int(results[2]) == 4


def test_a_graph_is_traced_once_for_each_shape_and_not_by_the_next_process(tmp_path):
    first, second = Traced(), Traced()
    for function in (first, second):
        call = stored(tmp_path, function)
        for value in (1.0, 2.0):
            check(call({"x": tf.fill([200], value)}), np.full(200, value))
        check(call({"x": tf.fill([3, 200], 2.0)}), np.full([3, 200], 2.0))
    assert (first.count, second.count) == (2, 0)


def test_arguments_are_not_printed_at_every_call(tmp_path, monkeypatch):
    call, argument = stored(tmp_path, Traced()), {"x": tf.fill([200], 2.0)}
    expected = [result.numpy() for result in call(argument)]
    monkeypatch.setattr(type(LARGE), "__repr__", lambda _: pytest.fail("no message needs it"))
    for result, value in zip(call(argument), expected, strict=True):
        np.testing.assert_array_equal(result.numpy(), value)


def test_it_tells_whether_a_graph_is_stored(tmp_path):
    call, argument = stored(tmp_path, Traced()), {"x": tf.ones([200])}
    assert not call.is_stored(argument)
    call(argument)
    assert stored(tmp_path, Traced()).is_stored(argument)
    assert not call.is_stored({"x": tf.ones([3, 200])})


def test_many_results_of_a_loop_may_be_the_same(tmp_path):
    count = 20

    def function(x):
        start = (tf.constant(0), *[tf.zeros_like(x)] * count)
        return tf.while_loop(lambda i, *_: i < 3, lambda i, *each: (i + 1, *[tf.sin(x)] * count), start)[1:]

    for found in stored(tmp_path, function)(tf.linspace(0.0, 1.0, 5)):
        np.testing.assert_allclose(found, np.sin(np.linspace(0, 1, 5)), rtol=1e-6)


def test_nodes_that_compute_the_same_are_stored_once(tmp_path):
    def function(x):
        def body(i, total):
            return i + 1, total + tf.sin(x) * tf.sin(x) + tf.sin(x)

        return [tf.while_loop(lambda i, _: i < 3, body, (tf.constant(0), tf.zeros_like(x)))[1]]

    x = tf.linspace(0.0, 1.0, 5)
    for _ in range(2):  # traced, then read
        np.testing.assert_allclose(stored(tmp_path, function)(x)[0], 3 * (np.sin(x) ** 2 + np.sin(x)), rtol=1e-6)
    (path,) = tmp_path.iterdir()
    graph = tf.compat.v1.GraphDef.FromString(headed_npz.read(path)[1]["graph"].tobytes())
    assert [node.op for part in graph.library.function for node in part.node_def].count("Sin") == 1


def test_another_key_or_constant_is_traced_again(tmp_path):
    argument = {"x": tf.ones([200])}
    stored(tmp_path, Traced())(argument)
    for more in (tf.ones([300]), tf.constant(1.0)):  # the large one is not copied into the graph
        change = {"constants": {"large": LARGE, "small": SMALL, "more": more}}
        function = Traced()
        stored(tmp_path, function, **change)(argument)
        assert function.count == 1
    for change in ({"key": 1}, {"key": 2}):
        function = Traced()
        stored(tmp_path, function, **change)(argument)
        assert function.count == 1


def test_a_damaged_file_is_remade(tmp_path, capsys):
    argument = {"x": tf.ones([200])}
    stored(tmp_path, Traced())(argument)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-40])
    for expected in (1, 0):
        function = Traced()
        check(stored(tmp_path, function)(argument), np.ones(200))
        assert function.count == expected
    assert capsys.readouterr().err.count("made again") == 1


def test_without_a_folder_to_write_to_the_function_is_traced(tmp_path):
    (tmp_path / "file").write_text("")
    check(stored(tmp_path / "file", Traced())({"x": tf.ones([200])}), np.ones(200))


def test_a_function_of_other_tensors_is_refused(tmp_path):
    other = tf.ones([200])
    with pytest.raises(ValueError, match="only its arguments and constants"):
        stored(tmp_path, lambda x: [x + other])(tf.ones([200]))


def test_a_graph_that_does_more_than_compute_is_neither_written_nor_read(tmp_path, monkeypatch, capsys):
    (tmp_path / "text").write_text("content")
    argument = tf.constant(str(tmp_path / "text"))

    def read():
        return stored(tmp_path / "graphs", lambda x: [tf.io.read_file(x)])(argument)[0].numpy()

    assert read() == b"content"
    assert not (tmp_path / "graphs").exists()
    monkeypatch.setattr("lib.runtime.stored_function.ALLOWED", {"Placeholder", "Identity", "ReadFile"})
    read()
    assert (tmp_path / "graphs").exists()
    monkeypatch.undo()
    assert read() == b"content"
    assert "a graph with other operations" in capsys.readouterr().err


def test_the_tensors_of_an_object():
    found = tensors_of("o", Traced()) | tensors_of("p", tf.Module())
    holder = Traced()
    holder.value = SMALL
    assert found == {}
    assert tensors_of("o", holder) == {"o.value": SMALL}
