"""The first screen says what metrics.json and audit.json say, and does not mislead."""

import json

import pytest

from helpers.evaluation import headline
from helpers.reporting.record import read_run
from helpers.reporting.summary import summarise

TWO_CLASSES = {
    "source": "images",
    "labels": "labels.csv",
    "class_names": {"N": "normal", "F": "fracture"},
    "normal_class": "N",
}


def summary_of(folder):
    return summarise(read_run(folder), headings=())


def test_answer_is_the_headline_of_the_metrics(make_run):
    folder = make_run(notebooks=0)
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    answer = summary_of(folder).answer
    assert answer == headline(metrics)
    accuracy = metrics["overall"]["accuracy"]
    for value in (accuracy["estimate"], accuracy["ci_low"], accuracy["ci_high"]):
        assert f"{100 * value:.1f}" in answer
    assert f"{accuracy['n_samples']} images of {accuracy['n_patients']} patients" in answer


def test_matrix_repeats_counts_and_row_shares(make_run):
    folder = make_run(notebooks=0)
    counts = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["confusion"]["counts"]
    summary = summary_of(folder)
    assert summary.columns == ("compression (A)", "burst (B)", "normal (C)")
    for row, expected in zip(summary.matrix, counts, strict=True):
        assert [cell.count for cell in row.cells] == expected
        assert [cell.share for cell in row.cells] == pytest.approx([count / sum(expected) for count in expected])
    assert [[cell.is_right for cell in row.cells] for row in summary.matrix] == [
        [row == column for column in range(3)] for row in range(3)
    ]


def test_two_classes_of_a_users_cohort(make_run):
    summary = summary_of(make_run(notebooks=0, cohort=TWO_CLASSES))
    assert summary.columns == ("normal (N)", "fracture (F)")
    assert "tell normal (N) and fracture (F) apart on CT images" in summary.question
    assert summary.caveats == ("Not a medical device: not for diagnosis or any decision about a patient.",)


def test_simulated_cohort_is_called_so_in_question_and_caveats(make_run):
    summary = summary_of(make_run(notebooks=0))
    assert "on simulated CT images" in summary.question
    device, simulated, burst = summary.caveats
    assert device.startswith("Not a medical device")
    assert "no patient was scanned" in simulated
    assert burst == "Burst fractures have never been checked on real CT."


def test_burst_that_was_checked_on_real_ct_is_not_denied(make_run, change_json):
    external = {"name": "far", "source": "images", "folder": "there", "labels": "there.csv"}
    folder = make_run(notebooks=0, external=[external])
    found = {"confusion": {"classes": ["A", "B", "C"], "counts": [[0, 0, 0], [0, 3, 1], [0, 0, 0]]}}
    found |= {"overall": {"accuracy": {"estimate": None, "note": "none"}}}
    scored = {"far": {"n_samples": 4, "n_patients": 2, "fracture_vs_normal": None, "by_class": found}}
    change_json(folder / "metrics.json", lambda metrics: metrics.update(external=scored))
    assert not any("Burst" in caveat for caveat in summary_of(folder).caveats)


def test_a_rival_that_is_not_beaten_is_named(make_run, change_json):
    folder = make_run(notebooks=0)
    rivals = [
        {"rival": "vertebral heights", "rival_value": 0.9, "ci_low": -0.03, "ci_high": 0.04},
        {"rival": "the most frequent class", "rival_value": 0.333, "ci_low": 0.5, "ci_high": 0.6},
    ]
    change_json(folder / "metrics.json", lambda metrics: metrics.update(comparisons={"balanced_accuracy": rivals}))
    (sentence,) = (line for line in summary_of(folder).reading if line.startswith("Not shown"))
    assert "than a simple classifier of vertebral heights" in sentence
    assert sentence.endswith("(90.0 %, the true ones, which only a simulation knows).")


def test_small_cohort_is_told_what_its_interval_means(make_run):
    folder = make_run(n_patients=15, notebooks=0, cohort=TWO_CLASSES)
    accuracy = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["overall"]["accuracy"]
    text = " ".join(summary_of(folder).reading)
    assert "Small cohort: 30 images of 15 patients" in text
    assert f"{100 * (accuracy['ci_high'] - accuracy['ci_low']):.1f} percentage points wide" in text
    assert "not how well it works" in text


def test_large_cohort_with_a_narrow_interval_is_not_called_small(make_run):
    text = " ".join(summary_of(make_run(n_patients=150, signal=6.0, notebooks=0)).reading)
    assert "percentage points wide" in text
    assert "Small cohort" not in text


def test_result_no_better_than_the_commonest_class_is_said(make_run):
    text = " ".join(summary_of(make_run(signal=0.0, notebooks=0)).reading)
    assert "does not show that the network does better" in text


def test_good_result_does_not_get_that_sentence(make_run):
    assert "does not show that the network" not in " ".join(summary_of(make_run(signal=4.0, notebooks=0)).reading)


def test_weakest_class_is_the_one_with_the_lowest_sensitivity(make_run, change_json):
    folder = make_run(notebooks=0)

    def change(metrics):
        metrics["per_class"]["B"]["sensitivity"] |= {"estimate": 0.125, "ci_low": 0.05, "ci_high": 0.25}

    change_json(folder / "metrics.json", change)
    assert any("burst (B), sensitivity 12.5 % (5.0–25.0 %)" in line for line in summary_of(folder).reading)


def test_class_without_images_has_no_sensitivity_and_is_not_the_weakest(make_run, change_json):
    folder = make_run(notebooks=0)
    nothing = {"estimate": None, "ci_low": None, "note": "undefined: no sample"}
    change_json(folder / "metrics.json", lambda metrics: metrics["per_class"]["C"]["sensitivity"].update(nothing))
    summary = summary_of(folder)
    assert not any("recognised: normal" in line for line in summary.reading)


@pytest.mark.parametrize("split_method", ["image_holdout", "predefined"])
def test_a_division_that_parts_a_patient_is_called_too_high_first(make_run, change_json, split_method):
    folder = make_run(notebooks=0, splits={"split_method": split_method})
    shared = [{"pair": "train and test", "patients": int(split_method == "predefined")}]
    change_json(folder / "audit.json", lambda audit: audit.update(leakage=shared))
    summary = summary_of(folder)
    assert "expected to be too high" in summary.reading[0]
    assert "perhaps of patients that it was trained on" in summary.question


@pytest.mark.parametrize(
    ("training", "words"),
    [({"shuffle_labels": True}, "this run is a control"), ({"train_patients": 50}, "50 of its training patients only")],
)
def test_a_control_and_a_smaller_training_set_are_said_first(make_run, training, words):
    assert words in summary_of(make_run(notebooks=0, training=training)).reading[0]


def test_accuracy_without_interval_proves_nothing(make_run, change_json):
    folder = make_run(notebooks=0)
    nothing = {"ci_low": None, "ci_high": None, "note": "no interval: one patient"}
    change_json(folder / "metrics.json", lambda metrics: metrics["overall"]["accuracy"].update(nothing))
    said = "There is no interval: one patient. The number stands on"
    assert any(line.startswith(said) and "proves nothing" in line for line in summary_of(folder).reading)


def test_run_without_metrics_or_audit_has_no_answer(make_run):
    folder = make_run(notebooks=0)
    (folder / "metrics.json").unlink()
    (folder / "audit.json").unlink()
    summary = summary_of(folder)
    assert (summary.answer, summary.matrix, summary.reading) == ("", (), ())
    assert {check.status for check in summary.checks} == {"untested"}


class TestExternal:
    def test_with_one_its_numbers_stand_beside_the_answer(self, make_run, change_json):
        number = {"ci_low": 0.5, "ci_high": 0.9, "note": None, "n_samples": 40, "n_patients": 12}
        fracture = {
            name: number | {"estimate": value}
            for name, value in {"sensitivity": 0.61, "specificity": 0.72, "auroc": 0.83}.items()
        }
        found = {"n_samples": 40, "n_patients": 12, "fracture_vs_normal": fracture, "by_class": None}
        alone = {"n_samples": 3, "n_patients": 1, "fracture_vs_normal": None, "by_class": None}
        folder = make_run(notebooks=0)
        change_json(folder / "metrics.json", lambda metrics: metrics.update(external={"far": found, "tiny": alone}))
        summary = summary_of(folder)
        (sentence,) = (text for text in summary.reading if "far" in text)
        assert sentence == (
            "External test on far, 40 images of 12 patients: fracture against normal with sensitivity 61.0 % "
            "(50.0–90.0 %), specificity 72.0 % (50.0–90.0 %), AUROC 0.83 (0.50–0.90)."
        )
        assert any("tiny, 3 images of 1 patient: one class only" in text for text in summary.reading)
