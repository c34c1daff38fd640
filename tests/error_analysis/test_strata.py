import numpy as np
import pandas as pd
import pytest

from helpers.error_analysis.strata import errors_by_truth
from helpers.study import EvaluationParams

PARAMS = EvaluationParams(n_bootstrap=200)
NAMES = {"A": "compression", "B": "burst", "C": "normal"}


@pytest.fixture
def rates() -> pd.DataFrame:
    columns = ["label", "height_ratio", "subtype", "acuteness", "canal_narrowing", "neighbours_fractured", "offset_mm"]
    rows = [
        ("A", 0.80, "wedge", "acute", 0.0, 0, 0.0),
        ("A", 0.75, "wedge", "chronic", 0.0, 1, -2.0),
        ("A", 0.55, "crush", "chronic", 0.02, 0, 4.5),
        ("B", 0.62, "complete burst", "acute", 0.30, 0, -1.0),
        ("C", 0.95, "none", "none", 0.0, 2, 3.0),
    ]
    truth = pd.DataFrame(rows, columns=columns)
    truth = truth.assign(sample_id=[f"s{i}" for i in range(5)], PatientID=["p0", "p0", "p1", "p2", "p3"])
    ranked = pd.DataFrame({"sample_id": ["s4", "s0", "s1", "s2", "s3"], "is_error": [True, False, True, True, False]})
    return errors_by_truth(ranked, truth=truth, class_names=NAMES, params=PARAMS)


def group(rates: pd.DataFrame, factor: str, name: str) -> pd.Series:
    (row,) = (row for _, row in rates[(rates["factor"] == factor) & (rates["group"] == name)].iterrows())
    return row


def test_rate_and_interval_of_a_group(rates):
    row = group(rates, "reference class", "A compression")
    assert row[["images", "patients", "errors"]].tolist() == [3, 2, 2]
    assert row["error_rate"] == pytest.approx(2 / 3)
    assert 0 < row["ci_low"] < 0.5  # p0 alone is wrong in 1 of 2, p1 in 1 of 1: two patients tell little
    assert 2 / 3 < row["ci_high"] < 1


def test_a_single_patient_has_a_rate_without_an_interval(rates):
    row = group(rates, "reference class", "B burst")
    assert row["error_rate"] == 0
    assert np.isnan([row["ci_low"], row["ci_high"]]).all()


def test_bands_begin_at_their_lower_edge(rates):
    lost = rates[rates["factor"] == "height lost"]
    assert lost[["group", "images"]].to_numpy().tolist() == [
        ["20 to 25 % (mild)", 1],
        ["25 to 40 % (moderate)", 2],
        ["over 40 % (severe)", 1],
    ]
    assert group(rates, "plane beside the middle", "2 to 4 mm")["images"] == 2
    assert group(rates, "canal narrowed", "under 10 %")["images"] == 3


@pytest.mark.parametrize(
    ("factor", "images"),
    [("reference class", 5), ("height lost", 4), ("subtype", 4), ("age of the fracture", 4), ("canal narrowed", 4),
     ("fractured neighbours", 5), ("plane beside the middle", 5)],
)  # fmt: skip
def test_each_factor_counts_every_image_that_it_applies_to_once(rates, factor, images):
    assert rates.loc[rates["factor"] == factor, "images"].sum() == images


def test_simulated_images_fall_into_named_groups(truth):
    ranked = truth.table[["sample_id"]].assign(is_error=False)
    rates = errors_by_truth(ranked, truth=truth.table, class_names=NAMES, params=PARAMS)
    assert (rates["error_rate"] == 0).all()
    assert rates.groupby("factor")["images"].sum().eq(18).sum() == 3
    assert rates.loc[rates["factor"] == "canal narrowed"].set_index("group")["images"]["under 10 %"] == 6
