"""Slips in commands and files: values that mean something else than what was written are refused or understood."""

import os

import pytest

import main
from configs import schema
from lib.errors import UserError
from tests.support.programs.main_program import config_of


def refusal(*argv: str) -> str:
    with pytest.raises(UserError) as caught:
        config_of(*argv)
    return str(caught.value)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--export", ""], "--export must be formats, or none, got an empty text (a variable that is not set?)"),
        (["--export", " "], "--export must be formats, or none, got an empty text"),
        (["export.formats="], "export.formats: must be a list of str, got an empty text"),
        (["--fit", ""], "fit.steps: must be a whole number, got an empty text (a variable that is not set?)"),
        (["fit.landmarks="], "fit.landmarks: must be true or false, got an empty text"),
        (["serve.host="], "serve.host: must be an address to listen on, got an empty text"),
        (["--mode", "test", "--input", "one", "two"], "--input takes one value, got 'two' after it (quote a name"),
        (["--export", "obj", "glb"], "--export takes one value, got 'glb' after it (separate formats by commas)"),
        (["one"], "an override must be section.key=value, got 'one'"),
        (["--restore=false"], "--restore takes no value, got 'false' (leave the flag out"),
        (["camera.focal_ratio=1e-30"], "camera.focal_ratio: must be at least 0.1, got 1e-30"),
        (["camera.distance=1e30"], "camera.distance: must be at most 1000, got 1e+30"),
        (["train.seed=010"], "train.seed: must be a whole number, got '010'"),  # YAML 1.1 has 8
        (["train.seed=1:30"], "train.seed: must be a whole number, got '1:30'"),  # YAML 1.1 has 90
        (["loss.render=1:30.5"], "loss.render: must be a number, got '1:30.5'"),
    ],
)
def test_commands(argv, message):
    assert message in refusal(*argv)


@pytest.mark.parametrize("text", ["0", "-7", "+7", "1_000", "0x1F", "0b11"])
def test_whole_numbers_are_those_of_yaml(text):
    config = schema.load(overrides=[f"loss.render={text.strip('-+')}", f"texture.nz={max(abs(int(text, 0)), 1)}"])
    assert config.loss.render == abs(int(text, 0))


@pytest.mark.parametrize(("text", "value"), [("010", 10), ("1.", 1), (".5", 0.5), ("1e-3", 1e-3), ("1.5e+2", 150)])
def test_numbers_are_what_they_look_like(text, value):
    assert schema.load(overrides=[f"loss.render={text}"]).loss.render == value


@pytest.mark.parametrize(
    ("text", "formats"), [("none", ()), ("[]", ()), ("obj", ("obj",)), ("[glb, obj]", ("glb", "obj"))]
)
def test_a_word_is_a_list_of_one_and_none_is_an_empty_list(tmp_path, text, formats):
    assert schema.load(overrides=[f"export.formats={text}"]).export.formats == formats
    path = tmp_path / "mine.yaml"
    path.write_text(f"export:\n  formats: {text}\nserve:\n  names: localhost\n")
    config = schema.load(path)
    assert (config.export.formats, config.serve.names) == (formats, ("localhost",))


def test_the_home_folder_is_found_where_no_shell_has(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "mine.yaml").write_text("prepare:\n  output: ~/crops\n")
    args = main.parse(
        ["--mode", "test", "--config", "~/mine.yaml", "--output", "~/x", "serve.keep=~", "train.suffix=a~"]
    )
    config = schema.load(args.config, args.overrides)
    assert config.test.output == os.fspath(tmp_path / "x")
    assert (config.prepare.output, config.serve.keep) == (str(tmp_path / "crops"), str(tmp_path))
    assert config.train.suffix == "a~"


def test_a_fault_in_a_file_is_named_with_it(tmp_path):
    path = tmp_path / "mine.yaml"
    for text, fault in (
        ("fit: {steps: x}", "fit.steps: must be a whole number, got 'x'"),
        ("fit: {steps: -1}", "fit.steps: must be at least 0, got -1"),
    ):
        path.write_text(text)
        assert refusal("--config", str(path)) == f"{path}: {fault}"
    assert refusal("--config", str(path), "--fit", "-2") == "fit.steps: must be at least 0, got -2"


def test_a_fault_of_yaml_is_placed_in_its_line(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("fit:\n  steps: [1\n  seed: 3")
    message = refusal("--config", str(path))
    assert message.startswith(f"{path}: must be YAML, got: while parsing a flow sequence at line 2, column 10")
    assert "unicode" not in message
