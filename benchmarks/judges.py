"""Measures with third-party networks how close the faces of --mode test are to their photos.

python -m benchmarks.judges --input DIR --output FILE.json [--results DIR] [section.key=value ...]

Runs test mode on a folder of photos, then measures with networks that are in no training loss of this program:
MediaPipe's 468 points (which the fit uses, so compare with dlib's 68 as well), dlib's 68 landmarks and dlib's face
recogniser. Needs the packages dlib-bin and face-recognition-models of requirements-dev.txt. Pixels are those of a 224
crop. The file holds the mean of every measure, and each photo's numbers under "photos", by its folder of results:

* landmarks.{all, lips, eyes, jaw}_px: distance between the 468 points in the photo and those of the fitted mesh;
* lip_gap, lid_gap: correlation over the photos, and mean error, of the openings of mouth and eyes;
* dlib.{photo_view, turned_35, turned_55}: distance between the recogniser's embeddings of the photo and of the fine
  rendering, or of the exported lit mesh turned to both sides (same person: below 0.6); other_people: the distance
  between different photos. Turned faces are aligned by the mesh's own landmarks: dlib's landmarks are off by a seventh
  of the picture there, because they start from a frontal face in the middle of the box, and the recogniser would get
  a cheek instead of a face;
* dlib.{front, front_to_35, front_to_55}: distance between the photo and the lit mesh seen from the front, and between
  the mesh from the front and the same mesh turned: how much of the above is due to the turn alone;
* dlib.{relit_front, relit_35}: distance between the photo and the mesh with its albedo texture under a light from the
  left above, seen from the front and turned to both sides;
* dlib.landmarks_inner: distance between dlib's 51 inner landmarks in the photo and the model's, relative to the
  outer-eye distance;
* dlib.shape_auc: how often the untextured shape is closer to its photo than to another one;
* psnr_fine [dB] and seconds_per_photo: as in test mode.
"""

import argparse
import json
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import dlib
import numpy as np
import tensorflow as tf
from PIL import Image
from sklearn.metrics import roc_auc_score

import main as program
from benchmarks.judged_result import BACKGROUND, Result
from benchmarks.provenance import test_mode_origin
from configs import schema
from lib.errors import UserError
from lib.face_mesh.groups import EYES, JAW, LID_PAIRS, LIP_PAIRS, LIPS, POINTS
from lib.face_mesh.network import find_mesh_points
from lib.face_mesh.surface_points import SurfacePoints
from lib.face_model.face_model import FaceModel
from lib.files.atomic import atomic_path
from lib.files.json_files import write_json
from lib.geometry.camera import Camera
from lib.geometry.rotation import rotation_matrix
from model.dense_landmarks.source import surface_points
from model.face_model_source import load_face_model

GROUPS = {"all": tuple(range(POINTS)), "lips": LIPS, "eyes": EYES, "jaw": JAW}
# Pairs in the middle of the mouth, because its corners do not open.
GAPS = {"lip_gap": LIP_PAIRS[:3], "lid_gap": LID_PAIRS}
TURNS = (35, 55)
VIEWS = (
    "photo_view",
    "front",
    *(f"{name}_{degrees}" for name in ("turned", "front_to") for degrees in TURNS),
    "relit_front",
    "relit_35",
)
SIDE = 448  # of the pictures for dlib
INNER = slice(17, 68)
MADE_BY = "judges.json"  # beside the results: what they were made of
# dlib's landmarks expect the square of its detector: its size relative to the extent of the face, and upward shift.
DLIB_BOX, DLIB_RAISED = 1.1, 0.14


def parse_arguments(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input", type=Path, required=True, help="folder of photos")
    parser.add_argument("--output", type=Path, required=True, help="JSON file of the numbers")
    parser.add_argument(
        "--results",
        type=Path,
        help="folder for the output of test mode; results of the same photos, options, networks and code are used",
    )
    parser.add_argument("overrides", nargs="*", help="options of the configuration, section.key=value")
    return parser.parse_args(argv)


class Recogniser:
    """dlib's landmarks and face embeddings."""

    def __init__(self):
        package = find_spec("face_recognition_models")
        if package is None or package.origin is None:
            raise UserError("face-recognition-models must be installed (requirements-dev.txt), got no such package")
        folder = Path(package.origin).parent / "models"
        self._landmarks = dlib.shape_predictor(str(folder / "shape_predictor_68_face_landmarks.dat"))
        self._embed = dlib.face_recognition_model_v1(str(folder / "dlib_face_recognition_resnet_model_v1.dat"))

    def embedding(self, picture: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        """Embedding [128] of the face in a picture, uint8 [S, S, 3], aligned by known landmarks [68, 2]."""
        places = [dlib.point(*(round(v) for v in place)) for place in (landmarks - 0.5).tolist()]
        whole = dlib.rectangle(0, 0, picture.shape[1], picture.shape[0])
        return np.array(self._embed.compute_face_descriptor(picture, dlib.full_object_detection(whole, places)))

    def __call__(self, picture: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Landmarks [68, 2] and embedding [128] of the face in a picture, uint8 [S, S, 3].

        Args:
          picture: picture of any size; it is resized to `SIDE`.
          points: [468, 2] points of the face, pixels of the picture.
        """
        scale = SIDE / picture.shape[0]
        enlarged = np.asarray(Image.fromarray(picture).resize((SIDE, SIDE), Image.Resampling.BICUBIC))
        framing = points[list(EYES + LIPS + JAW)] * scale
        low, high = framing.min(0), framing.max(0)
        side = DLIB_BOX * float((high - low).mean())
        left, top = (low + high) / 2 - side / 2 - (0, DLIB_RAISED * side)
        shape = self._landmarks(enlarged, dlib.rectangle(*(round(v) for v in (left, top, left + side, top + side))))
        embedding = self._embed.compute_face_descriptor(enlarged, shape)
        # dlib's origin is the centre of the first pixel.
        return np.array([[p.x + 0.5, p.y + 0.5] for p in shape.parts()]) / scale, np.array(embedding)


def opening(points: np.ndarray, pairs) -> float:
    """Mean distance between upper and lower points."""
    return float(np.mean([np.linalg.norm(points[upper] - points[lower]) for upper, lower in pairs]))


def judge_photo(result: Result, recognise: Recogniser, model: FaceModel, points: SurfacePoints) -> dict:
    """Measures of one photo, and its `embeddings` for the measures over all photos."""
    size = result.crop.shape[0]
    camera, to_reference = Camera((size, size)), 224 / size
    posed = result.vertices @ result.rotation + result.translation

    def pixels(positions: np.ndarray) -> np.ndarray:
        return camera.project(tf.constant(positions[None], tf.float32))[0].numpy().astype(np.float64)

    fitted, landmarks = pixels(points.on(posed)), pixels(posed[model.landmarks])
    found = find_mesh_points(result.crop, result.five_points).points
    distance = np.linalg.norm(fitted - found, axis=1) * to_reference
    seen, own = recognise(result.crop, found)
    outer_eyes = np.linalg.norm(seen[45] - seen[36])
    numbers = {f"{name}_px": float(distance[list(group)].mean()) for name, group in GROUPS.items()}
    for name, pairs in GAPS.items():
        numbers[name] = [opening(found, pairs) * to_reference, opening(fitted, pairs) * to_reference]
    numbers["landmarks_inner"] = float(np.linalg.norm(landmarks - seen, axis=1)[INNER].mean() / outer_eyes)
    alpha = result.fine[..., 3:] / 255
    fine = (alpha * result.fine[..., :3] + (1 - alpha) * BACKGROUND).astype(np.uint8)
    numbers["photo_view"] = float(np.linalg.norm(recognise(fine, fitted)[1] - own))
    drawn = Camera((SIDE, SIDE))

    def turned(yaw: float, surface: str = "lit") -> np.ndarray:
        """Embedding of the mesh turned by degrees about its vertical axis."""
        turn = rotation_matrix(tf.constant([[0.0, np.radians(yaw), 0.0]], tf.float32))[0].numpy()
        picture = result.draw(turn, np.zeros(3, np.float32), drawn, surface)
        place = drawn.project(tf.constant((result.vertices[model.landmarks] @ turn)[None], tf.float32))[0].numpy()
        return recognise.embedding(picture, place)

    front = turned(0)
    numbers["front"] = float(np.linalg.norm(front - own))
    for degrees in TURNS:
        sides = np.stack([turned(-degrees), turned(degrees)])
        for name, other in (("turned", own), ("front_to", front)):
            numbers[f"{name}_{degrees}"] = float(np.linalg.norm(sides - other, axis=1).mean())
    relit = np.stack([turned(yaw, "albedo") for yaw in (0, -35, 35)]) - own
    numbers["relit_front"], *sides = np.linalg.norm(relit, axis=1).tolist()
    numbers["relit_35"] = float(np.mean(sides))
    bare = result.draw(result.rotation, result.translation, drawn, "bare")
    shape = recognise(bare, fitted * (SIDE / size))[1]
    return {**numbers, "psnr_fine": result.metrics["psnr_fine"], "embeddings": (own, shape)}


def summarise(photos: dict[str, dict]) -> dict:
    """Measures over all photos; removes the embeddings from `photos`."""
    photo, shape = (np.stack(part) for part in zip(*(p.pop("embeddings") for p in photos.values()), strict=True))
    rows = list(photos.values())
    own = np.eye(len(rows), dtype=bool)

    def mean(name: str) -> float:
        return float(np.mean([row[name] for row in rows]))

    summary: dict = {"landmarks": {f"{name}_px": mean(f"{name}_px") for name in GROUPS}}
    for name in GAPS:
        seen, fitted = np.array([row[name] for row in rows]).T
        several = len(rows) > 1
        summary[name] = {
            "correlation": float(np.corrcoef(seen, fitted)[0, 1]) if several else None,
            "error_px": float(np.abs(seen - fitted).mean()),
        }
    to_others = np.linalg.norm(photo[:, None] - photo[None], axis=-1)[~own]
    shapes = np.linalg.norm(shape[:, None] - photo[None], axis=-1)
    summary["dlib"] = {
        **{name: mean(name) for name in VIEWS},
        "other_people": float(to_others.mean()) if len(to_others) else None,
        "landmarks_inner": mean("landmarks_inner"),
        "shape_auc": float(roc_auc_score(own.ravel(), -shapes.ravel())) if len(rows) > 1 else None,
    }
    summary["psnr_fine"] = mean("psnr_fine")
    return summary


def judge(source: Path, results: Path, overrides: list[str]) -> dict:
    """Runs test mode if there are no results yet, and measures them.

    Raises:
      UserError: test mode failed, or the results are those of other photos or options.
    """
    run_test_mode(source, results, overrides)
    config = schema.load(None, overrides)
    model = load_face_model(config)
    points, recognise = surface_points(config, model), Recogniser()
    photos = {}
    for folder in sorted(path.parent for path in results.rglob("coefficients.json")):
        name = folder.relative_to(results).as_posix()  # photos in different folders may share theirs
        photos[name] = judge_photo(Result.read(folder), recognise, model, points)
    summary = json.loads((results / "summary.json").read_text(encoding="utf-8"))
    return {**summarise(photos), "seconds_per_photo": summary["seconds_per_photo"], "photos": photos}


def run_test_mode(source: Path, results: Path, overrides: list[str]) -> None:
    """Runs test mode, unless the folder holds its results for the same photos, options, networks and code.

    Raises:
      UserError: test mode failed, or the results are of something else, or of unknown origin.
    """
    wanted, note = test_mode_origin(source, overrides), results / MADE_BY
    if (results / "summary.json").is_file():
        made = json.loads(note.read_text(encoding="utf-8")) if note.is_file() else {}
        other = [f"{name} {value}, got {made.get(name)}" for name, value in wanted.items() if made.get(name) != value]
        if other:
            raise UserError(f"{results}: must hold the results of {'; '.join(other)} (choose another --results)")
        return
    code = program.main(["--mode", "test", "--input", str(source), "--output", str(results), *overrides])
    if code not in (0, program.PARTIAL_SUCCESS):
        raise UserError(f"{source}: test mode must succeed, got exit code {code}")
    write_json(note, wanted)


def main(argv=None) -> int:
    arguments = parse_arguments(argv)
    try:
        with tempfile.TemporaryDirectory() as temporary:
            numbers = judge(arguments.input, arguments.results or Path(temporary), arguments.overrides)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    with atomic_path(arguments.output) as path:
        path.write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({name: value for name, value in numbers.items() if name != "photos"}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
