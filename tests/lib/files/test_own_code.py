"""The version of the program's code follows its modules, and nothing else."""

from lib.files import own_code


def test_it_follows_the_modules_and_not_what_an_editor_leaves_beside_them(tmp_path, monkeypatch):
    monkeypatch.setattr(own_code, "_CODE", tmp_path)
    (tmp_path / "lib").mkdir()
    module = tmp_path / "lib" / "x.py"
    module.write_text("1")

    def version():
        return own_code.code_version.__wrapped__()

    first = version()
    (tmp_path / "lib" / ".#x.py").symlink_to("user@host.123")
    assert version() == first
    module.write_text("2")
    assert version() != first
