"""A second run of any program on the same files is told who holds them, in one line, and changes nothing."""

import os
import sys
from pathlib import Path

import pytest
from PIL import Image

import create_bin
import main
from lib.errors import UserError
from lib.files.locks import LOCK_FILE, sole_user, sole_writer
from lib.files.shards import FOLDER
from lib.synthetic.face_set import recipe, set_folder
from model.pretraining import mask_training
from tests.support.programs.main_program import called_instead
from tests.support.programs.one_line import is_empty_but_for, one_line
from tests.support.toy_faces import save_toy_model, toy_configuration

FOLDER_MODES = {
    "test": ("model.reconstruction.folder", "reconstruct_folder"),
    "prepare": ("model.preparation.prepare", "prepare_folder"),
    "evaluate": ("model.evaluation.folder", "evaluate_folder"),
}
SHARDED = {
    "test": ("model.reconstruction.shards.run", "reconstruct_shard"),
    "prepare": ("model.preparation.shards", "prepare_shard"),
}


@pytest.mark.parametrize("mode", FOLDER_MODES)
def test_a_second_run_into_an_output_folder_is_refused(mode, tmp_path, monkeypatch, capsys):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    calls = called_instead(monkeypatch, *FOLDER_MODES[mode], {})
    command = ["--mode", mode, "--input", tmp_path, "--output", tmp_path / "out"]
    with sole_user(tmp_path / "out", "an earlier run"):
        line = one_line(main.main, command, capsys)
    assert f"{tmp_path / 'out'}: must be used by one run at a time, got an earlier run by process {os.getpid()}" in line
    assert not any(len(arguments) == 3 for arguments in calls), "the mode must not begin"
    assert main.main([str(argument) for argument in command]) == 0


@pytest.mark.parametrize("mode", ["track", "evaluate"])
def test_shards_keep_out_what_else_writes_to_their_folder(mode, tmp_path, monkeypatch, capsys):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    others = {"track": ("model.video.live", "track_video")}
    calls = called_instead(monkeypatch, *(FOLDER_MODES | others)[mode], {})
    output = tmp_path / "out"
    command = ["--mode", mode, "--input", tmp_path, "--output", output]
    with sole_writer(output / FOLDER / "00001-of-00003", "an earlier run"):
        line = one_line(main.main, command, capsys)
    assert f"{output}: must be used by one run at a time, got an earlier run by process {os.getpid()}" in line
    assert not any(len(arguments) == 3 for arguments in calls), "the mode must not begin"
    assert main.main([str(argument) for argument in command]) == 0


@pytest.mark.parametrize("mode", SHARDED)
@pytest.mark.parametrize("all_photos", [[], ["--merge"]])
def test_shards_and_a_run_of_all_photos_keep_each_other_out(mode, all_photos, tmp_path, monkeypatch, capsys):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    calls = called_instead(monkeypatch, *FOLDER_MODES[mode], {})
    module, function = SHARDED[mode]
    merged = called_instead(monkeypatch, module, function)
    sys.modules[FOLDER_MODES[mode][0]].most_processes = lambda config: 1
    sys.modules[module].merge_shards = lambda *arguments: merged.append(arguments) or {}
    output = tmp_path / "out"
    command = ["--mode", mode, "--input", tmp_path, "--output", output]
    refused = f"{output}: must be used by one run at a time, got an earlier run by process {os.getpid()}"
    with sole_writer(output / FOLDER / "00001-of-00003", "an earlier run"):
        assert refused in one_line(main.main, [*command, *all_photos], capsys)
        assert not calls + merged
        assert main.main(list(map(str, [*command, "--shard", "0/3"]))) == 0  # parts do not disturb each other
    with sole_user(output, "an earlier run"):
        assert refused in one_line(main.main, [*command, "--shard", "0/3"], capsys)
    assert len(merged) == 1
    for path in (output / FOLDER / ".dead.lock", output / LOCK_FILE):  # of killed runs
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    for arguments in (["--shard", "0/3"], all_photos):
        assert main.main(list(map(str, [*command, *arguments]))) == 0
    assert len(calls) + len(merged) == 3


def held_by_packing(root: Path) -> dict[str, tuple[list, object]]:
    """Arguments of create_bin.py, and the lock that another run with them holds."""
    crops, elsewhere = ["--input", root / "crops"], root / ("x" * 250 + ".bin")
    return {
        "records": (crops, sole_user(root / "data" / "params" / "face", "packing")),
        "crops": ([], sole_user(root / "data" / "generated" / "faces", "packing")),
        "output": ([*crops, "--output", elsewhere], sole_writer(elsewhere, "packing")),
    }


@pytest.mark.parametrize("held", ["records", "crops", "output"])
def test_a_second_packing_is_refused(held, tmp_path, capsys):
    (tmp_path / "crops").mkdir()
    Image.new("RGBA", (32, 32), (200, 90, 10, 255)).save(tmp_path / "crops" / "a.png")
    arguments, lock = held_by_packing(tmp_path)[held]
    command = ["--root_dir", tmp_path, "--img_size", 32, "data.synthetic_count=3", *arguments]
    with lock:
        line = one_line(create_bin.main, command, capsys)
    assert f"must be used by one run at a time, got packing by process {os.getpid()}" in line
    assert is_empty_but_for(tmp_path, tmp_path / "crops" / "a.png")
    for _ in range(2 if arguments else 0):  # its name is 254 bytes long, and may be replaced
        assert create_bin.main([str(argument) for argument in command]) == 0


def test_a_second_training_of_the_mask_decoder_is_refused(tmp_path, monkeypatch):
    config = toy_configuration(tmp_path, 32, mask__weights=str(tmp_path / "mask.npz"))
    face_model = save_toy_model(config)
    monkeypatch.setattr(mask_training, "load_or_render", lambda *_: pytest.fail("rendering must not begin"))
    faces = recipe(face_model, mask_training.IMAGE_SIZE, config.mask.seed, config.mask.count)
    folder = set_folder(config.generated_dir, {**faces, "covers": mask_training.COVERS})
    with sole_user(folder, "an earlier run"), pytest.raises(UserError, match="got an earlier run by process"):
        mask_training.train_mask_decoder(config)
