from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from helpers.error_analysis import morphometry
from helpers.error_analysis.morphometry import (
    BEND,
    MEASURES,
    compare_measures,
    comparison_rows,
    describe_comparisons,
    error_table,
    measure_bodies,
    strongest_path,
)
from helpers.evaluation import out_of_fold
from helpers.evaluation.baselines import baseline_predictions, linear_model
from helpers.evaluation.comparison import Comparison
from helpers.evaluation.estimates import Metric
from helpers.study import EvaluationParams

PARAMS = EvaluationParams(n_bootstrap=200)
SIZE, SPACING_MM = 120, 0.7


def drawn(*, anterior: float = 26.0, posterior: float = 26.0, bulge: float = 0.0, tilt_deg: float = 0.0) -> np.ndarray:
    """A body of 34 mm depth in HU, bright on dark; the bulge is the upper half of its back."""
    places = (np.arange(SIZE) - (SIZE - 1) / 2) * SPACING_MM
    rows, columns = np.meshgrid(places, places, indexing="ij")
    angle = np.deg2rad(tilt_deg)
    down, along = rows * np.cos(angle) - columns * np.sin(angle), rows * np.sin(angle) + columns * np.cos(angle)
    share = (along + 15.3) / 30.6  # heights are read 1.7 mm inside the walls
    half = (anterior + (posterior - anterior) * share) / 2
    back = 17 + np.where(down < 0, bulge, 0)
    return np.where((np.abs(down) < half) & (along > -17) & (along < back), 300, 0).astype(np.int16)


@pytest.mark.parametrize(
    ("anterior", "posterior", "tilt_deg"), [(26, 26, 0), (18, 26, 0), (22, 22, 15), (20, 27, -12), (14, 20, 0)]
)
def test_heights_of_a_drawn_body_are_found(anterior, posterior, tilt_deg):
    image = drawn(anterior=anterior, posterior=posterior, tilt_deg=tilt_deg)
    (found,) = measure_bodies(image[None], spacing_mm=SPACING_MM).to_dict("records")
    assert found["anterior_mm"] == pytest.approx(anterior, abs=1.2)
    assert found["posterior_mm"] == pytest.approx(posterior, abs=1.2)
    assert found["middle_mm"] == pytest.approx((anterior + posterior) / 2, abs=1.2)
    assert found["depth_mm"] == pytest.approx(34, abs=1.5)


@pytest.mark.parametrize("bulge", [0, 3, 5])
def test_the_posterior_wall_is_measured_from_its_lowest_third(bulge):
    found = measure_bodies(drawn(bulge=bulge)[None], spacing_mm=SPACING_MM)
    assert found["wall_mm"].item() == pytest.approx(bulge, abs=1.0)


def test_an_image_of_one_grey_level_has_no_measures():
    images = np.stack([np.full((SIZE, SIZE), 40, np.int16), drawn()])
    found = measure_bodies(images, spacing_mm=SPACING_MM)
    assert found.loc[0].isna().all()
    assert found.loc[1].notna().all()
    assert list(found) == list(MEASURES)


def test_of_three_planes_the_middle_one_is_measured():
    planes = np.stack([drawn(anterior=15), drawn(anterior=22), drawn(anterior=26)])[None]
    pd.testing.assert_frame_equal(
        measure_bodies(planes, spacing_mm=SPACING_MM), measure_bodies(planes[:, 1], spacing_mm=SPACING_MM)
    )


def test_many_images_are_measured_as_few(monkeypatch):
    images = np.stack([drawn(anterior=height) for height in np.linspace(18, 26, 5)])
    whole = measure_bodies(images, spacing_mm=SPACING_MM)
    monkeypatch.setattr(morphometry, "CHUNK", 2)
    pd.testing.assert_frame_equal(measure_bodies(images, spacing_mm=SPACING_MM), whole)


@settings(deadline=None, max_examples=40)
@given(arrays.arrays(np.float64, (4, 4), elements=st.floats(-1, 1, width=16)))
def test_no_path_gathers_more(gain):
    """Against all paths of at most a row aside, spelled out."""

    def value(path):
        return gain[path, range(4)].sum() - BEND * np.abs(np.diff(path)).sum()

    allowed = [
        path
        for path in product(range(4), repeat=4)
        if all(abs(a - b) <= 1 for a, b in zip(path, path[1:], strict=False))
    ]
    (found,) = strongest_path(gain[None])
    assert tuple(found) in allowed
    assert value(found) == pytest.approx(max(map(value, allowed)), abs=1e-9)


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    height = rng.uniform(12, 28, 120)
    table = pd.DataFrame({"sample_id": [f"s{i}" for i in range(120)], "PatientID": [f"p{i // 2}" for i in range(120)]})
    table["label"] = np.where(height < 20, "A", "C")
    names = ("anterior_height_mm", "middle_height_mm", "posterior_height_mm")
    return table.assign(**dict.fromkeys(names, height), fragment_mm=rng.uniform(0, 6, 120))


def test_errors_are_told_from_the_truth(table):
    measured = pd.DataFrame(
        {
            "anterior_mm": table["anterior_height_mm"] + 1,
            "middle_mm": -table["middle_height_mm"],
            "posterior_mm": table["posterior_height_mm"].where(table.index < 60),
            "wall_mm": np.nan,
        }
    )
    found = error_table(measured, truth=table, params=PARAMS).set_index("measure")
    assert found.loc["anterior height", "mean error, mm"].startswith("1.0")
    assert found.loc["anterior height", "median absolute error, mm"] == "1.0"
    assert found["correlation"].str.split(" ").str[0].tolist() == ["1.00", "-1.00", "1.00"]
    assert found["images"].tolist() == [120, 120, 60]


def test_numbers_that_tell_the_class_beat_a_network_that_guesses(table):
    fold = pd.Series(np.arange(120) // 2 % 3)
    splits = pd.concat(
        pd.DataFrame({"sample_id": table["sample_id"], "fold": k, "split": np.where(fold == k, "test", "train")})
        for k in range(3)
    )
    noise = pd.DataFrame({"noise": np.random.default_rng(2).random(120)})
    guesses = baseline_predictions(noise, model=linear_model(), cohort=table, splits=splits, classes=["A", "C"])
    readings = {"height": table[["anterior_height_mm"]], "nothing": table[[]].assign(x=np.nan)}
    network = out_of_fold(guesses, classes=["A", "C"])
    found = compare_measures(network, readings=readings, cohort=table, splits=splits, classes=["A", "C"], params=PARAMS)
    (row,) = comparison_rows(found).to_dict("records")
    assert row["numbers"] == "height"
    assert row["images"] == 120
    assert float(row["numbers right"].split(" ")[0]) > 0.95
    assert row["network minus numbers"].startswith("-0.")
    assert float(row["p"].removeprefix("<\u00a0")) < 0.05
    assert describe_comparisons(found).startswith("Height: the network knows less than these numbers, -")


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [(0.01, 0.2, "knows more than"), (-0.2, -0.01, "knows less than"), (-0.1, 0.1, "cannot be told apart from")],
)
def test_the_answer_follows_the_interval(low, high, words):
    metric = Metric((low + high) / 2, low, high, "bootstrap", 75, 15)
    answer = describe_comparisons({"heights": Comparison("accuracy", metric, metric, metric, 0.5, 0)})
    assert answer.startswith(f"Heights: the network {words} these numbers, ")
    assert answer.endswith(f"of 75 images ({100 * low:+.1f} to {100 * high:+.1f}).")


def test_without_an_interval_or_numbers_nothing_is_claimed():
    metric = Metric(0.1, None, None, None, 5, 1)
    assert "cannot be compared" in describe_comparisons({"heights": Comparison("accuracy", *[metric] * 3, 0.5, 0)})
    assert "No image of this cohort could be measured" in describe_comparisons({})
    assert comparison_rows({}).empty
