"""Reconstructs the face of one photo and writes its meshes: python examples/one_photo.py photo.jpg out/

Uses the texture network in checkpoints/ (`make demo` trains one), or the shipped one while there is none.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for a checkout that is not installed

from model import FaceReconstructor


def main(photo: str, output: str) -> None:
    reconstructor = FaceReconstructor.load()
    face = reconstructor(photo)
    face.save(output, formats=("glb", "obj"))

    pitch, yaw, roll = np.degrees(face.pose.angles)
    print(f"{len(face.vertices)} vertices, {len(face.triangles)} triangles, colours {face.albedo.shape}")
    print(f"pitch {pitch:.1f}, yaw {yaw:.1f}, roll {roll:.1f} degrees; tip of the nose at pixel {face.landmarks[30]}")
    print(f"PSNR {face.metrics['psnr_fine']:.1f} dB; meshes and pictures are in {output}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python examples/one_photo.py photo.jpg out/")
    main(*sys.argv[1:])
