import json

import numpy as np
import pandas as pd
import pytest

from helpers.runs.numbers import values_by_place
from helpers.runs.side import RunMismatch
from helpers.runs.verification import EXACT, OUTSIDE, WITHIN, agreements, deviations, verify_run
from helpers.study import ArtefactError


def metrics(accuracy: float, *, low: float = 0.8, high: float = 0.9, **more: dict) -> dict:
    found = {"estimate": accuracy, "ci_low": low, "ci_high": high}
    return {"overall": {"accuracy": found}} | more


def test_a_run_that_nobody_touched_holds(make_run):
    found = verify_run(make_run("base"))
    assert found.holds
    assert found.n_values > 500
    assert (found.deviations, found.changed_files) == ((), ())
    assert found.n_files > 8


def test_a_number_changed_by_hand_is_found(make_run, change_json):
    folder = make_run("base")
    change_json(folder / "metrics.json", lambda content: content["overall"]["accuracy"].update(estimate=0.999))
    found = verify_run(folder)
    (deviation,) = found.deviations
    assert (deviation.place, deviation.found) == (("overall", "accuracy", "estimate"), 0.999)
    assert found.changed_files == ("metrics.json",)
    assert not found.holds


def test_every_number_is_computed_again(make_run):
    folder = make_run("base")
    assert verify_run(folder).n_values == len(values_by_place(json.loads((folder / "metrics.json").read_text())))


@pytest.mark.parametrize("section", ["calibration", "comparisons", "decisions", "prediction_sets", "sample_size"])
def test_a_section_that_is_gone_is_found(make_run, change_json, section):
    folder = make_run("base")
    change_json(folder / "metrics.json", lambda content: content.pop(section))
    assert {deviation.place[0] for deviation in verify_run(folder).deviations} == {section}


def test_other_features_before_training_change_the_comparisons(make_run):
    folder = make_run("base")
    features = np.load(folder / "start_features.npy")
    np.save(folder / "start_features.npy", features[::-1])
    found = verify_run(folder)
    assert {deviation.place[0] for deviation in found.deviations} == {"comparisons"}
    assert found.changed_files == ("start_features.npy",)


def test_another_prediction_is_found(make_run):
    folder = make_run("base")
    table = pd.read_parquet(folder / "predictions.parquet")
    table["logit_A"] += 1
    table.to_parquet(folder / "predictions.parquet")
    found = verify_run(folder)
    assert len(found.deviations) > 50
    assert found.changed_files == ("predictions.parquet",)


def test_files_that_are_missing_or_new_are_found_but_the_report_may_be_built_again(make_run):
    folder = make_run("base")
    (folder / "images.npy").unlink()
    (folder / "leaks.csv").touch()
    (folder / "report.html").write_text("built again")
    assert verify_run(folder).changed_files == ("images.npy", "leaks.csv")


def test_a_run_without_records_is_checked_by_its_numbers_alone(make_run):
    folder = make_run("base")
    (folder / "stages.json").unlink()
    found = verify_run(folder)
    assert (found.holds, found.n_files) == (True, 0)


def test_the_same_numbers_as_released_are_exact(make_run, tmp_path):
    folder = make_run("base")
    released = tmp_path / "released.json"
    released.write_text((folder / "metrics.json").read_text())
    found = verify_run(folder, against=released)
    assert found.holds
    assert found.n_equal == found.n_released > 500
    assert {row.verdict for row in found.agreements} == {EXACT}


def test_a_run_far_from_released_numbers_does_not_hold(make_run, tmp_path):
    released = make_run("released") / "metrics.json"
    found = verify_run(make_run("fresh", noise=3.0), against=released)
    assert not found.holds
    assert not found.deviations
    assert found.n_equal < found.n_released
    assert found.agreements[0].verdict == OUTSIDE


@pytest.mark.parametrize(
    ("accuracy", "verdict"), [(0.85, EXACT), (0.85 + 1e-12, EXACT), (0.86, WITHIN), (0.874, WITHIN), (0.88, OUTSIDE)]
)
def test_the_tolerance_is_a_quarter_of_the_released_interval(accuracy, verdict):
    (found,) = agreements(metrics(accuracy), metrics(0.85))
    assert found.tolerance == pytest.approx(0.025)
    assert found.verdict == verdict


def test_limits_count_as_well():
    (found,) = agreements(metrics(0.85, low=0.7), metrics(0.85))
    assert (found.distance, found.verdict) == (pytest.approx(0.1), OUTSIDE)


def test_a_metric_without_interval_gets_the_tolerance_of_the_accuracy():
    single = {"baseline": {"accuracy": {"estimate": 0.4, "ci_low": None, "ci_high": None}}}
    other = {"baseline": {"accuracy": {"estimate": 0.42, "ci_low": None, "ci_high": None}}}
    found = agreements(metrics(0.85, **other), metrics(0.85, **single))
    assert [(row.place[0], row.verdict) for row in found] == [("baseline", WITHIN), ("overall", EXACT)]


def test_a_metric_that_only_one_of_the_two_has_is_outside():
    extra = {"per_class": {"A": {"ppv": {"estimate": None, "ci_low": None, "ci_high": None}}}}
    for pair in ((metrics(0.85, **extra), metrics(0.85)), (metrics(0.85), metrics(0.85, **extra))):
        assert agreements(*pair)[0].verdict == OUTSIDE


def test_sections_that_hang_on_few_images_are_not_judged():
    jumpy = {"per_fold": {"0": {"accuracy": {"estimate": 0.1, "ci_low": None, "ci_high": None}}}}
    assert len(agreements(metrics(0.85), metrics(0.85, **jumpy))) == 1
    assert agreements(metrics(0.85), {}) == ()


def test_deviations_tell_missing_from_null():
    places = [row.place for row in deviations(expected={"a": None, "b": 1, "c": "x"}, found={"b": 1, "c": "y"})]
    assert places == [("a",), ("c",)]
    assert deviations(expected={"a": 1.0}, found={"a": 1.0 + 1e-12}) == ()
    assert deviations(expected={"a": 1.0}, found={"a": None})[0].found is None


@pytest.mark.parametrize("text", ["{", "{}", "[]", '{"cohort": {}, "overall": {}}'])
def test_a_file_that_is_no_metrics_is_named(make_run, tmp_path, text):
    released = tmp_path / "released.json"
    released.write_text(text)
    with pytest.raises(ArtefactError, match="released.json is no metrics.json"):
        verify_run(make_run("base"), against=released)


def test_released_numbers_of_another_cohort_are_refused(make_run, tmp_path, change_json):
    folder, released = make_run("base"), tmp_path / "released.json"
    released.write_text(json.dumps(json.loads((folder / "metrics.json").read_text())))
    change_json(released, lambda content: content["cohort"].update(n_samples=698))
    with pytest.raises(RunMismatch, match="not of the same cohort: n_samples 48 and 698"):
        verify_run(folder, against=released)
