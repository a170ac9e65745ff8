"""configs/paper.yaml as it stands: it trains on stand-ins for the licensed files, and equals the published code."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import create_bin
import main
from configs import schema
from model import components, training
from model.checkpoints import Progress
from model.losses import weight_decay, weighted_total
from model.summaries import RunLog
from tests.basel_files import Indices, write_raw
from tests.frozen_graphs import frozen
from tests.helpers import ROOT, assert_close, golden
from tests.test_face_gcn import block_features, check_forward, check_terms, crop_of, reference_hierarchy

PAPER = ROOT / "configs" / "paper.yaml"
COLUMNS, ROWS = 37, 43  # vertices of the stand-in face
CROPS = 16


def face_grid() -> tuple[np.ndarray, np.ndarray]:
    """Vertices [N, 3] of a bulged sheet of a face's size, dm, and its triangles [F, 3], counter-clockwise in front."""
    u, v = np.meshgrid(np.linspace(-1, 1, COLUMNS), np.linspace(-1, 1, ROWS))
    shape = np.stack([0.75 * u, 0.95 * v, 0.4 * (2 - u**2 - v**2)], axis=-1).reshape(-1, 3)
    number = np.arange(ROWS * COLUMNS).reshape(ROWS, COLUMNS)
    a, b, c, d = (part.ravel() for part in (number[:-1, :-1], number[:-1, 1:], number[1:, 1:], number[1:, :-1]))
    return shape, np.concatenate([np.stack([a, b, c], -1), np.stack([a, c, d], -1)])


def write_stand_ins(folder) -> None:
    """The licensed files under their publishers' names: a small Basel model, and both networks as frozen graphs."""
    shape, triangles = face_grid()
    generator, count = np.random.default_rng(0), len(shape)
    expression_to_full = np.sort(generator.choice(count + 80, count + 40, replace=False))
    cropped = np.sort(generator.choice(count + 40, count, replace=False))
    info = {
        "tri": triangles + 1.0,
        "keypoints": generator.integers(1, count + 1, (1, 68)).astype(np.float32),
        "skinmask": (np.abs(shape[None, :, 1]) < 0.8).astype(np.float32),
        "frontmask2_idx": np.arange(1, count + 1, dtype=np.float32)[:, None],
    }
    indices = Indices(count + 80, expression_to_full, cropped, info)
    full_shape, full_albedo = np.zeros((count + 80, 3)), np.full((count + 80, 3), 150.0)
    full_shape[indices.cropped_to_full] = shape * 1e5  # micrometres
    write_raw(folder, indices, shapeMU=full_shape.reshape(-1, 1), texMU=full_albedo.reshape(-1, 1))

    def blocks(picture):  # 8 x 8 mean colours
        size = picture.shape[1] // 8
        return tf.reshape(tf.nn.avg_pool2d(picture, size, size, "VALID"), [-1, 192])

    def matrix(outputs, scale):
        return tf.constant(scale * generator.normal(size=(192, outputs)), tf.float32)

    coefficients, features, identity = matrix(257, 3e-5), matrix(2048, 1e-3), matrix(1792, 0.1)
    frozen(
        folder / "FaceReconModel.pb",
        lambda picture: (blocks(picture) @ coefficients, (blocks(picture) @ features)[:, None, None, :]),
        224,
        "input_imgs",
        ["coeff", "resnet_v1_50/pool5"],
    )
    frozen(
        folder / "FaceNetModel.pb",
        lambda picture: (blocks(picture) @ identity)[:, None, None, :],
        160,
        "input",
        ["InceptionResnetV1/Logits/AvgPool_1a_8x8/AvgPool"],
    )


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
    write_stand_ins(root / "bfm09")
    overrides = [
        f"data.root_dir={root}",
        f"face_model.source={root / 'bfm09'}",
        f"regressor.weights={root / 'bfm09' / 'FaceReconModel.pb'}",
        f"identity.weights={root / 'bfm09' / 'FaceNetModel.pb'}",
        "data.workers=1",
        "train.epochs=2",  # the first of the published schedule trains the copy of the coarse albedo alone
        "train.updates_per_epoch=1",
    ]
    config = schema.load(PAPER, overrides)
    write_crops(root / "crops", config.data.image_size)
    command = ["--config", str(PAPER)]
    assert create_bin.main([*command, "--input", str(root / "crops"), *overrides]) == 0
    updates, log = [], RunLog.training
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunLog, "training", lambda self, terms, update: (updates.append(terms), log(self, terms, update)))
        assert main.main(["--mode", "train", *command, *overrides]) == 0
    return config, updates


def test_only_paths_and_lengths_differ_from_the_file(trained):
    def flat(config):
        return {(a, b): v for a, block in dataclasses.asdict(config).items() for b, v in block.items()}

    ours, paper = flat(trained[0]), flat(schema.load(PAPER))
    assert {".".join(key) for key in paper if ours[key] != paper[key]} == {
        "data.root_dir", "data.workers", "face_model.source", "regressor.weights", "identity.weights",
        "train.epochs", "train.updates_per_epoch",
    }  # fmt: skip


def test_every_published_term_counts(trained):
    config, updates = trained
    assert len(updates) == 2
    for terms in updates:
        assert all(np.isfinite(value) for value in terms.values())
    published = {"project", "hidden", "identity", "symmetry", "variance", "coarse", "weight_decay"}
    for epoch, terms in enumerate(updates):
        weights = training.loss_weights(config, Progress(epoch=epoch), 2)
        counted = {name for name, weight in weights.items() if weight}
        assert counted == (published if epoch else {"coarse", "weight_decay"})
        assert all(terms[name] > 0 for name in published | {"render", "coarse_render"})
        assert terms["total"] == pytest.approx(sum(weights[name] * terms[name] for name in counted), rel=1e-4)
    later = training.loss_weights(config, Progress(epoch=5), 2)
    expected = {"project": 1, "hidden": 0.3, "identity": 0.2, "symmetry": 0.5, "variance": 0.01, "coarse": 0.2,
                "weight_decay": 5e-4, "render": 0, "albedo": 0}  # fmt: skip
    assert later == pytest.approx(expected)


def test_the_run_leaves_its_checkpoint(trained):
    config, _ = trained
    assert json.loads((config.run_dir / "training.json").read_text())["updates"] == 2
    parts = components.load(config)
    assert parts.face_model.name == "Basel Face Model 2009"
    assert parts.face_model.layout.size == 257
    before = parts.chain.texture_network.weights[0].numpy()
    components.restore_texture_network(parts)
    assert not np.array_equal(before, parts.chain.texture_network.weights[0])
    assert [path.name for path in sorted((config.run_dir / "samples").iterdir())] == ["0000001.png", "0000002.png"]
