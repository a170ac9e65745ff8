"""The shape of the program: import contracts, sizes of packages, modules and functions."""

import ast
import subprocess
import sys
from collections import Counter

import pytest

from tests.support.helpers import ROOT

MODULES_PER_PACKAGE = 12
LINES_PER_MODULE = 300
LINES_PER_FUNCTION = 60
# Longer, with the reason.
LONG_FUNCTIONS: dict[str, str] = {
    "lib/mesh_renderer/mesh_renderer.py: mesh_renderer": "signature and docstring of the package's interface: 48 lines",
}
LONG_MODULES: dict[str, str] = {}

SOURCES = sorted(
    path for folder in ("lib", "model", "configs") for path in (ROOT / folder).rglob("*.py")
) + [ROOT / "main.py", ROOT / "create_bin.py", ROOT / "utils.py"]  # fmt: skip


def test_imports_keep_the_contracts():
    """In a process of its own: import-linter closes pytest's captured output once TensorFlow has been imported."""
    program = "import sys; from importlinter import cli; sys.exit(cli.lint_imports(cache_dir=None))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


@pytest.mark.parametrize("tree", ["lib", "model", "configs", "tests"])
def test_no_package_holds_too_many_modules(tree):
    modules = Counter(path.parent for path in (ROOT / tree).rglob("*.py") if path.name != "__init__.py")
    assert {str(folder.relative_to(ROOT)): n for folder, n in modules.items() if n > MODULES_PER_PACKAGE} == {}


def test_modules_are_short():
    lines = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES}
    assert {name for name, count in lines.items() if count > LINES_PER_MODULE} == set(LONG_MODULES)


def test_functions_are_short():
    long = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.end_lineno - node.lineno >= LINES_PER_FUNCTION:
                long.add(f"{path.relative_to(ROOT)}: {node.name}")
    assert long == set(LONG_FUNCTIONS)
