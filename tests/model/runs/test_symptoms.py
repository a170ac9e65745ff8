"""model/runs/symptoms.py: symptoms are measured, reported once, and not seen in healthy runs."""

import numpy as np
import pytest
import tensorflow as tf

from model.runs.symptoms import (
    EARLIEST,
    FOLLOWED,
    SATURATED,
    SEPARATION,
    WINDOW,
    Dependence,
    PredictedTexture,
    Symptoms,
    batch_dependence,
    saturation,
)

GENERATOR = np.random.default_rng(0)
WANTED = GENERATOR.uniform(0, 1, (6, 50, 3))
SHOWN = np.ones((6, 50, 1))


def dependence(made, wanted=WANTED, visibility=SHOWN) -> float:
    measure = Dependence()
    for crop in range(len(wanted)):
        measure.add(PredictedTexture(*(values[crop : crop + 1] for values in (made, wanted, visibility))))
    return measure.share()


def test_the_dependence_of_an_output_on_the_photo():
    mean = np.broadcast_to(WANTED.mean(axis=0), WANTED.shape)
    assert dependence(WANTED) == pytest.approx(1)
    assert dependence(mean) == pytest.approx(0, abs=1e-9), "a mean face"
    assert dependence(mean + 0.25 * (WANTED - mean)) == pytest.approx(0.25)
    assert abs(dependence(GENERATOR.uniform(0, 1, WANTED.shape))) < 0.1, "differences that are not the photos'"
    shown = np.array(SHOWN)
    shown[:, 25:] = 0
    assert dependence(np.where(shown > 0, WANTED, mean), visibility=shown) == pytest.approx(1), "hidden vertices"


def test_the_dependence_needs_photos_that_differ():
    assert np.isnan(dependence(WANTED[:2], WANTED[:2], SHOWN[:2]))
    alike = np.broadcast_to(WANTED[:1], WANTED.shape)
    assert np.isnan(dependence(WANTED, alike))
    assert np.isnan(dependence(WANTED, WANTED, 0 * SHOWN))


def test_the_dependence_within_a_batch():
    truth = tf.constant(WANTED[:, :, 0])
    assert float(batch_dependence(truth, truth)) == pytest.approx(1)
    assert float(batch_dependence(0 * truth + 3, truth)) == pytest.approx(0)
    assert float(batch_dependence(0.3 * truth + 1, truth)) == pytest.approx(0.3)
    assert float(batch_dependence(truth, 0 * truth)) == 0


def test_saturation_counts_what_only_the_rendering_has():
    rendering = np.array([[[0.5, 0.5, 0.5], [1.3, 0.5, -0.1], [2.0, 2.0, 2.0], [2.0, 2.0, 2.0]]])
    image = np.array([[[0.5, 0.5, 0.5], [0.7, 0.5, 0.3], [1.0, 1.0, 0.5], [0.5, 0.5, 0.5]]])
    mask = np.array([[[1.0], [1.0], [1.0], [0.0]]])
    assert float(saturation(rendering, image, mask)) == pytest.approx(3 / 9)
    assert float(saturation(rendering, image, 0 * mask)) == 0


def reports(capsys, *measured, update=EARLIEST, learning=True, smooth=1) -> list[str]:
    symptoms = Symptoms("regressor", smooth)
    for terms in measured:
        symptoms.measure(terms, update, learning)
    return capsys.readouterr().err.splitlines()


COLLAPSED, HEALTHY = {"dependence": FOLLOWED / 2}, {"dependence": 0.9, "saturated": 0.01}


def test_a_mean_face_is_reported_once(capsys):
    (line,) = reports(capsys, COLLAPSED, COLLAPSED, COLLAPSED)
    assert line.startswith("warning: the regressor's texture is nearly the same for every photo, it follows 5% of")
    assert "start again" in line
    assert reports(capsys, HEALTHY, COLLAPSED, HEALTHY, COLLAPSED) == [], "a single measurement is none"
    assert reports(capsys, COLLAPSED, COLLAPSED, update=EARLIEST - 1) == []
    assert reports(capsys, COLLAPSED, COLLAPSED, learning=False) == []
    assert reports(capsys, {"dependence": np.nan}, {"dependence": np.nan}) == []


def test_each_part_is_reported_for_itself(capsys):
    shape, albedo = reports(capsys, *[{"dependence shape": 0.0, "dependence albedo": 0.01}] * 9, smooth=8)
    assert "regressor's shape is nearly" in shape
    assert "regressor's albedo is nearly" in albedo
    assert reports(capsys, *[{"dependence shape": 0.0}] * 7, smooth=8) == []


def test_saturated_light_is_reported_once(capsys):
    saturated = {"saturated": 2 * SATURATED}
    (line,) = reports(capsys, saturated, saturated, saturated)
    assert line.startswith("warning: 30% of the faces are black or overexposed")
    assert "--mode pretrain" in line
    pretraining = Symptoms("regressor", light_advice="start again")
    for _ in range(2):
        pretraining.measure(saturated, EARLIEST)
    assert capsys.readouterr().err.endswith("not in the photos (start again)\n")
    assert reports(capsys, HEALTHY, HEALTHY, HEALTHY) == []


def critic_reports(capsys, *windows: float) -> list[str]:
    symptoms = Symptoms("texture network")
    for mean in windows:
        for noise in np.linspace(-0.5, 0.5, WINDOW):
            symptoms.critic({"separation": mean + noise, "critic": 1.0})
    return capsys.readouterr().err.splitlines()


def test_a_critic_that_has_won_is_reported_once(capsys):
    (line,) = critic_reports(capsys, 1.0, 2 * SEPARATION, 3 * SEPARATION, 4 * SEPARATION)
    assert line.startswith(f"warning: the critic has won: it separates photos and renderings by {2 * SEPARATION:.1f} t")
    assert "lower gan.learning_rate" in line
    assert critic_reports(capsys, 0.2, 0.5, 0.9, 0.8, 0.9) == [], "within the slope that the penalty allows"
    assert critic_reports(capsys, 1.0, 0.9, 0.8) == []
    symptoms = Symptoms("texture network")
    for _ in range(3 * WINDOW):
        symptoms.critic({"render": 1.0})
    assert capsys.readouterr().err == ""
