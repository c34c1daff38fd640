import numpy as np
import pandas as pd
import pytest
from scipy.stats import kstest

from helpers.error_analysis.combinations import Combinations, describe_combinations, errors_by_combination
from helpers.error_analysis.subgroups import score_test
from helpers.study import EvaluationParams

PARAMS = EvaluationParams(n_bootstrap=200)


def cohort_of(n_patients: int) -> pd.DataFrame:
    """Two images of each patient; sex and model are crossed evenly, the manufacturer follows from the model."""
    patient = np.repeat(np.arange(n_patients), 2)
    return pd.DataFrame(
        {
            "sample_id": [f"s{i}" for i in range(2 * n_patients)],
            "PatientID": [f"p{i}" for i in patient],
            "PatientSex": np.where(patient % 2, "F", "M"),
            "ManufacturerModelName": np.where(patient // 2 % 2, "X", "Y"),
            "Manufacturer": np.where(patient // 2 % 2, "of X", "of Y"),
            "SliceThickness": np.nan,
        }
    )


def found_of(cohort: pd.DataFrame, *, is_error: pd.Series) -> Combinations:
    ranked = cohort[["sample_id"]].assign(is_error=is_error).sample(frac=1, random_state=0)
    return errors_by_combination(ranked, cohort=cohort, params=PARAMS)


def test_a_combination_that_fails_alone_is_found():
    cohort = cohort_of(80)
    is_bad = (cohort["PatientSex"] == "F") & (cohort["ManufacturerModelName"] == "Y")
    found = found_of(cohort, is_error=is_bad & (cohort.index % 4 != 0))
    (row,) = found.table.to_dict("records")
    assert (row["factor"], row["group"]) == ("sex × manufacturer", "F, of Y")
    assert (row["images"], row["patients"]) == (40, 20)
    assert isinstance(row["images"], int)
    assert row["error_rate"] == pytest.approx(row["errors"] / 40)
    assert row["p_holm"] < 0.001
    assert "is found in 1 of these pairs" in describe_combinations(found, confidence=0.95)


def test_effects_that_add_up_are_none():
    cohort = cohort_of(160)
    wrong = (cohort["PatientSex"] == "F").astype(int) + (cohort["ManufacturerModelName"] == "Y")
    found = found_of(cohort, is_error=cohort.index // 8 % 4 < wrong)
    assert found.table["expected"].tolist() == pytest.approx(found.table["error_rate"].tolist())
    assert "is found in none of these pairs" in describe_combinations(found, confidence=0.95)


def test_columns_that_divide_alike_count_once_and_one_that_follows_from_another_is_not_crossed():
    cohort = cohort_of(44).assign(KVP=lambda table: table["Manufacturer"].map({"of X": 100.0, "of Y": 120.0}))
    found = found_of(cohort, is_error=cohort.index % 3 == 0)
    assert (found.n_pairs, found.n_large_enough, found.n_tested) == (1, 1, 4)
    rarer = cohort.assign(KVP=cohort["KVP"].where(cohort["PatientID"] != "p0", 100.0))
    found = found_of(rarer, is_error=cohort.index % 3 == 0)
    assert (found.n_pairs, found.n_large_enough) == (3, 2)


@pytest.mark.parametrize("n_patients", [36, 1])
def test_small_combinations_are_left_out_in_words(n_patients):
    found = found_of(cohort_of(n_patients), is_error=pd.Series([True, False] * n_patients))
    assert found.table.empty
    words = describe_combinations(found, confidence=0.95)
    assert "no pair of columns has at least 20 images of 10 patients" in words


def test_without_errors_nothing_differs():
    cohort = cohort_of(80)
    found = found_of(cohort, is_error=pd.Series(False, index=cohort.index))
    assert (found.table["p_holm"] == 1).all()


def test_the_test_keeps_its_level_beside_effects_of_both_columns():
    rng = np.random.default_rng(0)
    p_values = []
    for _ in range(300):
        first, second = (np.repeat(rng.random(80) < 0.5, 3) for _ in range(2))
        wrong = rng.random(240) < 0.1 + 0.2 * first + 0.2 * second + np.repeat(rng.uniform(-0.1, 0.1, 80), 3)
        given = np.column_stack([np.ones(240), first, second])
        patients = np.repeat(np.arange(80), 3).astype(str)
        p_values.append(score_test(wrong.astype(float), inside=first & second, patients=patients, given=given))
    assert np.mean(np.array(p_values) < 0.05) < 0.09
    assert kstest(p_values, "uniform").pvalue > 0.001
