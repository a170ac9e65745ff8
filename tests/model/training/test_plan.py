"""The plan of a training: which terms count at each stage, and the order of the crops."""

import dataclasses

import numpy as np
import pytest

from model.runs import checkpoints
from model.runs.schedule import warmup_cosine
from model.training.plan import TrainingPlan, learns_from_photos, loss_weights
from tests.support.toy_faces import toy_configuration

SIZE = 32


def configuration(folder, **overrides):
    return toy_configuration(folder, SIZE, train__epochs=2, train__batch_size=2, schedule__warmup=1, **overrides)


def test_stages_select_their_terms(tmp_path):
    progress = checkpoints.Progress(update=50, epoch=3)
    everything = loss_weights(configuration(tmp_path), progress, 100)
    assert all(value > 0 for value in everything.values())
    rec = loss_weights(configuration(tmp_path, train__stage="rec"), progress, 100)
    assert {name for name, value in rec.items() if value} == {"coarse", "weight_decay"}
    render = loss_weights(configuration(tmp_path, train__stage="render"), progress, 100)
    assert {name for name, value in render.items() if not value} == {"coarse"}


def test_each_term_has_its_own_weight(tmp_path):
    given = {"render": 0.11, "project": 0.12, "hidden": 0.13, "albedo": 0.14, "symmetry": 0.15, "variance": 0.16}
    given |= {"identity": 0.17, "weight_decay": 0.18}
    config = configuration(tmp_path, **{f"loss__{name}": weight for name, weight in given.items()})
    found = loss_weights(config, checkpoints.Progress(update=50, epoch=3), 100)
    assert {name: found[name] for name in given} == pytest.approx(given)


def test_the_published_stages_start_with_the_copy_alone(tmp_path):
    paper = configuration(tmp_path, schedule__stages="published", loss__identity=0.2, gan__enabled=True)
    first = loss_weights(paper, checkpoints.Progress(), 100)
    assert {name for name, value in first.items() if value} == {"coarse", "weight_decay"}
    later = loss_weights(paper, checkpoints.Progress(epoch=5), 100)
    assert later["coarse"] == pytest.approx(0.2 * paper.loss.coarse)
    assert later["identity"] == pytest.approx(0.2)
    assert later["adversarial"] == pytest.approx(1e-3)
    assert not learns_from_photos(first), "so that a mean face is no symptom yet"
    assert learns_from_photos(later)


def test_the_published_stages_do_not_delay_a_run_without_the_copy(tmp_path):
    paper = configuration(tmp_path, schedule__stages="published", train__stage="render")
    first = loss_weights(paper, checkpoints.Progress(), 100)
    assert first == loss_weights(paper, checkpoints.Progress(epoch=9), 100)
    assert first["render"] > 0 == first["coarse"]


def test_a_coarse_weight_of_zero_switches_the_term_off(tmp_path):
    config = configuration(tmp_path, loss__coarse=0.0)
    assert config.schedule.coarse_end > 0
    assert {loss_weights(config, checkpoints.Progress(update=u), 100)["coarse"] for u in (0, 5, 99)} == {0.0}


@pytest.mark.parametrize("fraction", [0.1, 0.0])
def test_the_coarse_weight_never_rises(tmp_path, fraction):
    """Also one that begins below the weight that others end at."""
    config = configuration(tmp_path, loss__coarse=0.02, schedule__coarse_fraction=fraction)
    weights = [loss_weights(config, checkpoints.Progress(update=u), 1000)["coarse"] for u in (0, 50, 100, 999)]
    assert weights == pytest.approx([0.02] * 4)


def test_the_plan_reads_every_crop_once_an_epoch_in_another_order_each(tmp_path):
    config = configuration(tmp_path)
    plan = TrainingPlan(config, list(range(6)))
    first, second = plan.order(checkpoints.Progress()), plan.order(checkpoints.Progress(epoch=1, update=3))
    assert sorted(first) == sorted(second) == list(range(6))
    assert first != second
    assert plan.order(checkpoints.Progress(update_in_epoch=1, update=1)) == first[2:]
    longer = TrainingPlan(dataclasses.replace(config, train=dataclasses.replace(config.train, updates_per_epoch=5)),
                            list(range(6)))  # fmt: skip
    assert len(longer.order(checkpoints.Progress())) == 10


def test_the_default_rates_follow_the_updates(tmp_path):
    rates = {"train__learning_rate": 3e-3, "gan__learning_rate": 1e-4}
    config = configuration(tmp_path, gan__enabled=True, **rates)
    plan = TrainingPlan(config, list(range(200)))  # 100 updates an epoch
    for epoch, update in ((0, 0), (0, 50), (1, 50), (1, 150)):
        progress = checkpoints.Progress(epoch=epoch, update=update)
        share = warmup_cosine(update, 200, 1.0, 1)
        assert plan.learning_rate(progress) == pytest.approx(3e-3 * share)
        assert plan.critic_rate(progress) == pytest.approx(1e-4 * share)


def test_published_rates_fall_with_the_epochs(tmp_path):
    config = configuration(tmp_path, schedule__rate="staircase", schedule__decay=0.9, train__learning_rate=2e-3)
    plan = TrainingPlan(config, list(range(6)))
    rates = [plan.learning_rate(checkpoints.Progress(epoch=epoch)) for epoch in range(3)]
    assert rates == pytest.approx([2e-3, 1.8e-3, 1.62e-3])


def test_the_critics_draws_are_not_those_of_any_order(tmp_path):
    """NumPy fills seeds up with zeros: [2, 3] and [2, 3, 0] are one stream."""
    plan = TrainingPlan(configuration(tmp_path, gan__enabled=True), list(range(6)))
    draws = plan.critic_draws(checkpoints.Progress(update=3))
    for repetition in range(3):
        order = np.random.default_rng([plan.seed, 3, repetition])
        assert order.uniform(size=len(draws)).tolist() != draws
    assert draws != plan.critic_draws(checkpoints.Progress(update=4))
    other = TrainingPlan(configuration(tmp_path, gan__enabled=True, train__seed=plan.seed + 1), list(range(6)))
    assert draws != other.critic_draws(checkpoints.Progress(update=3))
