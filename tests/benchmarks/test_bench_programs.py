"""Whole programs that are timed: turns, inputs, and what becomes of a program that fails."""

import sys
from pathlib import Path

import pytest
from PIL import Image

import main
from benchmarks import test_mode
from benchmarks.bench import programs
from benchmarks.bench.comparison import Settings
from benchmarks.test_mode import Run, watch, write_photos
from benchmarks.turns import rounds


def test_another_side_begins_in_each_turn():
    assert list(rounds(["a", "b", "c"], 2)) == [(0, ["a", "b", "c"]), (1, ["b", "c", "a"]), (2, ["c", "a", "b"])]


@pytest.mark.parametrize(
    ("photos", "count", "inputs"),
    [
        (None, 1, "scikit-image's portrait, none left out, the network of face_default"),
        (None, 3, "3 times scikit-image's portrait, none left out, the network of face_default"),
        (Path("some", "faces"), 3, "3 photos from the folder 'faces', 2 left out, the network of face_default"),
    ],
)
def test_test_mode_takes_turns_and_its_first_turn_does_not_count(tmp_path, monkeypatch, photos, count, inputs):
    (tmp_path / "checkpoints" / "face_default").mkdir(parents=True)
    (tmp_path / "checkpoints" / "face_default" / "best.npz").touch()
    calls, equal = [], []

    def run(_, output, root, *options):
        output.mkdir()
        if photos is not None:
            (output / "failed.txt").write_text("a.jpg: no face\nb.jpg: no face\n")
        calls.append(options[1])
        return Run(float(len(calls)), 0.5, 0.0, 0)

    monkeypatch.setattr(programs, "run", run)
    monkeypatch.setattr(programs, "check_equal", lambda one, other: equal.append((one.name, other.name)))
    monkeypatch.setattr(programs, "write_photos", lambda *arguments: None)
    found = programs.test_mode(Settings(2, tmp_path, photos, count))
    assert calls[:6] == ["1", "0", "0", "1", "1", "0"]
    assert (found["test mode: with fit"].ours, found["test mode: with fit"].peer) == ([3.0, 6.0], [4.0, 5.0])
    assert equal == [("1", "0")] * 6
    assert found["test mode: --fit 0"].inputs == inputs


def test_other_runs_than_the_default_one_are_not_what_test_mode_uses(tmp_path):
    (tmp_path / "checkpoints" / "face_normal").mkdir(parents=True)
    (tmp_path / "checkpoints" / "face_normal" / "best.npz").touch()
    assert programs._network(tmp_path) == "the shipped network"


def test_a_photo_that_fails_does_not_end_a_benchmark(tmp_path, monkeypatch):
    """With the program replaced by one that ends as test mode does if some photos fail."""
    write = "import sys; from pathlib import Path; out = Path(sys.argv[sys.argv.index('--output') + 1]) / 'a'; "
    (tmp_path / "main.py").write_text(f"{write}out.mkdir(parents=True); (out / 'metrics.json').touch(); sys.exit(3)")
    monkeypatch.setattr(test_mode, "ROOT", tmp_path)
    assert test_mode.PARTIAL_SUCCESS == main.PARTIAL_SUCCESS
    assert test_mode.run(tmp_path, tmp_path / "out", tmp_path).seconds > 0


def test_both_sides_must_have_the_same_photos_and_coefficients(tmp_path):
    for side in ("one", "other"):
        for photo in ("a", "b"):
            (tmp_path / side / photo).mkdir(parents=True)
            (tmp_path / side / photo / "coefficients.json").write_text("{}")
    one, other = tmp_path / "one", tmp_path / "other"
    test_mode.check_equal(one, other)
    (other / "b" / "coefficients.json").write_text("[]")
    with pytest.raises(RuntimeError, match=r"differences in .*b/coefficients"):
        test_mode.check_equal(one, other)
    (other / "b" / "coefficients.json").unlink()
    for pair in ((one, other), (other, one)):
        with pytest.raises(RuntimeError, match=r"differences in .*b/coefficients"):
            test_mode.check_equal(*pair)
    with pytest.raises(RuntimeError, match="got none"):
        test_mode.check_equal(tmp_path, tmp_path)


def test_a_program_that_fails_is_an_error_of_its_measurement_and_may_say_much():
    assert watch([sys.executable, "-c", "import sys; sys.stderr.write('x' * 300_000)"], lambda: True).seconds > 0
    with pytest.raises(RuntimeError, match="exit code 3:\nno face"):
        watch([sys.executable, "-c", "import sys; sys.stderr.write('no face'); sys.exit(3)"], lambda: True)
    with pytest.raises(RuntimeError, match="must end with a result"):
        watch([sys.executable, "-c", ""], lambda: False)


def test_photos_are_copied_one_by_one_with_what_lies_beside_them(tmp_path: Path):
    source = tmp_path / "photos"
    source.mkdir()
    for name in ("a.jpg", "a.png", "b[1].png", "a_mask.png"):
        Image.new("RGB", (8, 8)).save(source / name)
    (source / "b[1].txt").write_text("landmarks")
    write_photos(tmp_path / "copies", source, 4)
    copies = {path.name for path in (tmp_path / "copies").iterdir()}
    assert {name for name in copies if "mask" not in name} == {
        "0000.jpg",
        "0001.png",
        "0002.png",
        "0002.txt",
        "0003.jpg",
    }
    assert "0000_mask.png" in copies
