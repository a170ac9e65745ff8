"""Flags that a mode would ignore, that are empty, or that contradict an option are refused."""

import pytest

import main
from configs import flags
from lib.errors import UserError
from tests.support.programs.main_program import ORIGINAL_FLAGS


@pytest.mark.parametrize(
    ("mode", "words", "message"),
    [
        ("track", "--same-person", "--same-person must come with --mode test, got --mode track"),
        ("serve", "--faces all", "--faces must come with --mode prepare or test, got --mode serve"),
        (
            "pretrain",
            "--lr 1",
            r"must come with --mode train or test, got --mode pretrain \(use pretrain.learning_rate\)",
        ),
        ("masks", "--batch_size 9", r"got --mode masks \(use mask.batch_size\)"),
        ("masks", "--epoch 3", r"got --mode masks \(use mask.updates\)"),
        ("pretrain", "--seed 3", r"evaluate or serve, got --mode pretrain \(use pretrain.seed\)"),
        ("pretrain", "--img_size 64", r"got --mode pretrain \(use pretrain.image_size\)"),
        ("train", "--fit 0", "--fit must come with --mode test, track, evaluate or serve, got --mode train"),
        ("train", "--export none", "--export must come with --mode test or track, got --mode train"),
        ("serve", "--export glb", "--export must come with --mode test or track, got --mode serve"),
        ("test", "--workers 2 --video docs", "--workers must come with photos one by one, got --video"),
        ("test", "--workers 2 --same-person", "--workers must come with photos one by one, got --same-person"),
        ("evaluate", "--restore", "--restore must come with --mode train or test, got --mode evaluate"),
    ],
)
def test_a_flag_that_the_mode_would_ignore_is_refused(mode, words, message):
    with pytest.raises(UserError, match=message):
        main.main(["--mode", mode, *words.split()])


def test_the_originals_flags_come_with_its_modes_and_every_flag_with_doctor(monkeypatch):
    switches = {"restore", "gan", "wide", "same-person", "deterministic"}
    others = {"mode", "input", "output"}
    assert flags.MODES_OF.keys() == flags.OPTIONS.keys() - {"root_dir"}
    for name in (set(ORIGINAL_FLAGS) | flags.OPTIONS.keys()) - others:
        words = [f"--{name}"] if name in switches else [f"--{name}", "1"]
        for mode in ("train", "test", "doctor") if name in ORIGINAL_FLAGS else ("doctor",):
            flags.check_mode(main.parse(["--mode", mode, *words]))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--input a test.input=b", "test.input: must be given once, got b and a"),
        ("--fit 5 fit.steps=7", "fit.steps: must be given once, got 5 and 7"),
        ("fit.steps=5 fit.steps=7", "fit.steps: must be given once, got 5 and 7"),
        ("--epoch 3 --epoch=5", "--epoch must be given once, got 3 and 5"),
        ("--input a --input b", "--input must be given once, got a and b"),
        ("--shard 0/2 --shard 1/2", "--shard must be given once, got 0/2 and 1/2"),
        ("--mode train", "--mode must be given once, got test and train"),
    ],
)
def test_an_option_has_one_value(words, message):
    with pytest.raises(UserError, match=message):
        main.parse(["--mode", "test", *words.split()])
    main.parse(["--mode", "test", "--fit", "5", "--fit=5", "fit.steps=5"])


def test_the_parts_of_a_cluster_are_told_their_number_of_processes():
    args = main.parse(["--mode", "test", "--cluster", "local", "--workers", "4", "--fit=0"])
    assert flags.for_parts(args.arguments) == ["--mode", "test", "--fit=0"]
    assert flags.for_parts(["data.workers=4", "--workers=3", "--mode", "test"]) == ["--mode", "test"]


@pytest.mark.parametrize(
    ("flag", "must"),
    [
        *((flag, "a path") for flag in ("--config", "--input", "--output", "--video", "--root_dir")),
        ("--name", "a name"),
        ("--cluster", "local or an address"),
        ("--export", "formats, or none"),
    ],
)
def test_an_empty_text_does_not_stand_for_a_flag_that_was_not_given(flag, must):
    with pytest.raises(UserError, match=f"{flag} must be {must}, got an empty text"):
        main.parse(["--mode", "test", flag, ""])


def test_an_empty_suffix_is_the_default():
    assert main.parse(["--mode", "test", "--suffix", ""]).overrides == ["train.suffix="]
