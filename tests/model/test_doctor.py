"""--mode doctor: what can run, what is missing and where it comes from."""

import dataclasses
import shutil

import numpy as np
import pytest
import scipy.io

import main
from configs import schema
from lib.face_model_files import published
from lib.face_model_files.formats.basel2009 import INFO, load_basel_2009
from model.doctor import diagnose
from model.weights import assets
from tests.support.golden_face import golden_face_model
from tests.support.helpers import ROOT
from tests.support.published_files.basel_files import write_ready
from tests.support.published_files.paper_files import write_stand_ins
from tests.support.toy_faces import toy_configuration


def configured(folder, **more) -> schema.Config:
    overrides = {
        "data.root_dir": str(folder),
        "face_model.source": str(folder),
        "regressor.weights": str(folder / "FaceReconModel.pb"),
        "identity.weights": str(folder / "FaceNetModel.pb"),
    }
    return schema.load(ROOT / "configs" / "paper.yaml", [f"{key}={value}" for key, value in (overrides | more).items()])


@pytest.fixture(scope="module")
def stand_ins(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bfm09")
    write_stand_ins(folder)
    return folder


@pytest.fixture
def complete(stand_ins, tmp_path, monkeypatch):
    """A folder in which every needed file is there and can be used; of a smaller face, so sizes are its own."""
    for path in stand_ins.iterdir():
        shutil.copy(path, tmp_path)

    def sized(asset):
        path = tmp_path / asset.names[0]
        return dataclasses.replace(asset, size=path.stat().st_size) if asset.size and path.is_file() else asset

    raw = [dataclasses.replace(sized(asset), sha256=None) for asset in assets.BASEL_RAW]
    monkeypatch.setattr(assets, "BASEL_RAW", tuple(raw))
    monkeypatch.setattr(assets, "BASEL_OPTIONAL", tuple(map(sized, assets.BASEL_OPTIONAL)))
    return tmp_path


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Root folder in which the built-in face model is generated once."""
    return tmp_path_factory.mktemp("root")


def test_the_embedded_default_can_run_on_a_fresh_clone(root, capsys):
    assert diagnose(schema.load(overrides={"data.root_dir": str(root)}), "default")
    shown = capsys.readouterr().out
    assert "this configuration can run" in shown
    assert "computes on " in shown
    assert "not yet" in shown
    assert "python create_bin.py --config default" in shown


def test_every_missing_file_is_named_with_its_source_and_licence(tmp_path, capsys):
    assert not diagnose(configured(tmp_path), "paper")
    shown = capsys.readouterr().out
    missing = [line for line in shown.splitlines() if line.strip().startswith("MISSING")]
    for asset in (*assets.BASEL_RAW, assets.REGRESSOR_GRAPH, assets.IDENTITY_GRAPH):
        (line,) = [line for line in missing if asset.names[0] in line]
        assert asset.source in line
        assert asset.licence in line
    assert "51,086,404 bytes" in shown
    assert "cannot run" in shown


def test_a_complete_folder_can_run_and_one_missing_file_stops_it(complete, capsys):
    assert diagnose(configured(complete), "paper")
    (complete / "Exp_Pca.bin").unlink()
    assert not diagnose(configured(complete), "paper")
    assert capsys.readouterr().out.count("MISSING") == 1


def test_the_converted_file_takes_the_place_of_the_raw_ones(complete):
    write_ready(complete / "bfm2009_face.mat", load_basel_2009(complete), scipy.io.loadmat(complete / INFO))
    for asset in (*assets.BASEL_RAW, *assets.BASEL_OPTIONAL):
        (complete / asset.names[0]).unlink(missing_ok=True)
    assert diagnose(configured(complete), "paper")


def test_files_that_are_not_the_published_ones_are_pointed_out(complete, capsys):
    assert diagnose(configured(complete), "paper")
    capsys.readouterr()
    size = (complete / "Exp_Pca.bin").stat().st_size
    (complete / "Exp_Pca.bin").write_bytes(b"short")
    assert not diagnose(configured(complete), "paper")
    shown = [line.strip() for line in capsys.readouterr().out.splitlines()]
    differing = [line for line in shown if line.startswith("DIFFERS")]
    assert len(differing) == 2
    assert f"must have {size:,} bytes, got 5" in differing[0]
    assert "SHA-256 begins with 6877a7d63433" in differing[1]


def test_files_that_cannot_be_used_together_stop_it(complete, capsys):
    segments = np.full((load_basel_2009(complete).vertex_count + 80, 1), 3.0)
    write_ready(complete / "bfm2009_face.mat", load_basel_2009(complete), scipy.io.loadmat(complete / INFO))
    scipy.io.savemat(complete / "face05_4seg.mat", {"face05_4seg": segments})
    assert diagnose(configured(complete), "paper")
    for name in ("select_vertex_id.mat", "BFM_exp_idx.mat"):
        (complete / name).unlink()
    capsys.readouterr()
    assert not diagnose(configured(complete), "paper")
    (line,) = [line.strip() for line in capsys.readouterr().out.splitlines() if "BROKEN" in line]
    assert "face05_4seg.mat: numbers the full model's vertices and needs select_vertex_id.mat" in line


def test_a_template_without_landmarks_cannot_run(complete, capsys):
    mine = complete / "mine"
    mine.mkdir()
    (mine / "template.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    assert not diagnose(configured(complete, **{"face_model.source": mine}), "mine")
    assert f"BROKEN   {mine / 'landmarks.txt'}: must name the 68 landmarks" in capsys.readouterr().out


def test_weights_of_another_face_model_cannot_run(complete, capsys):
    """The shipped ones are the default's."""
    shipped = {key: schema.load().regressor.weights for key in ("regressor.weights",)}
    assert not diagnose(configured(complete, **shipped), "paper")
    shown = capsys.readouterr().out
    assert "the weights must belong to the face model" in shown
    assert "cannot run" in shown


@pytest.mark.parametrize(
    ("option", "file", "message"),
    [
        ("mask.weights", "mask.npz", "network weights must be here, got none (run `python main.py --mode masks f"),
        ("prepare.parser", "parser.tflite", "must be"),
    ],
)
def test_files_that_only_masks_need_are_looked_at(root, tmp_path, capsys, option, file, message):
    config = schema.load(overrides={"data.root_dir": str(root), option: str(tmp_path / file)})
    assert not diagnose(config, "default")
    shown = capsys.readouterr().out
    assert f"BROKEN   {tmp_path / file}: {message}" in shown
    assert "cannot run" in shown


def test_damaged_weights_of_the_texture_network_stop_it(complete, capsys):
    path = complete / "texture.npz"
    path.write_bytes(b"PK")
    assert not diagnose(configured(complete, **{"texture.weights": path}), "paper")
    assert f"BROKEN   {path}: must be weights written by this program" in capsys.readouterr().out


def test_the_command_says_both_configurations_and_its_exit_code_the_chosen_one(root, tmp_path, capsys):
    assert main.main(["--mode", "doctor", "--root_dir", str(root)]) == 0
    shown = capsys.readouterr().out
    assert "configs/default.yaml" in shown
    assert "configs/paper.yaml" in shown
    folder = [f"face_model.source={tmp_path}", f"regressor.weights={tmp_path / 'FaceReconModel.pb'}"]
    assert main.main(["--mode", "doctor", "--config", str(ROOT / "configs" / "paper.yaml"), *folder]) == 2


def test_options_that_the_second_configuration_refuses_cost_its_listing_alone(root, capsys):
    assert main.main(["--mode", "doctor", "--root_dir", str(root), "face_model.area=head"]) == 2
    *listing, last = capsys.readouterr().out.splitlines()
    assert "  this configuration cannot run: see above" in listing, "the shipped regressor is the face's"
    assert last.startswith("configs/paper.yaml: not listed, face_model.area: must be face unless face_model.source is ")


def test_other_forms_of_face_models_are_recognised_and_named_where_nothing_is(tmp_path, capsys):
    mine = tmp_path / "mine"
    mine.mkdir()
    diagnose(configured(mine), "paper")
    before, after = capsys.readouterr().out.split(f"{mine}: or a face model of this program (.npz)\n")
    assert "01_MorphableModel.mat" in before, "what is missing comes first"
    assert f"{mine}: or a mesh of your own (folder with template.obj" in after
    (mine / "template.obj").write_text("v 0 0 0\n")
    diagnose(configured(mine), "paper")
    shown = capsys.readouterr().out
    (line,) = [line for line in shown.splitlines() if "a mesh of your own" in line]
    assert line.strip().startswith("ok")
    assert "BROKEN" in shown, "the mesh is one vertex"
    assert "01_MorphableModel.mat" not in shown
    surrey = tmp_path / "share"
    surrey.mkdir()
    (surrey / "sfm_shape_3448.bin").write_bytes(bytes(8))
    diagnose(configured(surrey), "paper")
    assert f"ok       {surrey}: Surrey Face Model" in capsys.readouterr().out


def test_the_command_that_makes_missing_networks_names_their_configuration(tmp_path, capsys):
    """Without it, it would train networks for the built-in model."""
    config = schema.load(ROOT / "configs" / "ict.yaml", [f"regressor.weights={tmp_path / 'r.npz'}"])
    assert not diagnose(config, "configs/ict.yaml")
    shown = capsys.readouterr().out.splitlines()
    assert f"    MISSING  {tmp_path / 'r.npz'}: python main.py --mode pretrain --config configs/ict.yaml" in shown


def test_pytorch_and_slim_checkpoints_are_looked_for_where_they_are_named(tmp_path, capsys):
    paths = [tmp_path / "epoch_20.pth", tmp_path / "resnet_v1_50.ckpt"]
    options = [f"regressor.weights={paths[0]}", f"pretrain.initial={paths[1]}", f"data.root_dir={tmp_path}"]
    assert not diagnose(schema.load(overrides=options), "default")
    shown = capsys.readouterr().out
    for path, asset in zip(paths, (assets.REGRESSOR_CHECKPOINT, assets.SLIM_CHECKPOINT), strict=True):
        (line,) = [line for line in shown.splitlines() if str(path) in line]
        assert line.strip().startswith("MISSING")
        assert asset.source in line
    paths[0].write_bytes(b"1")
    paths[1].with_name("resnet_v1_50.ckpt.index").write_bytes(b"1")
    capsys.readouterr()
    assert not diagnose(schema.load(overrides=options), "default")
    shown = capsys.readouterr().out
    assert f"ok       {paths[0]}" in shown
    assert f"ok       {paths[1]}.index" in shown
    assert f"BROKEN   {paths[0]}" in shown  # one byte is no checkpoint


def test_a_face_model_of_ones_own_is_looked_at_before_its_networks_are_trained(tmp_path, capsys):
    """Photos of its faces could not be rendered: it is a closed surface, or has no skin at its front."""
    model = golden_face_model()
    closed = np.concatenate([model.triangles, model.triangles[:, ::-1]])
    for changes, message in (
        ({"triangles": closed}, "triangles must have a border to join the head to, got a closed surface"),
        ({"skin_mask": ~model.front_mask}, "skin_mask and front_mask must share a vertex, got none in both"),
    ):
        config = toy_configuration(tmp_path, 32)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(published, "check_own_model", lambda *_, **__: None)  # a doubled surface faces both ways
            dataclasses.replace(model, **changes).save(config.face_model.source)
            assert not diagnose(config, "mine.yaml")
        shown = capsys.readouterr().out
        assert f"BROKEN   face model 'golden': {message}" in shown
        assert "regressor.npz: python main.py --mode pretrain --config mine.yaml" in shown
