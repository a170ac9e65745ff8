"""Trains a texture network on exact coefficients: python -m benchmarks.true_coefficients [--variant normal].

Needs the synthetic crops of `python create_bin.py`. Trains the variant with this program's training settings on the
crops' true coefficients, and prints the validation PSNR over the pixels inside both alpha and face.
"""

import argparse
import dataclasses
import tempfile
import time
from pathlib import Path

from configs import schema
from lib.records.record_file import RecordReader
from model.input_pipeline.frozen_outputs import encode_records
from model.input_pipeline.ground_truth import record_truth
from model.pipeline import load_pipeline
from model.training.loop import train


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--variant", default="default", choices=("default", "normal", "resnet"))
    parser.add_argument("overrides", nargs="*", help="section.key=value")
    args = parser.parse_args()
    config = schema.load(overrides=[f"texture.variant={args.variant}", *args.overrides])
    records = RecordReader(config.records_path, config.data.image_size)
    pipeline = load_pipeline(config)
    truth = record_truth(config, records, pipeline.face_model.fingerprint)
    if truth is None:
        raise SystemExit(f"{records.path}: must hold the synthetic crops of python create_bin.py, got others")
    encoded = encode_records(records, pipeline.encode, config.generated_dir, pipeline.cache_key)
    exact = dataclasses.replace(encoded, coefficients=truth["coefficients"])
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        result = train(config, Path(folder), exact)
    print(
        f"{args.variant}: coarse {result['psnr_coarse']:.2f} dB, fine {result['psnr_fine']:.2f} dB, "
        f"gain {result['psnr_fine'] - result['psnr_coarse']:.2f} dB, {time.monotonic() - started:.0f} s"
    )


if __name__ == "__main__":
    main()
