"""Results are those of metrics.json, and what was not done is not claimed."""

import json

from helpers.evaluation import headline
from helpers.evaluation.baselines import HEIGHTS, MOST_FREQUENT
from helpers.reporting.answers import Status, results

TESTED = {"n_samples": 15, "n_patients": 9}


def test_the_result_is_the_headline(make_run, answers_of):
    folder = make_run(notebooks=0)
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    assert answers_of(folder)["internal_test"].text == headline(metrics)


def test_wrong_images_are_counted(make_run, answers_of, change_json):
    folder = make_run(notebooks=0)
    counts = [[5, 1, 0], [2, 6, 0], [0, 0, 7]]
    change_json(folder / "metrics.json", lambda metrics: metrics["confusion"].update(counts=counts))
    assert answers_of(folder)["failures"].text.startswith("3 of 21 images are wrong")


def test_no_external_cohort_is_no_external_test(answers_of):
    answers = answers_of()
    assert answers["external_test"].status == Status.ABSENT
    assert answers["external_differences"].status == Status.INAPPLICABLE


def test_a_simulated_external_cohort_is_not_another_hospital(make_run, answers_of, change_json, real):
    external = [{"name": "far", **real}, {"name": "drawn", "source": "phantom"}]
    folder = make_run(notebooks=0, external=external)
    change_json(folder / "metrics.json", lambda metrics: metrics.update(external={"drawn": TESTED}))
    answers = answers_of(folder)
    assert "drawn (15 images of 9 patients)" in answers["external_test"].text
    assert answers["test_at_another_hospital"].status == Status.ABSENT
    change_json(folder / "metrics.json", lambda metrics: metrics.update(external={"far": TESTED}))
    assert "far (15 images of 9 patients)" in answers_of(folder)["test_at_another_hospital"].text


def test_rivals_are_compared_only_where_they_were(make_run, answers_of, change_json):
    folder = make_run(notebooks=0)
    change_json(folder / "metrics.json", lambda metrics: metrics.pop("comparisons", None))
    assert {answers_of(folder)[key].status for key in ("baseline", "measurements")} == {Status.ABSENT}
    rows = [{"rival": HEIGHTS, "rival_value": 0.8767, "model_value": 0.9}]
    change_json(folder / "metrics.json", lambda metrics: metrics.update(comparisons={"accuracy": rows}))
    text = answers_of(folder)["measurements"].text
    assert text == "Accuracy of vertebral heights: 87.7 %; of the network on the same images: 90 %."


def test_rivals_have_the_names_of_the_evaluation():
    assert (results.MAJORITY, results.HEIGHTS) == (MOST_FREQUENT, HEIGHTS)


def test_folds_are_hospitals_only_where_they_were_drawn_so(make_run, answers_of):
    assert answers_of(make_run(notebooks=0, splits={"split_method": "leave_one_site_out"}))[
        "between_sites"
    ].text.startswith("Accuracy by fold from ")


def test_calibration_that_was_not_measured_is_not_reported(make_run, answers_of, change_json):
    folder = make_run(notebooks=0)
    change_json(folder / "metrics.json", lambda metrics: metrics.pop("calibration", None))
    assert answers_of(folder)["calibration"].status == Status.ABSENT
    measured = {"as trained": {"all classes": {"calibration_error": {"estimate": 0.0769}}}}
    change_json(folder / "metrics.json", lambda metrics: metrics.update(calibration=measured))
    assert answers_of(folder)["calibration"].text.endswith(
        "expected calibration error as trained, mean over classes, 0.077."
    )


def test_without_a_normal_class_sensitivities_stand_by_class(answers_of):
    cohort = {"class_names": {"A": "compression", "B": "burst"}, "normal_class": None}
    assert answers_of(cohort=cohort)["diagnostic"].text.startswith("Sensitivity: compression (A) ")
