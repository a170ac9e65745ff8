"""Shows synthetic photos to a face detector trained on real ones: the share it finds, and how far its points are off.

python benchmarks/detector_check.py --count 500
"""

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib.coefficients import CoefficientLayout
from lib.face_image.detection import detect_faces
from lib.synthetic.face_generator import load_face_model
from lib.synthetic.photos import PhotoSettings, SyntheticFaces
from lib.synthetic.placement import five_points


def angles_of(layout: CoefficientLayout, coefficients: np.ndarray) -> np.ndarray:
    """[3] degrees."""
    return np.degrees(layout.split(coefficients).angles)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=500, help="photos within the limit of yaw")
    parser.add_argument("--yaw", type=float, default=30.0, help="largest yaw in degrees")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--refine", action="store_true", help="run the detector's second pass as for real photos")
    parser.add_argument("--show-missed", action="store_true", help="print the indices of faces not found")
    arguments = parser.parse_args()
    model = load_face_model()
    faces = SyntheticFaces(model, arguments.size, arguments.seed, PhotoSettings(photos_per_identity=1))
    errors, per_point, missed, index, shown = [], [], [], 0, 0
    while shown < arguments.count:
        face = faces.sample(index)
        index += 1
        if abs(angles_of(model.layout, face.coefficients)[1]) > arguments.yaw:
            continue
        shown += 1
        true = five_points(face.landmarks)
        found = detect_faces(face.image, refine=arguments.refine)
        distances = [np.linalg.norm(candidate.points - true, axis=1) for candidate in found]
        between_eyes = np.linalg.norm(true[1] - true[0])
        # A detection elsewhere in the picture is not this face.
        near = [d / between_eyes for d in distances if d.mean() < 0.5 * between_eyes]
        if not near:
            missed.append(index - 1)
            continue
        best = min(near, key=lambda d: d.mean())
        errors.append(100 * best.mean())
        per_point.append(100 * best)
    print(f"found {len(errors)} of {shown} ({100 * len(errors) / shown:.1f} %), yaw within {arguments.yaw:g} degrees")
    print(
        f"five points, % of the distance between the eyes: mean {np.mean(errors):.1f}, median {np.median(errors):.1f}, "
        f"90th percentile {np.percentile(errors, 90):.1f}"
    )
    names = ("eye left", "eye right", "nose", "mouth left", "mouth right")
    print(", ".join(f"{name} {value:.1f}" for name, value in zip(names, np.mean(per_point, axis=0), strict=True)))
    if arguments.show_missed:
        print("not found:", *missed)


if __name__ == "__main__":
    main()
