"""The commit that a benchmark's results name."""

import subprocess

from benchmarks import provenance


def test_changed_code_is_marked_and_the_pages_that_a_benchmark_writes_are_not(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance.schema, "REPOSITORY", tmp_path)

    def git(*arguments):
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments], cwd=tmp_path, check=True)

    (tmp_path / "docs").mkdir()
    code, page = tmp_path / "code.py", tmp_path / "docs" / "PAGE.md"
    for path in (code, page):
        path.write_text("as committed")
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "first")
    clean = provenance.commit()
    assert not clean.endswith("+")
    page.write_text("of the next run")
    assert provenance.commit() == clean
    code.write_text("changed")
    assert provenance.commit() == f"{clean}+"
