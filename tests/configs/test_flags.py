"""Every flag of the original program does what its help says: from the command line through to what it changes."""

import numpy as np
import pytest
import tensorflow as tf

import main
from configs import flags, schema
from lib.errors import UserError
from lib.records.record_writer import RecordWriter
from lib.records.splits import save_split
from model.input_pipeline import batches as crop_batches
from model.pipeline import build_camera, build_texture_network, load_hierarchy, load_pipeline
from model.runs.checkpoints import Progress
from model.training import loop as training
from model.training.plan import TrainingPlan, loss_weights
from model.training.trainer import TextureTrainer
from tests.support.golden_face import golden_face_model
from tests.support.programs.main_program import ORIGINAL_FLAGS, called_instead
from tests.support.toy_faces import save_untrained_networks
from utils import seed_everything

SIZE, CROPS = 32, 9
TINY = (
    "texture.factors=[3,3,3,3]", "regressor.width=4", "regressor.image_size=32", "identity.width=4",
    "identity.image_size=32", "identity.embedding=16", "schedule.warmup=0",
)  # fmt: skip
CHECKS = {}


def checks(flag):
    """Registers the check of a flag; `test_the_flag_does_what_its_help_says` runs it."""

    def register(function):
        assert flag not in CHECKS, flag
        CHECKS[flag] = function
        return function

    return register


class Program:
    """main.py's command line on a tiny data set: nine grey crops, the reference face."""

    def __init__(self, root):
        self.root = root
        golden_face_model().save(root / "face.npz")
        files = [f"face_model.source={root / 'face.npz'}"]
        self.files = [*files, *(f"{part}.weights={root / part}.npz" for part in ("regressor", "identity"))]
        seed_everything(0)
        save_untrained_networks(self.config(), golden_face_model())
        self.data("face")

    def argv(self, *argv):
        size = [] if "--img_size" in argv else ["--img_size", str(SIZE)]
        return ["--root_dir", str(self.root), *size, *TINY, *self.files, *argv]

    def config(self, *argv) -> schema.Config:
        args = main.parse(self.argv(*argv))
        return schema.load(args.config, args.overrides)

    def data(self, name):
        config, names = self.config("--name", name), [f"{i}.png" for i in range(CROPS)]
        with RecordWriter(config.records_path, (SIZE, SIZE, 4)) as writer:
            for i, crop in enumerate(names):
                writer.append(np.full((SIZE, SIZE, 4), 20 * i + 40, np.uint8), crop)
        save_split(config.params_dir, {"train": names[:6], "val": names[6:8], "test": names[8:]})

    def plan(self, *argv):
        return TrainingPlan(self.config(*argv), list(range(6)))

    def network(self, *argv):
        config = self.config(*argv)
        face_model = golden_face_model()
        hierarchy = load_hierarchy(config, face_model)
        return build_texture_network(config, hierarchy, 32, face_model.mirror_index)

    def error(self, *argv) -> str:
        with pytest.raises(UserError) as caught:
            main.main(self.argv(*argv))
        return str(caught.value)


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    return Program(tmp_path_factory.mktemp("root"))


def weights(network) -> dict[str, tuple]:
    return {variable.path: tuple(variable.shape) for variable in network.weights}


def answer(network, training):
    """The network's output for one random face."""
    rng = np.random.default_rng(1)
    embedding = tf.constant(rng.normal(size=(1, 32)), tf.float32)
    count = golden_face_model().vertex_count
    colours = tf.constant(rng.uniform(0.2, 0.8, size=(3, 1, count, 3)), tf.float32)
    return network(embedding, colours[0], colours[1], tf.ones([1, count, 1]), colours[2], training=training).numpy()


@checks("name")
def _(program, monkeypatch):
    program.data("other")
    calls = called_instead(monkeypatch, "model.training.loop", "train")
    main.main(program.argv("--name", "other"))
    assert calls[1][0].records_path == program.root / "data" / "other.bin"
    assert calls[1][1] == program.root / "checkpoints" / "other_default"
    assert "data/missing.bin: must be a record file" in program.error("--name", "missing")


@checks("suffix")
def _(program, monkeypatch):
    calls = called_instead(monkeypatch, "model.training.loop", "train")
    main.main(program.argv("--suffix", "mine"))
    assert calls[1][1] == program.root / "checkpoints" / "face_mine"


@checks("mode")
def _(program, monkeypatch):
    photos = program.root / "photos"
    photos.mkdir()
    (photos / "a.png").write_bytes(b"")
    runs = {
        ("train",): ("model.training.loop", "train"),
        ("test", "--input", str(photos)): ("model.reconstruction.folder", "reconstruct_folder"),
        ("evaluate",): ("model.evaluation.records", "evaluate"),
        ("evaluate", "--input", str(photos)): ("model.evaluation.folder", "evaluate_folder"),
        ("prepare", "--input", str(photos)): ("model.preparation.prepare", "prepare_folder"),
        ("pretrain",): ("model.pretraining.loop", "pretrain"),
    }
    for mode, (module, function) in runs.items():
        with monkeypatch.context() as patch:
            calls = called_instead(patch, module, function)
            argv = ["--root_dir", str(program.root)] if mode == ("pretrain",) else program.argv()
            assert main.main([*argv, "--mode", *mode]) == 0
            assert any(isinstance(call[0], schema.Config) for call in calls), mode


@checks("stage")
def _(program, monkeypatch):
    late = Progress(update=50, epoch=9)
    for stage, wanted in (("rec", {"coarse"}), ("render", {"render", "project", "hidden"})):
        found = loss_weights(program.config("--stage", stage), late, 100)
        named = {name for name, value in found.items() if value and name in ("coarse", "render", "project", "hidden")}
        assert named == wanted
    everything = loss_weights(program.config("--stage", "all"), late, 100)
    assert everything["coarse"] > 0 < everything["render"]


@checks("restore")
def _(program, monkeypatch):
    assert "latest.npz: a checkpoint must be here" in program.error("--restore", "--suffix", "never")


@checks("gan")
def _(program, monkeypatch):
    pipeline = load_pipeline(program.config("--gan"))
    assert TextureTrainer(pipeline).critic is not None
    assert "adversarial" in loss_weights(pipeline.config, Progress(), 10)
    assert pipeline.config.run_dir.name == "face_default_gan"
    assert "adversarial" not in loss_weights(program.config(), Progress(), 10)


@checks("wide")
def _(program, monkeypatch):
    narrow, wide = (program.network("--model", "normal", *more).count_params() for more in ([], ["--wide"]))
    assert wide > narrow


@checks("model")
def _(program, monkeypatch):
    names = [frozenset(weights(program.network("--model", model))) for model in ("default", "normal", "resnet")]
    assert len(set(names)) == 3


@checks("root_dir")
def _(program, monkeypatch):
    elsewhere = str(program.root / "elsewhere")
    assert elsewhere in program.error("--root_dir", elsewhere)


@checks("batch_size")
def _(program, monkeypatch):
    assert program.plan("--batch_size", "2").updates_per_epoch == 3
    assert "at most the 6 training crops" in program.error("--batch_size", "7")


@checks("epoch")
def _(program, monkeypatch):
    assert program.plan("--batch_size", "2", "--epoch", "5").total == 15


@checks("eval")
def _(program, monkeypatch):
    def validations(value):
        plan = program.plan("--batch_size", "1", "--epoch", "2", "--eval", value)
        progress, found = Progress(), []
        for _ in range(2):
            for _ in range(6):
                progress = progress.after_update()
                found += [progress.update] * plan.validates_after(progress)
            progress = progress.after_epoch()
        return found

    assert validations("0") == [6, 12]
    assert validations("0.5") == [3, 6, 9, 12]
    assert validations("5") == [5, 10, 12], "the last update always"


@checks("img_size")
def _(program, monkeypatch):
    assert build_camera(program.config("--img_size", "48")).image_size == (48, 48)
    assert "images must be 48 px, got 32 x 32" in program.error("--img_size", "48")


@checks("nz")
def _(program, monkeypatch):
    few, many = (weights(program.network("--model", "normal", "--nz", nz)) for nz in ("7", "9"))
    changed = {name: (shape, many[name]) for name, shape in few.items() if shape != many[name]}
    assert changed
    assert all(7 in a and 9 in b for a, b in changed.values())


@checks("lr")
def _(program, monkeypatch):
    for rate in (1e-4, 2e-3):
        assert program.plan("--lr", str(rate)).learning_rate(Progress()) == pytest.approx(rate)


@checks("buffer_size")
def _(program, monkeypatch):
    config = reader_arguments(program, monkeypatch, "--buffer_size", "3")
    assert config["buffer_size"] == 3


@checks("workers")
def _(program, monkeypatch):
    config = reader_arguments(program, monkeypatch, "--workers", "5")
    assert config["workers"] == 5


class Reached(Exception):
    """The training came as far as a test wants to see."""


def reader_arguments(program, monkeypatch, *argv) -> dict:
    """Arguments that training passes to the function that reads crops ahead: batch_size, workers, buffer_size."""
    seen = {}

    def batches(records, encoded, order, batch_size, workers=None, buffer_size=None, targets=None):
        seen.update(batch_size=batch_size, workers=workers, buffer_size=buffer_size)
        raise Reached

    monkeypatch.setattr(crop_batches, "batches", batches)
    config = program.config("--batch_size", "2", *argv)
    with pytest.raises(Reached):
        training.train(config, program.root / "reader")
    assert seen["batch_size"] == 2
    return seen


@checks("drop_rate")
def _(program, monkeypatch):
    for rate, varies in (("0", False), ("0.5", True)):
        network = program.network("--model", "normal", "--drop_rate", rate)
        assert (np.abs(answer(network, True) - answer(network, True)).max() > 0) == varies
        np.testing.assert_array_equal(answer(network, False), answer(network, False))


@checks("adv_lambda")
def _(program, monkeypatch):
    config = program.config("--gan", "--adv_lambda", "0.25")
    assert loss_weights(config, Progress(), 10)["adversarial"] == 0.25


@checks("seed")
def _(program, monkeypatch):
    orders = [program.plan("--seed", seed).order(Progress()) for seed in ("1", "1", "2")]
    assert orders[0] == orders[1] != orders[2]
    calls = called_instead(monkeypatch, "model.training.loop", "train")
    main.main(program.argv("--seed", "5"))
    assert calls[0] == (5,), "TensorFlow is seeded with it"


@checks("input")
def _(program, monkeypatch):
    folder = program.root / "given"
    folder.mkdir()
    assert "must hold photos" in program.error("--mode", "test", "--input", str(folder))
    (folder / "a.png").write_bytes(b"")
    calls = called_instead(monkeypatch, "model.reconstruction.folder", "reconstruct_folder")
    main.main(program.argv("--mode", "test", "--input", str(folder)))
    assert calls[0][1] == folder


@checks("output")
def _(program, monkeypatch):
    folder = program.root / "shown"
    folder.mkdir()
    (folder / "a.png").write_bytes(b"")
    calls = called_instead(monkeypatch, "model.reconstruction.folder", "reconstruct_folder")
    main.main(program.argv("--mode", "test", "--input", str(folder), "--output", str(program.root / "out")))
    assert calls[0][2] == program.root / "out"


@pytest.mark.parametrize("flag", ORIGINAL_FLAGS)
def test_the_flag_does_what_its_help_says(flag, program, monkeypatch):
    CHECKS[flag](program, monkeypatch)


@pytest.mark.parametrize("flag", ["restore", "lr"])
def test_help_may_contain_per_cent(flag, monkeypatch):
    section, key = flags.OPTIONS[flag].split(".")
    field = getattr(schema.load(), section).__dataclass_fields__[key]
    monkeypatch.setattr(field, "metadata", {**field.metadata, "doc": "5 % of it"})
    parser = flags.Parser(prog="test")
    parser.add_options([flag])
    assert "5 % of it" in parser.format_help()


def test_no_flag_is_without_a_check_and_every_one_sets_an_option():
    assert CHECKS.keys() == set(ORIGINAL_FLAGS)
    modes = {"mode", "input", "output"}  # which main.py reads itself
    assert set(ORIGINAL_FLAGS) - modes <= flags.OPTIONS.keys()
    known = {f"{name}.{key}" for name, block in vars(schema.load()).items() for key in vars(block)}
    assert (
        set(flags.OPTIONS.values()) | {f"{mode}.{flag}" for mode in main.FOLDERS for flag in ("input", "output")}
        <= known
    )
