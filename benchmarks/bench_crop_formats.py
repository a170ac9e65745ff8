"""Measures bytes and decoding time of crops in lossless formats that shards could hold instead of raw pixels.

Run: python -m benchmarks.bench_crop_formats [--records data/face.bin] [--count 100] [--step_ms 33]

Every format returns the crop's bytes exactly, colours under alpha 0 included. The last column is the time that decoding
a batch of four takes one thread, as a share of a training update of `--step_ms` milliseconds.
"""

import argparse
import io
import statistics
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from configs import schema
from lib.records.record_index import open_records

BATCH = 4


def pillow(kind: str, **settings: object) -> tuple[Callable[[np.ndarray], bytes], Callable[[bytes], np.ndarray]]:
    """Encoder and decoder of one of Pillow's formats, for crops uint8 [H, W, 4]."""

    def encode(crop: np.ndarray) -> bytes:
        stream = io.BytesIO()
        Image.fromarray(crop).save(stream, kind, **settings)
        return stream.getvalue()

    return encode, lambda data: np.array(Image.open(io.BytesIO(data)).convert("RGBA"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=Path, default=schema.load().records_path)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--step_ms", type=float, default=33.0, help="of the default training: 30 updates a second")
    arguments = parser.parse_args()
    records = open_records(arguments.records)
    crops = [np.array(records[index]) for index in range(min(arguments.count, len(records)))]
    shape = crops[0].shape

    def plain(data: bytes) -> np.ndarray:
        return np.frombuffer(data, np.uint8).reshape(shape)

    formats = {
        "raw": (np.ndarray.tobytes, lambda data: plain(data).copy()),
        "zlib, level 1": (lambda crop: zlib.compress(crop.tobytes(), 1), lambda data: plain(zlib.decompress(data))),
        "PNG, level 1": pillow("PNG", compress_level=1),
        "PNG, level 6": pillow("PNG", compress_level=6),
        "WebP, method 0": pillow("WEBP", lossless=True, exact=True, method=0),
        "WebP, method 4": pillow("WEBP", lossless=True, exact=True, method=4),
    }
    for name, (encode, decode) in formats.items():
        encoded, seconds = [encode(crop) for crop in crops], []
        for crop, data in zip(crops, encoded, strict=True):
            started = time.perf_counter()
            decoded = decode(data)
            seconds.append(time.perf_counter() - started)
            if not np.array_equal(decoded, crop):
                raise SystemExit(f"{name}: must return the crop's bytes")
        size, each = statistics.mean(map(len, encoded)) / 1000, 1000 * statistics.median(seconds)
        print(f"{name:15} {size:6.1f} kB  {each:6.2f} ms  {BATCH * each / arguments.step_ms:5.0%} of a step")


if __name__ == "__main__":
    main()
