"""Whole programs: test mode, one photo from a cold start, default training."""

import importlib.util
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.bench.comparison import Benchmark, Row, Samples, Settings
from benchmarks.test_mode import Run, check_equal, left_out, run, watch, write_photos
from benchmarks.turns import rounds
from configs import schema
from lib.face_image.photo_io import photo_paths

GIB = 2**30
FACES = Path("data", "sfm", "share")  # eos's folder with the Surrey model, under the root
EOS_FILES = (
    "sfm_shape_3448.bin",
    "expression_blendshapes_3448.bin",
    "ibug_to_sfm.txt",
    "sfm_3448_edge_topology.json",
    "sfm_model_contours.json",
)
PACKAGES = ("tensorflow", "numpy", "numba", "opencv-python-headless", "pillow")


def test_mode(settings: Settings) -> dict[str, Samples]:
    """Test mode on a folder of photos: one process and all cores in turns, with and without the fit."""
    samples = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_photos(folder / "photos", settings.photos, settings.count)
        for name, options in (("with fit", ()), ("--fit 0", ("--fit", "0"))):
            runs: dict[str, list[Run]] = {"1": [], "0": []}
            for turn, order in rounds(list(runs), settings.turns):
                for workers in order:
                    shutil.rmtree(folder / workers, ignore_errors=True)
                    done = run(folder / "photos", folder / workers, settings.root_dir, "--workers", workers, *options)
                    if turn:
                        runs[workers].append(done)
                check_equal(folder / "1", folder / "0")
            inputs = f"{_photos(settings, settings.count)}, {left_out(folder / '1') or 'none'} left out"
            one, all_cores = runs.values()
            for row, figure in ((f"test mode: {name}", "seconds"), (f"test mode: {name}, first result", "first")):
                ours, peer = ([getattr(done, figure) for done in side] for side in (all_cores, one))
                samples[row] = Samples(ours, peer, inputs=f"{inputs}, {_network(settings.root_dir)}")
    return samples


def _photos(settings: Settings, count: int) -> str:
    """Number and source of the photos that are measured."""
    if settings.photos is None:
        return f"{count} times scikit-image's portrait" if count > 1 else "scikit-image's portrait"
    return f"{count} photo{'s' if count > 1 else ''} from the folder '{settings.photos.resolve().name}'"


def cold_start(settings: Settings) -> dict[str, Samples]:
    """One photo from a cold start with test mode and with the Python API, beside eos-py."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_photos(folder / "photos", settings.photos, 1)
        photo = photo_paths(folder / "photos")[0]
        api = "import sys; from model import FaceReconstructor; " + (
            "FaceReconstructor.load(overrides={'data.root_dir': sys.argv[1]})(sys.argv[2]).save(sys.argv[3])"
        )
        root, missing = settings.root_dir.resolve(), _eos_missing(settings.root_dir)

        def with_api(output: Path) -> Run:
            command = [sys.executable, "-c", api, str(root), str(photo), str(output)]
            return watch(command, lambda: (output / "metrics.json").is_file())

        sides: dict[str, Callable[[Path], Run]] = {
            "test mode": lambda output: run(folder / "photos", output, root),
            "Python API": with_api,
        }
        if not missing:
            eos = [sys.executable, "-m", "benchmarks.bench.eos_fit", str(root / FACES)]
            sides["eos"] = lambda _: watch(eos, lambda: True)
        runs: dict[str, list[Run]] = {name: [] for name in (*sides, "eos")}
        for turn, order in rounds(list(sides), settings.turns):
            for name in order:
                done = sides[name](folder / f"{name} {turn}")
                if turn:
                    runs[name].append(done)
    samples, inputs = {}, f"{_photos(settings, 1)}, {_network(settings.root_dir)}"
    for name in ("test mode", "Python API"):
        ours, eos = runs[name], runs["eos"]
        samples[f"one photo: {name}"] = Samples([r.seconds for r in ours], [r.seconds for r in eos], missing, inputs)
        memory = [[r.memory / GIB for r in side] for side in (ours, eos)]
        samples[f"one photo: {name}, memory"] = Samples(memory[0], memory[1], missing, inputs)
    return samples


def default_training(settings: Settings) -> dict[str, Samples]:
    """Seconds from the command to the first update, and updates per second after it."""
    data = settings.root_dir.resolve() / "data"
    if not (data / "face.bin").is_file():
        return {row.name: Samples(missing="needs packed crops (make demo)") for row in TRAINING.rows}
    first, rate = [], []
    for turn in range(settings.turns + 1):
        with tempfile.TemporaryDirectory() as temporary:  # where the run's checkpoints go
            (Path(temporary) / "data").symlink_to(data)
            command = [sys.executable, "-m", "benchmarks.bench.first_updates", temporary, str(time.monotonic())]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        seconds, updates = map(float, done.stdout.split()[-2:])
        if turn:  # the first one fills the caches
            first.append(seconds)
            rate.append(updates)
    return {"training: updates": Samples(rate), "training: first update": Samples(first)}


def _network(root_dir: Path) -> str:
    """The texture network that test mode uses."""
    config = schema.load(overrides={"data.root_dir": str(root_dir.resolve())})
    own = config.texture_path == config.run_dir / "best.npz"
    return f"the network of {config.run_dir.name}" if own else "the shipped network"


def _eos_missing(root_dir: Path) -> str:
    """Why eos-py cannot be measured; empty if it can."""
    if importlib.util.find_spec("eos") is None:
        return "eos-py is not installed"
    absent = [name for name in EOS_FILES if not (root_dir / FACES / name).is_file()]
    return f"{FACES / absent[0]} is not there" if absent else ""


ONE = "one process"
TEST_MODE = Benchmark(
    "test mode",
    "Test mode",
    "folders of photos (make bench BENCH_PHOTOS=FOLDER BENCH_COUNT=100; by default 8 times scikit-image's portrait), "
    "every run from its start; both sides' coefficients are equal byte for byte",
    (
        Row("test mode: with fit", "s", ONE, ratio=1.9),
        Row("test mode: with fit, first result", "s", ONE, limit=6.0),
        Row("test mode: --fit 0", "s", ONE, ratio=3.0),
        Row("test mode: --fit 0, first result", "s", ONE, limit=6.0),
    ),
    PACKAGES,
    test_mode,
)
EOS = "eos-py 1.5, Surrey model"
COLD_START = Benchmark(
    "one photo",
    "One photo from a cold start",
    "from the command to its end, files included. eos-py loads its model and fits shape, expression and pose to given "
    "landmarks: it neither finds a face nor makes a texture.",
    tuple(
        row
        for name in ("test mode", "Python API")
        for row in (
            Row(f"one photo: {name}", "s", EOS, limit=6.0),
            Row(f"one photo: {name}, memory", "GiB", EOS, limit=0.8),
        )
    ),
    PACKAGES,
    cold_start,
)
TRAINING = Benchmark(
    "training",
    "Default training",
    "the demo's crops, with cached outputs of the frozen networks; from the command to the first update, and the "
    "updates 40 to 240",
    (
        Row("training: updates", "updates/s", limit=30.0, more_is_better=True),
        Row("training: first update", "s", limit=8.0),
    ),
    PACKAGES,
    default_training,
)
