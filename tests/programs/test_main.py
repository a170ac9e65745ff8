"""main.py: the original's flags, what they set, errors in one line before TensorFlow is imported, exit codes."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest
from tqdm import tqdm

import main
from configs import flags, schema
from lib.errors import DiskFull, UserError
from lib.records.record_writer import RecordWriter
from lib.records.splits import save_split
from lib.runtime.interruption import Interrupted
from lib.runtime.resources import processors
from tests.support.helpers import ROOT
from tests.support.programs.main_program import ORIGINAL_FLAGS, called_instead, config_of


def test_without_arguments_it_is_the_embedded_default():
    assert main.parse([]).mode == "train"
    assert config_of() == schema.load()


def test_training_leaves_processors_for_the_next_batch(monkeypatch):
    called_instead(monkeypatch, "model.training.loop", "train")
    monkeypatch.setattr(main, "check_records", lambda config: None)
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "")  # so that it is as before after the test
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS")
    assert main.main(["--mode", "train"]) == 0
    assert int(os.environ["TF_NUM_INTRAOP_THREADS"]) <= max(processors() // 2, 1)


def test_every_original_flag_is_there_with_its_real_default(capsys):
    with pytest.raises(SystemExit) as caught:
        main.main(["--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    for flag in ORIGINAL_FLAGS:
        assert re.search(rf"^  --{flag}\b", text, re.MULTILINE), flag
    words = " ".join(text.split())
    defaults = schema.load()
    assert f"(default: {defaults.train.epochs})" in words
    assert f"(default: {defaults.train.learning_rate})" in words
    assert f"(default: {defaults.test.input})" in words


def test_every_flag_changes_its_option():
    given = {
        "name": "2024", "suffix": "x", "stage": "rec", "model": "normal", "root_dir": "/r", "batch_size": "7",
        "epoch": "9", "eval": "0.5", "img_size": "64", "nz": "33", "lr": "1e-4", "buffer_size": "2", "workers": "3",
        "drop_rate": "0.25", "adv_lambda": "0.5", "seed": "11", "fit": "5", "export": "glb,ply",
        "faces": "all",
    }  # fmt: skip
    switches = {"restore", "gan", "wide", "same-person", "deterministic"}
    assert given.keys() | switches == flags.OPTIONS.keys()
    argv = [part for name, value in given.items() for part in (f"--{name}", value)] + [f"--{s}" for s in switches]
    config = config_of(*argv)
    for name, key in flags.OPTIONS.items():
        section, field = key.split(".")
        value = getattr(getattr(config, section), field)
        if name in switches:
            assert value is True
        elif isinstance(value, tuple):
            assert value == tuple(given[name].split(",")), name
        else:
            assert value == type(value)(given[name]), name
            assert value != getattr(getattr(schema.load(), section), field), f"{name} must differ from its default here"


def test_exports_are_a_list_or_none():
    assert config_of().export.formats == ("obj", "glb", "ply", "neutral")
    assert config_of("--export", "glb").export.formats == ("glb",)
    assert config_of("--export", "none").export.formats == ()
    assert config_of("export.formats=[obj, ply]").export.formats == ("obj", "ply")


def test_options_follow_as_assignments_anywhere():
    config = config_of("loss.symmetry=0.5", "--gan", "train.epochs=7", "--lr", "1e-4", "data.name=007")
    assert (config.loss.symmetry, config.gan.enabled, config.train.epochs) == (0.5, True, 7)
    assert (config.train.learning_rate, config.data.name) == (1e-4, "007")


def test_a_flag_beats_the_file():
    assert config_of("--config", "configs/paper.yaml").train.epochs == 50
    assert config_of("--config", "configs/paper.yaml", "--epoch", "2").train.epochs == 2


def test_input_and_output_belong_to_a_mode():
    config = config_of("--mode", "test", "--input", "a b", "--output", "c")
    assert (config.test.input, config.test.output) == ("a b", "c")
    config = config_of("--mode", "evaluate", "--input", "a", "--output", "c")
    assert (config.evaluate.input, config.evaluate.output) == ("a", "c")
    with pytest.raises(UserError, match="--input must come with --mode test, track, prepare or evaluate, got"):
        main.parse(["--input", "a"])


def test_the_runs_folder():
    assert config_of().run_dir.as_posix() == "checkpoints/face_default"
    assert config_of("--model", "normal", "--gan").run_dir.as_posix() == "checkpoints/face_normal_gan"
    assert config_of("--root_dir", "/r", "--suffix", "s", "--name", "n").run_dir.as_posix() == "/r/checkpoints/n_s"


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ("--epochs 3", "unknown flag '--epochs'; did you mean '--epoch'?"),
        ("--mode trian", "argument --mode: invalid choice: 'trian'"),
        ("--epoch x", "train.epochs: must be a whole number, got 'x'"),
        ("--batch_size 0", "train.batch_size: must be at least 1, got 0"),
        ("--batch_size", "argument --batch_size: expected one argument"),
        ("--model unet", "texture.variant: must be one of default, normal, resnet, got unet"),
        ("--stage both", "train.stage: must be one of all, rec, render, got both"),
        ("--mode test --export fbx", "export.formats: must be one of obj, glb, ply, neutral, rig, usdz, got fbx"),
        ("export.texture_size=128", "export.texture_size: must be at least 256, got 128"),
        ("--lr nan", "train.learning_rate: must be finite, got nan"),
        ("loss.idenity=1", "unknown key 'loss.idenity'; did you mean 'loss.identity'?"),
        ("train", "an override must be section.key=value, got 'train'"),
        ("--config missing.yaml", "missing.yaml: must be a configuration file, got none"),
        ("--mode test --input missing", "missing: must be a folder of photos, got no such folder"),
        ("--mode test --input README.md", "README.md: must be an image, got a file in an unknown format"),
        ("--mode test --input lib", "lib: must hold photos (JPEG, PNG"),
        ("--mode track", "--input must be a video or a folder of frames, got none"),
        ("--mode track --input missing", "--input must be a video or a folder of frames, got missing, no such file"),
        ("--mode track --input docs fit.landmarks=false", "fit.landmarks must be true for --mode track, got false"),
        ("--mode track --input docs track.cutoff=0", "track.cutoff: must be more than 0, got 0"),
        ("--mode prepare --input missing", "missing: must be a folder of photos, got no such folder"),
        ("--mode prepare --input docs --faces some", "prepare.faces: must be one of largest, all, got some"),
        ("--mode prepare --input docs --shard 2/2", "--shard must be I/N with 0 <= I < N"),
        ("--mode test --input docs --shard 5/4", "--shard must be I/N with 0 <= I < N <= 100,000, e.g. 0/4, got '5/4'"),
        ("--mode test --input docs --shard a/b", "--shard must be I/N with 0 <= I < N <= 100,000, e.g. 0/4, got 'a/b'"),
        ("--mode test --input docs --shard=", "--shard must be I/N with 0 <= I < N <= 100,000, e.g. 0/4, got ''"),
        ("--mode test --video docs --shard 0/4", "must come with photos one by one, got --video (run it as a whole"),
        ("--mode test --input docs --same-person --merge", "one by one, got --same-person (run it as a whole"),
        ("--mode test --same-person --faces all --input docs", "prepare.faces must be largest for a video or"),
        ("--mode test --same-person --input README.md", "README.md: must be a folder of photos, got a file"),
        ("--mode test --same-person --workers 1 --input README.md", "README.md: must be a folder of photos"),
        ("--mode evaluate --input missing", "missing: must be a folder of photos, got no such folder"),
        ("--mode evaluate --root_dir missing", "missing/data/face.bin: must be a record file, got none"),
        (
            "--root_dir missing",
            "missing/data/face.bin: must be a record file, got none (python create_bin.py makes it)",
        ),
    ],
)
def test_a_wrong_command_is_one_line_and_exit_code_2(argv, message, capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    forbid_tensorflow(monkeypatch)
    assert flags.run(lambda: main.main(argv.split()), "") == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert message in captured.err
    assert captured.err.count("\n") == 1


def forbid_tensorflow(monkeypatch) -> None:
    """Makes every import of TensorFlow, and of what imports it, fail from here on."""
    for name in [n for n in sys.modules if n.split(".")[0] in ("tensorflow", "keras", "model")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    monkeypatch.setitem(sys.modules, "model", None)


def test_a_truncated_file_and_a_missing_split_stop_the_training(tmp_path, capsys, monkeypatch):
    forbid_tensorflow(monkeypatch)
    path = tmp_path / "data" / "face.bin"
    with RecordWriter(path, (64, 64, 4)) as writer:
        writer.append(np.zeros((64, 64, 4), np.uint8), "a")
    command = ["--root_dir", str(tmp_path), "--img_size", "64"]
    assert flags.run(lambda: main.main(command), "") == 2
    assert "image_train.txt: must list the train images, got no file" in capsys.readouterr().err
    assert flags.run(lambda: main.main(command[:2]), "") == 2
    assert "images must be 224 px, got 64 x 64" in capsys.readouterr().err
    path.write_bytes(path.read_bytes()[:-100])
    assert flags.run(lambda: main.main(command), "") == 2
    assert "truncated" in capsys.readouterr().err


def test_training_gets_seed_configuration_and_folder(tmp_path, monkeypatch):
    with RecordWriter(tmp_path / "data" / "face.bin", (64, 64, 4)) as writer:
        writer.append(np.zeros((64, 64, 4), np.uint8), "a")
    save_split(tmp_path / "data" / "params" / "face", {"train": ["a"], "val": [], "test": []})
    calls = called_instead(monkeypatch, "model.training.loop", "train")
    assert main.main(["--root_dir", str(tmp_path), "--img_size", "64", "--seed", "5"]) == 0
    (seed,), (config, run_dir) = calls
    assert seed == 5
    assert config.data.image_size == 64
    assert run_dir == tmp_path / "checkpoints" / "face_default"


@pytest.mark.parametrize(("failed", "code"), [({}, 0), ({"b.png": "no face"}, 3)])
def test_a_partly_failing_folder_has_its_own_exit_code(tmp_path, monkeypatch, failed, code):
    (tmp_path / "b.png").write_bytes(b"")
    calls = called_instead(monkeypatch, "model.reconstruction.folder", "reconstruct_folder", failed)
    assert main.main(["--mode", "test", "--input", str(tmp_path), "--output", str(tmp_path / "out")]) == code
    assert calls[0][1:] == (tmp_path, tmp_path / "out")


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (UserError("a.npz: must be b,\n got c"), 2, "error: a.npz: must be b, got c\n"),
        (OSError(28, "No space left on device"), 2, "error: [Errno 28] No space left on device\n"),
        (KeyboardInterrupt(), 130, "\ninterrupted; go on like this\n"),
    ],
)
def test_faults_and_interruptions_are_one_line(monkeypatch, capsys, error, code, line):
    called_instead(monkeypatch, "model.pretraining.loop", "pretrain", error)
    assert flags.run(lambda: main.main(["--mode", "pretrain"]), "go on like this") == code
    assert capsys.readouterr().err == line


@pytest.mark.parametrize(
    ("kind", "line"),
    [(UserError, "error: a"), (DiskFull, f"error: {DiskFull('a')}"), (Interrupted, "\ninterrupted; a")],
)
def test_the_message_comes_after_the_progress_bar(capsys, kind, line):
    def work(numbers):
        for _ in numbers:
            raise kind("a")

    assert flags.run(lambda: work(number for number in tqdm(range(5), "detect")), "") in (2, 130)
    assert capsys.readouterr().err.endswith(f"/s]\n{line}\n")


def test_a_programming_error_is_not_hidden(monkeypatch):
    called_instead(monkeypatch, "model.pretraining.loop", "pretrain", ValueError("shape"))
    with pytest.raises(ValueError, match="shape"):
        flags.run(lambda: main.main(["--mode", "pretrain"]), "")


def test_the_program_itself():
    done = subprocess.run(
        [sys.executable, "main.py", "--epochs", "3"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == "error: unknown flag '--epochs'; did you mean '--epoch'?\n"


@pytest.mark.parametrize("flag", ["--merge", "--shard=0/2"])
def test_shards_belong_to_a_mode(flag):
    with pytest.raises(UserError, match="--shard and --merge must come with --mode prepare or test, got --mode train"):
        main.parse([flag])
