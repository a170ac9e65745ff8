"""The configuration: files, overrides, bounds, did-you-mean, round trip, and that the program reads every option."""

import ast
import dataclasses
import math

import numpy as np
import pytest
import yaml

from configs import data_sections, schema
from lib.errors import UserError
from tests.support.helpers import ROOT
from tests.support.option_reads import unread_options

FIELDS = [(s.name, f.name) for s in dataclasses.fields(schema.Config) for f in dataclasses.fields(s.type)]


def test_the_embedded_default_file_is_complete_and_explained():
    """After a change of an explanation: python -m configs.schema, and put it below the file's first three lines."""
    lines = schema.DEFAULT.read_text(encoding="utf-8").splitlines()
    assert lines[3:] == schema.to_yaml(schema.load()).splitlines()


def test_the_converging_recipe_is_the_default():
    config = schema.load()
    assert (config.texture.variant, config.texture.head, config.texture.inputs) == (
        "default",
        "residual",
        "mirrored",
    )
    loss = config.loss
    assert (loss.render, loss.project, loss.hidden) == (1.0, 0.2, 0.06)
    assert (loss.symmetry, loss.variance, loss.coarse) == (0.05, 0.01, 1.0)
    plan = config.schedule
    assert (plan.rate, plan.warmup, plan.coarse_end, plan.coarse_fraction) == ("cosine", 20, 0.1, 0.1)
    assert config.texture.order == 3
    assert config.data.image_size == 224


def test_the_papers_numbers_are_the_papers():
    config = schema.load(ROOT / "configs" / "paper.yaml")
    assert (config.regressor.depth, config.regressor.width) == (50, 64)
    texture = config.texture
    assert (texture.variant, texture.head, texture.inputs, texture.order, texture.nz) == (
        "normal", "published", "lit", 6, 512,
    )  # fmt: skip
    assert texture.projection == "published"
    train, plan = config.train, config.schedule
    assert (train.batch_size, train.epochs, train.learning_rate, train.clip_norm) == (4, 50, 1e-4, 5.0)
    assert (plan.rate, plan.decay, plan.stages) == ("staircase", 0.98, "published")
    assert dataclasses.asdict(config.loss) == {
        "render": 0.0, "project": 1.0, "hidden": 0.3, "identity": 0.2, "symmetry": 0.5, "variance": 0.01,
        "coarse": 1.0, "weight_decay": 5e-4, "albedo": 0.0,
    }  # fmt: skip
    assert (config.gan.critic_steps, config.gan.adversarial) == (5, 1e-3)
    assert config.camera.focal_ratio == pytest.approx(1015 / 224, abs=1e-12)


def test_a_checkpoint_of_pytorch_is_no_identity_network():
    with pytest.raises(UserError, match=r"identity\.weights: must be a \.npz or the published FaceNet \(\.pb\), got x"):
        schema.load(overrides={"identity.weights": "x.pth"})
    assert schema.load(overrides={"regressor.weights": "x.pth", "identity.weights": "x.pb"})


def test_overrides_beat_the_file_and_the_file_beats_the_default(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("loss:\n  symmetry: 0.3\n  project: 2\n")
    config = schema.load(path, ["loss.project=3", "texture.factors=[2, 2, 4, 4]", "train.suffix=a: b # c"])
    assert (config.loss.symmetry, config.loss.project, config.loss.render) == (0.3, 3.0, 1.0)
    assert type(config.loss.project) is float
    assert config.texture.factors == (2, 2, 4, 4)
    assert config.train.suffix == "a: b # c"
    assert schema.load(path, {"loss.project": 3}).loss.project == 3.0


@pytest.mark.parametrize("overrides", [[], ["train.learning_rate=1e-7", "loss.weight_decay=0", "train.suffix=ä'\"#"]])
def test_the_effective_configuration_reads_back_equal(tmp_path, overrides):
    config = schema.load(ROOT / "configs" / "paper.yaml", overrides)
    path = tmp_path / "effective.yaml"
    path.write_text(schema.to_yaml(config), encoding="utf-8")
    assert schema.load(path) == config


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("loss:\n  idenity: 1", "unknown key 'loss.idenity'; did you mean 'loss.identity'?"),
        ("los:\n  identity: 1", "unknown key 'los.identity'; did you mean 'loss.identity'?"),
        ("zzz:\n  qqq: 1", "unknown key 'zzz.qqq'; configs/default.yaml lists all keys"),
        ("loss:\n  identity: 1\n  identity: 2", "keys must be unique, got 'identity' twice"),
        ("loss: 3", "section 'loss' must hold `key: value` lines, got 3"),
        ("loss:\n# render: 1\n", "section 'loss' must hold `key: value` lines, got none"),
        ("[1, 2]", "must hold sections of `key: value` lines, got a list of 2"),
        ("loss: {", "must be YAML, got:"),
        ("loss:\n  1: 2", "keys must be words, got loss.1"),
        ("data:\n  name: 7", "data.name: must be a text (in quotes), got 7"),
        ("train:\n  eval_every: 1.9", "train.eval_every: must be at most 1 or a whole number of updates, got 1.9"),
        ("face_model:\n  source: built-in\n  area: head", "face_model.area: must be face unless face_model.source is"),
        ("gan:\n  enabled: 1", "gan.enabled: must be true or false, got 1"),
        ("train:\n  epochs: true", "train.epochs: must be a whole number, got True"),
        ("train:\n  epochs: 2.5", "train.epochs: must be a whole number, got 2.5"),
        ("loss:\n  render: much", "loss.render: must be a number, got 'much'"),
        ("loss:\n  render: .nan", "loss.render: must be finite, got nan"),
        ("loss:\n  render: -1", "loss.render: must be at least 0, got -1"),
        ("data:\n  test: 0", "data.test: must be more than 0, got 0"),
        ("data:\n  test: 0.6", "data.test: must be at most 0.5, got 0.6"),
        ("data:\n  name: ../x", "data.name: must be a plain file name, got '../x'"),
        ("texture:\n  variant: unet", "texture.variant: must be one of default, normal, resnet, got unet"),
        ("texture:\n  factors: [4, 4]", "texture.factors: must be four factors"),
        ("texture:\n  factors: [4, 4, 4, 1]", "texture.factors: must be at least 2, got 1"),
        ("serve:\n  names: a.org,b.org", "serve.names: several texts must be written [a, b], got 'a.org,b.org'"),
        ("texture:\n  factors: 4", "texture.factors: must be a list of int, got 4"),
        ("pretrain:\n  seed: 1", "data.synthetic_seed: must differ from pretrain.seed"),
    ],
)
def test_a_wrong_file_is_one_line(tmp_path, text, message):
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        schema.load(path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unreadable_files_are_one_line(tmp_path):
    with pytest.raises(UserError, match="must be a configuration file, got none"):
        schema.load(tmp_path / "missing.yaml")
    with pytest.raises(UserError, match="must be a readable configuration file"):
        schema.load(tmp_path)
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="must be"):
        schema.load(tmp_path / "binary.yaml")


def test_an_empty_file_is_the_default(tmp_path):
    (tmp_path / "empty.yaml").write_text("# nothing\n")
    assert schema.load(tmp_path / "empty.yaml") == schema.load()


def test_a_configuration_cannot_be_changed_once_loaded():
    with pytest.raises(dataclasses.FrozenInstanceError):
        schema.load().loss.render = 2.0


def test_every_field_is_explained_and_defined_once():
    for section in dataclasses.fields(schema.Config):
        for field in dataclasses.fields(section.type):
            assert len(field.metadata["doc"]) > 10, f"{section.name}.{field.name}"
    files = sorted((ROOT / "configs").glob("*_sections.py"))
    assert len(files) == 6
    for path in files:
        for node in [n for n in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(n, ast.ClassDef)]:
            names = [n.target.id for n in node.body if isinstance(n, ast.AnnAssign)]
            assert len(names) == len(set(names)), node.name


def test_bounds_hold_for_every_bounded_number():
    for section in dataclasses.fields(schema.Config):
        block = getattr(schema.load(), section.name)
        for field in dataclasses.fields(block):
            for bound, step in (("low", -1), ("above", 0), ("high", 1)):
                limit = field.metadata[bound]
                if limit is None or isinstance(getattr(block, field.name), tuple):
                    continue
                with pytest.raises(UserError, match=f"{section.name}.{field.name}: must be"):
                    dataclasses.replace(block, **{field.name: type(getattr(block, field.name))(limit + step)})


def test_yaml_reads_what_to_yaml_writes_for_small_numbers():
    for value in (1e-7, 5e-4, 1e20, 0.1 + 0.2, -math.pi):
        assert yaml.safe_load(schema._scalar(value)) == value


def sources():
    """The program's files, apart from those that only define or list options."""
    folders = [path for folder in ("model", "lib") for path in sorted((ROOT / folder).rglob("*.py"))]
    return [ROOT / "main.py", ROOT / "create_bin.py", ROOT / "configs" / "schema.py", *folders]


MADE_UP = [("train", "made_up"), ("camera", "input"), ("gan", "seed"), ("pretrain", "focal_ratio")]


@pytest.fixture(scope="module")
def unread() -> list[str]:
    """Those of all options and of `MADE_UP` that the program does not read."""
    return unread_options(FIELDS + MADE_UP, sources())


def test_the_program_reads_every_option(unread):
    """An option that nothing reads would change nothing: it must go, or be used."""
    names = {f"{section}.{field}" for section, field in FIELDS}
    assert not names.intersection(unread), f"options that nothing reads: {', '.join(unread)}"


def test_an_option_that_nothing_reads_is_found_even_if_others_share_its_name(unread):
    """`config.test.input` and a local `camera.seed` are no reads of `camera.input` and `gan.seed`."""
    assert [name for name in unread if tuple(name.split(".")) not in FIELDS] == [f"{s}.{field}" for s, field in MADE_UP]


def test_sections_reject_direct_construction_out_of_bounds():
    with pytest.raises(UserError, match=r"camera\.distance: must be more than 1"):
        data_sections.Camera(focal_ratio=4.5, distance=1.0)


def test_shares_that_leave_nothing_to_train_on_are_refused():
    with pytest.raises(
        UserError, match=r"data\.validation and data\.test: must add up to less than 1, got 0\.5 and 0\.5"
    ):
        schema.load(overrides={"data.validation": 0.5, "data.test": 0.5})


def test_values_of_python_are_those_of_yaml(tmp_path):
    values = {
        "fit.steps": np.int64(3),
        "fit.learning_rate": np.float32(0.25),
        "fit.landmarks": np.bool_(False),
        "data.root_dir": tmp_path,
        "export.formats": np.array(["obj", "glb"]),
        "prepare.parser_mean": [np.float64(0.5)] * 3,
    }
    config = schema.load(overrides=values)
    assert (config.fit.steps, config.fit.learning_rate, config.fit.landmarks) == (3, 0.25, False)
    assert (config.data.root_dir, config.export.formats) == (str(tmp_path), ("obj", "glb"))
    assert schema.load(overrides={"fit.steps": 3}).fit == dataclasses.replace(schema.load().fit, steps=3)
    with pytest.raises(UserError, match=r"fit\.steps: must be a whole number, got 0.5"):
        schema.load(overrides={"fit.steps": np.float64(0.5)})


@pytest.mark.parametrize("file", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda file: file.stem)
def test_shipped_configurations_are_valid(file):
    schema.load(file)
