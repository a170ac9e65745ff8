"""The commit that a benchmark's results name, and what results of test mode are made of."""

import subprocess

import pytest

from benchmarks import provenance


def test_changed_code_is_marked_and_the_pages_that_a_benchmark_writes_are_not(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance.schema, "REPOSITORY", tmp_path)

    def git(*arguments):
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments], cwd=tmp_path, check=True)

    code, page, figures = (tmp_path / name for name in ("code.py", "docs/PAGE.md", "results/bench.json"))
    for path in (code, page, figures):
        path.parent.mkdir(exist_ok=True)
        path.write_text("as committed")
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "first")
    clean = provenance.commit()
    assert not clean.endswith("+")
    page.write_text("of the next run")
    figures.write_text("of the first rows of this run")
    assert provenance.commit() == clean
    code.write_text("changed")
    assert provenance.commit() == f"{clean}+"


def test_without_a_history_the_commit_is_unknown(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance.schema, "REPOSITORY", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert provenance.commit() == "unknown"
    monkeypatch.setenv("PATH", "")
    assert provenance.commit() == "unknown"


@pytest.mark.parametrize("option", ["regressor.weights", "mask.weights", "prepare.parser", "face_model.source"])
def test_results_are_of_every_network_and_of_the_face_model(tmp_path, option):
    """Also one that is replaced in its place, as by `--mode masks`."""
    path = tmp_path / "own.npz"
    path.write_bytes(b"one")
    options = [f"{option}={path}"]
    before = provenance.test_mode_origin(tmp_path / "photos", options)
    assert provenance.test_mode_origin(tmp_path / "photos", options) == before
    path.write_bytes(b"another")
    assert provenance.test_mode_origin(tmp_path / "photos", options) != before
