import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from helpers.cohort.audit import metadata_model
from helpers.cohort.audit.metadata_model import metadata_auroc, weighted_auroc


@given(data=st.data())
def test_the_weighted_auroc_is_that_of_scikit_learn(data):
    n = data.draw(st.integers(2, 25))
    scores = np.array(data.draw(st.lists(st.integers(0, 5), min_size=n, max_size=n)), float)
    truth = pd.Series(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    weights = np.array(data.draw(st.lists(st.lists(st.integers(0, 3), min_size=n, max_size=n), min_size=1, max_size=3)))
    for found, weight in zip(weighted_auroc(truth, scores, weights=weights), weights, strict=True):
        kept = weight > 0
        if truth[kept].nunique() < 2:
            assert np.isnan(found)
        else:
            assert found == pytest.approx(roc_auc_score(truth[kept], scores[kept], sample_weight=weight[kept]))


@pytest.fixture(autouse=True)
def _small_forest(monkeypatch):
    monkeypatch.setattr(metadata_model, "TREES", 20)


def units(scanner, *, n=150, seed=0):
    """One row per patient, three classes in turn; `scanner` gives the column from the class numbers."""
    rng = np.random.default_rng(seed)
    classes = np.arange(n) % 3
    return pd.DataFrame(
        {
            "PatientID": [f"p{number:03d}" for number in range(n)],
            "label": np.array(list("ABC"))[classes],
            "scanner": scanner(classes, rng),
            "KVP": rng.choice([100.0, 120.0, np.nan], n),
        }
    )


def test_a_scanner_per_class_is_found_out():
    found = metadata_auroc(
        units(lambda classes, rng: np.array(list("xyz"))[classes].astype(object)), columns=["scanner", "KVP"]
    )
    assert found.ci_low > 0.99
    assert found.n_patients == 150


def test_a_scanner_that_is_missing_for_one_class_is_found_out():
    found = metadata_auroc(
        units(lambda classes, rng: np.where(classes == 1, None, "x").astype(object)), columns=["scanner"]
    )
    # B is told from the others, A from C is not: (1 + 0.75 + 0.75) / 3 at best.
    assert found.auroc == pytest.approx(0.83, abs=0.06)


def test_chance_is_one_half():
    found = [
        metadata_auroc(
            units(lambda classes, rng: rng.choice(list("xyz"), len(classes)).astype(object), seed=seed),
            columns=["scanner", "KVP"],
        )
        for seed in range(4)
    ]
    assert np.mean([one.auroc for one in found]) == pytest.approx(0.5, abs=0.05)
    assert all(one.ci_low < 0.5 for one in found)


def test_few_patients_or_no_column_give_no_model():
    few = units(lambda classes, rng: classes.astype(float), n=24)
    assert metadata_auroc(few, columns=["scanner"]) is None
    assert metadata_auroc(few, columns=[]) is None


def test_the_estimate_says_what_it_is():
    found = metadata_auroc(units(lambda classes, rng: classes.astype(float)), columns=["scanner"])
    assert str(found) == "a cross-validated AUROC of 1.00 (95 % interval 1.00 to 1.00, 150 patients)"
