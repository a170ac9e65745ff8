"""Trains on a folder of RGBA crops, then reconstructs a photo: python examples/train_on_crops.py crops/ photo.jpg run/

The crops are PNGs of 224 x 224 pixels with alpha 255 on skin and 0 elsewhere, as written by main.py --mode prepare.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for a checkout that is not installed

from configs import schema
from lib.records import crop_files, packing
from lib.records.splits import save_split, split
from model import FaceReconstructor


def main(crops: str, photo: str, run: str, updates: int = 1000) -> None:
    config = schema.load(overrides={"data.root_dir": run, "train.epochs": 1, "train.updates_per_epoch": int(updates)})

    source = packing.PngFolder(Path(crops), crop_files.file_names(Path(crops)), config.data.image_size)
    packed = packing.pack(source, config.records_path, config.workers)
    parts = split(packed.names, {"val": config.data.validation, "test": config.data.test}, config.data.split_seed)
    save_split(config.params_dir, parts)

    from model.training.loop import train

    measured = train(config, config.run_dir)
    print(f"validation: coarse {measured['psnr_coarse']:.1f} dB, fine {measured['psnr_fine']:.1f} dB")

    face = FaceReconstructor.load(config)(photo)
    face.save(Path(run) / "face")
    print(f"{photo}: fine {face.metrics['psnr_fine']:.1f} dB; meshes and pictures are in {Path(run) / 'face'}")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("usage: python examples/train_on_crops.py crops/ photo.jpg run/")
    main(*sys.argv[1:])
