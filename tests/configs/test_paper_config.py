"""configs/paper.yaml as it stands, trained by the programs on stand-ins for the licensed files, with the critic."""

import dataclasses
import json
import re

import numpy as np
import pytest
import yaml
from PIL import Image

import create_bin
import main
from configs import schema
from lib.face_model.coefficients import CoefficientLayout
from model.pipeline import load_pipeline, restore_texture_network
from model.runs.checkpoints import Progress
from model.training.plan import TrainingPlan, loss_weights
from model.training.run_log import RunLog
from tests.support.helpers import ROOT, eager_functions
from tests.support.published_files.paper_files import write_stand_ins

PAPER = ROOT / "configs" / "paper.yaml"
CROPS = 16


def write_crops(folder, size: int) -> None:
    """RGBA crops: smooth colours, the face's ellipse as skin."""
    folder.mkdir()
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    alpha = np.uint8(255 * (x**2 / 0.55 + y**2 / 0.8 < 1))
    for index in range(CROPS):
        colours = np.random.default_rng(index).integers(60, 220, (6, 6, 3), np.uint8)
        picture = np.asarray(Image.fromarray(colours).resize((size, size), Image.Resampling.BICUBIC))
        Image.fromarray(np.dstack([picture, alpha])).save(folder / f"{index}.png")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of create_bin.py and main.py --mode train with paper.yaml: configuration and the terms of each update."""
    root = tmp_path_factory.mktemp("paper")
    files = root / "bfm09"
    write_stand_ins(files)
    overrides = {
        "data.root_dir": root,
        "data.workers": 1,
        "face_model.source": files,
        "regressor.weights": files / "FaceReconModel.pb",
        "identity.weights": files / "FaceNetModel.pb",
        "train.epochs": 2,  # in the first, the published schedule trains the copy of the coarse albedo alone
        "train.updates_per_epoch": 1,
        "gan.enabled": True,  # --gan
        "gan.critic_steps": 1,  # of five alike
    }
    command = ["--config", str(PAPER), *(f"{key}={value}" for key, value in overrides.items())]
    config = schema.load(PAPER, command[2:])
    assert changes(config) == set(overrides)
    write_crops(root / "crops", config.data.image_size)
    assert create_bin.main([*command, "--input", str(root / "crops")]) == 0
    updates, log = [], RunLog.training
    with pytest.MonkeyPatch.context() as patch, eager_functions():  # tracing would take longer than two updates
        patch.setattr(RunLog, "training", lambda self, terms, update: (updates.append(terms), log(self, terms, update)))
        assert main.main(["--mode", "train", *command]) == 0
    return config, updates


def changes(config: schema.Config) -> set[str]:
    """The options whose values are not those of paper.yaml."""
    ours, paper = dataclasses.asdict(config), dataclasses.asdict(schema.load(PAPER))
    return {f"{name}.{key}" for name, block in paper.items() for key in block if ours[name][key] != block[key]}


def test_the_page_lists_every_option_that_differs_from_the_default():
    """And the values are the paper's, as far as they are numbers of the paper."""
    page = (ROOT / "docs" / "paper.md").read_text()
    rows = re.findall(r"^\| `(\w+\.\w+)` \| (.*) \| (.*) \|$", page, re.MULTILINE)
    listed = {option: tuple(yaml.safe_load(value.strip("`").replace("empty", "''")) for value in values)
              for option, *values in rows}  # fmt: skip
    paper, default = dataclasses.asdict(schema.load(PAPER)), dataclasses.asdict(schema.load())
    differing = changes(schema.load())
    assert listed.keys() == differing
    for option, values in listed.items():
        section, key = option.split(".")
        assert tuple(map(_number, values)) == (paper[section][key], default[section][key]), option


def _number(value):
    """YAML 1.1 reads 1e-08, which has no point, as a text."""
    return float(value) if isinstance(value, str) and re.fullmatch(r"\de-\d+", value) else value


def test_the_rates_fall_with_the_epochs_alone():
    """Of both networks; the critic's own steps do not count."""
    config = schema.load(PAPER, ["gan.enabled=true", "gan.learning_rate=3e-4"])
    plan = TrainingPlan(config, list(range(40)))
    for epoch in (0, 1, 49):
        for update in (epoch * 10, epoch * 10 + 9):
            progress = Progress(epoch=epoch, update_in_epoch=update % 10, update=update)
            assert plan.learning_rate(progress) == pytest.approx(1e-4 * 0.98**epoch)
            assert plan.critic_rate(progress) == pytest.approx(3e-4 * 0.98**epoch)


def test_every_published_term_counts(trained):
    config, updates = trained
    assert len(updates) == 2
    terms = {"project", "hidden", "identity", "symmetry", "variance", "coarse", "weight_decay", "adversarial"}
    for epoch, values in enumerate(updates):
        weights = loss_weights(config, Progress(epoch=epoch), 2)
        counted = {name for name, weight in weights.items() if weight}
        assert counted == (terms if epoch else {"coarse", "weight_decay"})
        assert all(np.isfinite(value) for value in values.values())
        assert all(values[name] for name in terms | {"render", "coarse_render"})
        assert values["total"] == pytest.approx(sum(weights[name] * values[name] for name in counted), rel=1e-4)
    assert updates[1]["critic"]
    assert loss_weights(config, Progress(epoch=5), 2) == pytest.approx({
        "project": 1, "hidden": 0.3, "identity": 0.2, "symmetry": 0.5, "variance": 0.01, "coarse": 0.2,
        "weight_decay": 5e-4, "adversarial": 1e-3, "render": 0, "albedo": 0,
    })  # fmt: skip


def test_the_run_leaves_its_checkpoint(trained):
    config, _ = trained
    assert config.run_dir.name == "bfm09_face_normal_gan"
    assert json.loads((config.run_dir / "training.json").read_text())["updates"] == 2
    pipeline = load_pipeline(config)
    assert pipeline.face_model.name == "Basel Face Model 2009"
    assert pipeline.face_model.layout == CoefficientLayout(80, 64, 80)
    fresh = np.array(pipeline.face_gcn.texture_network.weights[0])
    restore_texture_network(pipeline)
    assert not np.array_equal(fresh, pipeline.face_gcn.texture_network.weights[0])
