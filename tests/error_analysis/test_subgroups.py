import numpy as np
import pandas as pd
import pytest
from scipy.stats import kstest
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportions_ztest

from helpers.error_analysis.subgroups import (
    NAMES,
    Subgroups,
    describe_subgroups,
    errors_by_subgroup,
    grouped,
    score_test,
)
from helpers.error_analysis.wording import COLUMN_TITLES
from helpers.study import EvaluationParams

PARAMS = EvaluationParams(n_bootstrap=200)


def tables(n_patients: int = 60) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Two images of each patient; those of scanner Y are all wrong, of the others none."""
    n = 2 * n_patients
    patient = np.repeat(np.arange(n_patients), 2)
    cohort = pd.DataFrame(
        {
            "sample_id": [f"s{i}" for i in range(n)],
            "PatientID": [f"p{i}" for i in patient],
            "PatientSex": np.where(patient % 2, "F", "M"),
            "PatientAge": [f"{30 + i:03d}Y" for i in patient],
            "ManufacturerModelName": np.where(patient % 3 == 0, "Y", "X"),
            "ConvolutionKernel": np.where(patient == 0, "rare", "common"),
            "Manufacturer": "one",
            "KVP": np.nan,
        }
    )
    ranked = cohort[["sample_id"]].assign(is_error=cohort["ManufacturerModelName"] == "Y")
    return ranked.sample(frac=1, random_state=0), cohort


@pytest.fixture
def found() -> Subgroups:
    ranked, cohort = tables()
    return errors_by_subgroup(ranked, cohort=cohort, params=PARAMS)


def test_the_bad_scanner_stands_out_after_correction(found):
    scanner = found.table[found.table["factor"] == "scanner model"].set_index("group")
    assert scanner.loc["Y", ["images", "patients", "errors", "error_rate"]].tolist() == [40, 20, 40, 1]
    assert scanner.loc["Y", "difference"] == 1
    assert scanner.loc["Y", "p_holm"] < 0.001
    assert (found.table.loc[found.table["factor"] == "sex", "p_holm"] > 0.5).all()
    assert "of scanner model: Y (40 of 40 images" in describe_subgroups(found, confidence=0.95)


def test_corrected_for_every_row(found):
    np.testing.assert_allclose(found.table["p_holm"], multipletests(found.table["p"], method="holm")[1])


def test_each_factor_counts_every_image_once_and_the_rest_is_named(found):
    counts = found.table.groupby("factor")["images"].sum()
    assert counts.to_dict() == {
        "kernel": 118, "scanner model": 120, "age (years)": 120, "sex": 120,
    }  # fmt: skip
    assert found.too_small == ("kernel: rare",)
    assert found.alike == ("manufacturer",)
    assert {"tube voltage (kV)", "level", "grade"} <= set(found.unknown)
    words = describe_subgroups(found, confidence=0.95)
    assert "The same in all images: manufacturer." in words
    assert "tube voltage (kV)" in words
    assert "Rescale" not in words


def test_no_error_and_no_column_are_sentences():
    ranked, cohort = tables()
    found = errors_by_subgroup(ranked.assign(is_error=False), cohort=cohort, params=PARAMS)
    assert (found.table["p_holm"] == 1).all()
    assert describe_subgroups(found, confidence=0.95).startswith("No group has an error")
    bare = errors_by_subgroup(ranked, cohort=cohort[["sample_id", "PatientID"]], params=PARAMS)
    assert bare.table.empty
    assert describe_subgroups(bare, confidence=0.95).startswith("No column divides")


def test_numbers_fall_into_thirds_and_few_values_stay():
    ages = pd.Series(["030Y", "040Y", "050Y", "060Y", "070Y", "080Y", None], name="PatientAge")
    assert grouped(ages).value_counts().tolist() == [2, 2, 2]
    assert grouped(ages).isna().sum() == 1
    assert grouped(ages).cat.categories.tolist() == ["up to 46.67", "46.67 to 63.33", "over 63.33"]
    assert grouped(pd.Series([100.0, 120.0, np.nan], name="KVP")).tolist()[:2] == ["100", "120"]


def test_numbers_that_are_mostly_one_value_have_the_groups_that_there_are():
    kept = grouped(pd.Series([1.0] * 20 + [2.0, 3, 4, 5, 6, np.nan], name="Exposure"))
    assert kept.value_counts().to_dict() == {"up to 1": 20, "over 1": 5}


def test_every_column_has_a_title():
    assert set(NAMES) <= set(COLUMN_TITLES)
    assert len({COLUMN_TITLES[name] for name in NAMES}) == len(NAMES)


def test_what_is_held_fixed_explains_a_difference_that_is_its_own():
    """A group of which one half is all old, where age alone makes errors: no difference at equal age."""
    rng = np.random.default_rng(0)
    is_old = rng.random(2000) < 0.5
    inside = rng.random(2000) < np.where(is_old, 0.7, 0.2)
    wrong = (rng.random(2000) < np.where(is_old, 0.4, 0.1)).astype(float)
    patients, age = np.arange(2000).astype(str), np.column_stack([np.ones(2000), is_old])
    assert score_test(wrong, inside=inside, patients=patients) < 1e-6
    assert score_test(wrong, inside=inside, patients=patients, given=age) > 0.05


def test_score_test_of_independent_images_is_the_test_of_two_shares():
    rng = np.random.default_rng(0)
    inside = rng.random(400) < 0.3
    wrong = (rng.random(400) < np.where(inside, 0.25, 0.15)).astype(float)
    counts, sizes = [wrong[inside].sum(), wrong[~inside].sum()], [inside.sum(), (~inside).sum()]
    expected = proportions_ztest(counts, sizes)[1]
    assert score_test(wrong, inside=inside, patients=np.arange(400).astype(str)) == pytest.approx(expected, abs=0.02)


def test_score_test_keeps_its_level_when_images_of_a_patient_fail_together():
    rng = np.random.default_rng(1)
    patients = np.repeat(np.arange(80), 4)
    p_values = []
    for _ in range(300):
        inside = (rng.random(80) < 0.4)[patients]
        wrong = (rng.random(80) < 0.2)[patients].astype(float)
        p_values.append(score_test(wrong, inside=inside, patients=patients.astype(str)))
    assert np.mean(np.array(p_values) < 0.05) < 0.09
    assert kstest(p_values, "uniform").pvalue > 0.001
