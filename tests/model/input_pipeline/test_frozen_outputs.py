"""Outputs of the frozen networks: computed once, kept, read back in the right order."""

import tracemalloc

import numpy as np
import pytest

from lib.errors import UserError
from lib.files.numpy_files import read_npz
from lib.records.record_file import RecordReader
from lib.records.record_writer import RecordWriter
from model.input_pipeline.batches import batches, shuffled
from model.input_pipeline.frozen_outputs import encode_records
from model.input_pipeline.stored_rows import StoredRows
from model.networks.encoding import EncodedFaces


def records_of(folder, count=7, seed=0) -> RecordReader:
    crops = np.random.default_rng(seed).integers(0, 256, (count, 6, 6, 4), np.uint8)
    with RecordWriter(folder / f"{seed}.bin", (6, 6, 4)) as writer:
        for i, crop in enumerate(crops):
            writer.append(crop, f"{i}.png")
    return RecordReader(folder / f"{seed}.bin")


class Encoder:
    """Coefficients: mean red; features: mean green and blue; identity: mean alpha. Counts the crops it has seen."""

    def __init__(self):
        self.seen = 0

    def __call__(self, crops):
        self.seen += len(crops)
        means = crops.mean(axis=(1, 2))
        return EncodedFaces(means[:, :1], means[:, 1:3], means[:, 3:])


def test_every_crop_is_encoded_once_and_in_order(tmp_path):
    records, encoder = records_of(tmp_path), Encoder()
    encoded = encode_records(records, encoder, tmp_path, "weights-a", batch_size=3)
    expected = np.stack([records[i] for i in range(7)]).mean(axis=(1, 2)) / 255
    np.testing.assert_allclose(encoded.coefficients, expected[:, :1], atol=1e-6)
    np.testing.assert_allclose(encoded.features, expected[:, 1:3], atol=1e-6)
    np.testing.assert_allclose(encoded.identity_embedding, expected[:, 3:], atol=1e-6)
    np.testing.assert_array_equal(encoded.embedding, np.concatenate([encoded.features, encoded.identity_embedding], 1))
    again = encode_records(records, encoder, tmp_path, "weights-a", batch_size=3)
    assert encoder.seen == 7
    np.testing.assert_array_equal(again.coefficients, encoded.coefficients)
    np.testing.assert_array_equal(again.identity_embedding, encoded.identity_embedding)


def test_a_killed_run_goes_on_with_the_part_it_was_in(tmp_path):
    records, whole = records_of(tmp_path), Encoder()
    expected = encode_records(records, whole, tmp_path / "whole", "a", batch_size=2)

    class Killed(Encoder):
        def __call__(self, crops):
            if self.seen + len(crops) > 5:
                raise KeyboardInterrupt
            return super().__call__(crops)

    with pytest.raises(KeyboardInterrupt):
        encode_records(records, Killed(), tmp_path, "a", batch_size=2, part_size=3)
    following = Encoder()
    encoded = encode_records(records, following, tmp_path, "a", batch_size=2, part_size=3)
    assert following.seen == 4, "the first part's three are kept"
    np.testing.assert_array_equal(encoded.coefficients, expected.coefficients)
    np.testing.assert_array_equal(encoded.embedding, expected.embedding)


def test_other_weights_other_records_and_damage_are_encoded_anew(tmp_path):
    records, encoder = records_of(tmp_path), Encoder()
    encode_records(records, encoder, tmp_path, "weights-a")
    encode_records(records, encoder, tmp_path, "weights-b")
    assert encoder.seen == 14
    encode_records(records_of(tmp_path, seed=1), encoder, tmp_path, "weights-a")
    assert encoder.seen == 21
    caches = list(tmp_path.glob("encoded-weights-b-*/*.npz"))
    assert len(caches) == 1
    for cache in caches:
        cache.write_bytes(cache.read_bytes()[:100])
    encode_records(records, encoder, tmp_path, "weights-b")
    assert encoder.seen == 28
    np.savez(caches[0], coefficients=np.zeros((7, 1)), embeddings=np.zeros((7, 3)))  # an earlier version's arrays
    assert np.any(encode_records(records, encoder, tmp_path, "weights-b").coefficients)
    assert encoder.seen == 35


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:]),
        lambda path: np.savez(path, **{name: rows[:5] for name, rows in read_npz(path).items()}),
        lambda path: np.savez(path, **{name: rows * np.nan for name, rows in read_npz(path).items()}),
        lambda path: np.savez(path, coefficients=np.ones((7, 159)), embeddings=np.ones((7, 384))),
        lambda path: path.write_bytes(path.read_bytes().replace(b"'shape': (", b"'shape':  ", 1)),  # one bit
    ],
    ids=["empty", "a flipped bit", "too few rows", "not finite", "other rows", "a flipped bit of a header"],
)
def test_a_damaged_cache_is_named_and_made_again(tmp_path, capsys, damage):
    records, encoder = records_of(tmp_path), Encoder()
    expected = encode_records(records, encoder, tmp_path, "a")
    (cache,) = tmp_path.glob("encoded-a-*/*.npz")
    damage(cache)
    capsys.readouterr()
    np.testing.assert_array_equal(encode_records(records, encoder, tmp_path, "a").embedding, expected.embedding)
    assert encoder.seen == 14
    assert f"{cache}: damaged, made again (" in capsys.readouterr().err
    encode_records(records, encoder, tmp_path, "a")
    assert encoder.seen == 14


def test_batches_keep_crops_and_encodings_together(tmp_path):
    records = records_of(tmp_path)
    numbers = np.arange(7, dtype=np.float32)
    encoded = EncodedFaces(numbers[:, None], 10 * numbers[:, None], 100 * numbers[:, None])
    order = [5, 0, 6, 2, 3]
    made = list(batches(records, encoded, order, 2, workers=3, buffer_size=4))
    assert [len(batch.crop) for batch in made] == [2, 2, 1]
    assert all(batch.true_albedo is None for batch in made)
    np.testing.assert_array_equal(np.concatenate([batch.encoded.coefficients for batch in made])[:, 0], order)
    embedding = np.concatenate([batch.encoded.embedding for batch in made])
    np.testing.assert_array_equal(embedding, np.outer(order, [10, 100]))
    crops = np.concatenate([batch.crop for batch in made])
    np.testing.assert_allclose(crops * 255, records.batch(order), atol=1e-4)


def test_only_needed_crops_of_missing_parts_are_encoded(tmp_path):
    records, encoder = records_of(tmp_path), Encoder()
    expected = encode_records(records, Encoder(), tmp_path / "whole", "a")
    found = encode_records(records, encoder, tmp_path, "a", batch_size=2, part_size=3, needed=[5, 2])
    assert encoder.seen == 2
    np.testing.assert_array_equal(found.coefficients[[2, 5]], expected.coefficients[[2, 5]])
    assert np.isnan(np.delete(found.coefficients, [2, 5], axis=0)).all()
    assert not list(tmp_path.glob("encoded-a-*/*.npz"))
    encode_records(records, encoder, tmp_path, "a", part_size=3)
    found = encode_records(records, encoder, tmp_path, "a", part_size=3, needed=[6])
    assert encoder.seen == 9
    np.testing.assert_array_equal(found.coefficients[6], expected.coefficients[6])


def test_rows_are_selected_as_those_of_an_array(tmp_path):
    records = records_of(tmp_path)
    whole = np.stack([records[i] for i in range(7)]).astype(np.float32) / 255
    rows = encode_records(records, Encoder(), tmp_path, "a", batch_size=7, part_size=3).features
    expected = whole.mean(axis=(1, 2))[:, 1:3]
    assert rows.shape == (7, 2)
    for key in (4, -1, slice(2, 5), [6, 0, 6, 3], np.array([5, 1]), np.arange(7) > 4, []):
        np.testing.assert_array_equal(rows[key], expected[key])
    for beyond in (7, -8, [0, 7]):
        with pytest.raises(IndexError):
            rows[beyond]


@pytest.mark.parametrize(("key", "expected"), [(7, [7]), ([4, -1], [[4], [np.nan]]), (slice(8, 4, -2), [[8], [6]])])
def test_a_few_rows_take_no_memory_for_all_others(key, expected):
    rows = StoredRows(10**7, 16, {0: np.arange(16.0, dtype=np.float32)[:, None]})
    tracemalloc.start()
    found = rows[key]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_array_equal(found, expected)
    assert peak < 1e5


def test_memory_does_not_grow_with_the_crops(tmp_path):
    """Of 512 crops with 100,000 outputs each, 200 MB, a batch's rows are read."""
    with RecordWriter(tmp_path / "many.bin", (1, 1, 4)) as writer:
        for i in range(512):
            writer.append(np.full((1, 1, 4), i % 256, np.uint8), f"{i}.png")
    records = RecordReader(tmp_path / "many.bin")

    def encode(crops):
        rows = np.tile(crops[:, 0, 0, :1], 100_000).astype(np.float32)
        return EncodedFaces(rows, rows[:, :1], rows[:, :1])

    for _ in ("computed", "kept"):
        tracemalloc.start()
        encoded = encode_records(records, encode, tmp_path, "a", part_size=16)
        batch = next(batches(records, encoded, [500, 3], 2))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 40e6
        np.testing.assert_allclose(batch.encoded.coefficients[:, -1] * 255, [500 - 256, 3], rtol=1e-6)


def test_outputs_that_are_deleted_meanwhile_are_named(tmp_path):
    records = records_of(tmp_path)
    encoded = encode_records(records, Encoder(), tmp_path, "a")
    (cache,) = tmp_path.glob("encoded-a-*/*.npz")
    cache.write_bytes(cache.read_bytes()[:200])
    with pytest.raises(UserError, match="must stay as long as its crops are in use, got mmap length"):
        list(batches(records, encoded, [1], 1))
    cache.unlink()
    with pytest.raises(UserError, match=r"must stay as long as its crops are in use, got .*No such file"):
        list(batches(records, encoded, [1], 1))


def test_a_damaged_record_is_named(tmp_path):
    """Not as the error of the function of TensorFlow's that reads it."""
    records = records_of(tmp_path)
    path = tmp_path / "0.bin"
    content, crop = bytearray(path.read_bytes()), records[6].tobytes()
    content[content.index(crop)] ^= 1
    path.write_bytes(content)
    encoded = EncodedFaces(*[np.zeros((7, 1), np.float32)] * 3)
    with pytest.raises(UserError, match=r"0\.bin: record 6"):
        list(batches(RecordReader(path), encoded, range(7), 2))
    assert len(list(batches(records, encoded, range(6), 2))) == 3


def test_batches_bring_the_true_albedo_where_it_is_given(tmp_path):
    numbers = np.arange(7, dtype=np.float32)
    encoded = EncodedFaces(*[numbers[:, None]] * 3)
    truth = np.tile(numbers[:, None, None], (1, 4, 3)).astype(np.float16)
    made = list(batches(records_of(tmp_path), encoded, [5, 0, 6], 2, targets=truth))
    assert [tuple(batch.true_albedo.shape) for batch in made] == [(2, 4, 3), (1, 4, 3)]
    assert made[0].true_albedo.dtype == "float32"
    np.testing.assert_array_equal(np.concatenate([batch.true_albedo for batch in made])[:, 0, 0], [5, 0, 6])


def test_the_order_depends_on_seed_epoch_and_pass_alone():
    first = shuffled(range(50), 1, 2)
    np.testing.assert_array_equal(first, shuffled(range(50), 1, 2))
    assert sorted(first) == list(range(50))
    for other in (shuffled(range(50), 2, 2), shuffled(range(50), 1, 3), shuffled(range(50), 1, 2, 1)):
        assert not np.array_equal(first, other)
