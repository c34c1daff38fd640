import numpy as np
import pandas as pd
import pytest

from helpers.evaluation.predictions import out_of_fold
from helpers.evaluation.temperature import SMALLEST, fit_temperature, fit_temperatures, scale_logits, scaled_samples


def calibrated(n, *, seed=0):
    """Logits whose softmax is true by construction: classes are drawn with these very probabilities."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.5, (n, 3))
    gumbel = rng.gumbel(size=logits.shape)
    return logits, (logits + gumbel).argmax(axis=1)


@pytest.mark.parametrize("stretch", [0.5, 1.0, 2.0])
def test_temperature_undoes_a_stretch_of_true_logits(stretch):
    logits, codes = calibrated(20_000)
    assert fit_temperature(stretch * logits, codes) == pytest.approx(stretch, rel=0.04)


def test_temperature_has_the_smallest_log_loss():
    logits, codes = calibrated(300, seed=3)

    def loss(temperature):
        scaled = logits / temperature
        return (np.log(np.exp(scaled).sum(axis=1)) - scaled[np.arange(300), codes]).mean()

    found = fit_temperature(logits, codes)
    assert loss(found) <= min(loss(found * factor) for factor in (0.98, 1.02))


def test_perfect_validation_stops_at_the_bound():
    assert SMALLEST <= fit_temperature(np.eye(3), np.arange(3)) < 2 * SMALLEST


@pytest.fixture
def predictions(make_predictions):
    parts = []
    for fold, seed in ((0, 0), (0, 1), (1, 0)):
        for split, stretch in (("validation", 3.0), ("test", 1.0), ("train", 9.0)):
            logits, codes = calibrated(2000, seed=len(parts))
            y_true = np.array(list("ABC"))[codes]
            part = make_predictions(y_true, stretch * logits * (1 + fold), split=split, fold=fold, seed=seed)
            parts.append(part.assign(sample_id=f"{len(parts)}" + part["sample_id"]))
    return pd.concat(parts, ignore_index=True)


def test_each_fold_and_seed_looks_at_its_own_validation_images(predictions):
    found = fit_temperatures(predictions, classes="ABC")
    assert found[["fold", "seed"]].to_numpy().tolist() == [[0, 0], [0, 1], [1, 0]]
    assert found["temperature"].tolist() == pytest.approx([3, 3, 6], rel=0.1)
    assert found["n_samples"].tolist() == [2000] * 3
    changed = predictions.assign(logit_A=predictions["logit_A"].where(predictions["split"] != "test", 0.0))
    pd.testing.assert_frame_equal(fit_temperatures(changed, classes="ABC"), found)


def test_without_validation_images_logits_stay(predictions):
    tested = predictions[predictions["split"] != "validation"]
    found = fit_temperatures(tested, classes="ABC")
    assert found["temperature"].tolist() == [1.0] * 3
    assert found["n_samples"].tolist() == [0] * 3


def test_every_row_is_divided_by_its_own_temperature(predictions):
    temperatures = fit_temperatures(predictions, classes="ABC").assign(temperature=[1.0, 2.0, 4.0])
    scaled = scale_logits(predictions, temperatures=temperatures, classes="ABC")
    divisor = predictions["fold"] * 3 + predictions["seed"] + 1
    for name in ("logit_A", "logit_B", "logit_C"):
        np.testing.assert_allclose(scaled[name], predictions[name] / divisor)


def test_answers_of_single_networks_do_not_change(predictions):
    one = predictions[predictions["seed"] == 0]
    temperatures = fit_temperatures(one, classes="ABC")
    before = out_of_fold(one, classes="ABC")
    after = scaled_samples(one, temperatures=temperatures, classes="ABC")
    assert before["y_pred"].tolist() == after["y_pred"].tolist()
    assert not np.allclose(before["p_A"], after["p_A"])
