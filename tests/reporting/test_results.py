"""Tables of results repeat metrics.json."""

import json

import pytest

from helpers.reporting.record import read_run
from helpers.reporting.results import confusions, result_tables


def tables_of(folder):
    return {table.anchor: table for table in result_tables(read_run(folder))}


def test_overall_numbers_are_those_of_the_file(make_run):
    folder = make_run(notebooks=0)
    accuracy = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["overall"]["accuracy"]
    table = tables_of(folder)["results-overall"]
    line = table.lines[0]
    low, high = accuracy["ci_low"], accuracy["ci_high"]
    assert line.name == "Accuracy"
    assert line.cells == (f"{accuracy['estimate']:.3f} ({low:.3f}–{high:.3f})",)
    assert line.interval.estimate == pytest.approx(100 * accuracy["estimate"], abs=0.05)
    assert table.caption == "120 images of 60 patients, held out, with 95 % intervals by patient"


def test_every_row_has_a_cell_for_every_column(make_run):
    for table in tables_of(make_run(notebooks=0)).values():
        assert {len(line.cells) + 1 for line in table.lines} == {len(table.columns)}


def test_classes_and_any_fracture_have_a_row(make_run):
    lines = tables_of(make_run(notebooks=0))["results-classes"].lines
    assert [line.name for line in lines] == ["compression (A)", "burst (B)", "normal (C)", "any fracture"]


def test_folds_have_a_row_each_and_a_single_one_has_no_table(make_run, change_json):
    folder = make_run(notebooks=0)
    assert [line.name for line in tables_of(folder)["results-folds"].lines] == ["0", "1", "2"]
    change_json(folder / "metrics.json", lambda found: found.update(per_fold={"0": found["per_fold"]["0"]}))
    assert "results-folds" not in tables_of(folder)


def test_negative_and_undefined_values_are_drawn_at_the_end_or_not_at_all(make_run, change_json):
    def change(found):
        found["overall"]["cohen_kappa"] |= {"estimate": -0.2, "ci_low": -0.5, "ci_high": 0.1}
        found["overall"]["mcc"] |= {"estimate": None, "ci_low": None, "ci_high": None}

    folder = make_run(notebooks=0)
    change_json(folder / "metrics.json", change)
    lines = {line.name: line for line in tables_of(folder)["results-overall"].lines}
    kappa = lines["Cohen's κ"]
    assert (kappa.interval.low, kappa.interval.estimate, kappa.interval.high) == (0, 0, 10)
    assert kappa.cells[0].startswith("−0.200")
    assert (lines["MCC"].cells[0], lines["MCC"].interval) == ("not defined", None)


def test_rivals_calibration_and_external_cohorts(make_run, change_json):
    rival = {
        "rival": "heights",
        "rival_value": 0.9,
        "difference": -0.01,
        "ci_low": -0.03,
        "ci_high": 0.01,
        "p_holm": 0.0001,
    }
    number = {"estimate": 0.5, "ci_low": 0.4, "ci_high": 0.6, "n_samples": 4, "n_patients": 2}
    fracture = dict.fromkeys(("sensitivity", "specificity", "auroc"), number)
    far = {"n_samples": 4, "n_patients": 2, "fracture_vs_normal": fracture, "by_class": None}
    error = {"answer given": {"calibration_error": {"estimate": 0.0262, "note": "more than chance"}}}
    folder = make_run(notebooks=0)
    change_json(
        folder / "metrics.json",
        lambda found: found.update(
            comparisons={"balanced_accuracy": [rival]}, calibration={"as trained": error}, external={"far": far}
        ),
    )
    tables = tables_of(folder)
    assert tables["results-rivals"].lines[0].cells == ("0.900", "−0.010 (−0.030 to +0.010)", "p < 0.001")
    assert tables["results-calibration"].lines[0].cells == ("0.026", "more than chance")
    assert tables["results-external"].lines[0].cells[3:] == ("not measurable", "4 images of 2 patients")


def test_confusions_are_the_wrong_cells_the_most_frequent_first(make_run):
    folder = make_run(notebooks=0)
    counts = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["confusion"]["counts"]
    wrong = sorted((counts[r][c] for r in range(3) for c in range(3) if r != c and counts[r][c]), reverse=True)
    pairs = confusions(read_run(folder))
    assert [pair.count for pair in pairs] == wrong
    assert all(pair.reference != pair.predicted for pair in pairs)


def test_before_the_evaluation_there_are_none(make_run):
    folder = make_run(notebooks=0)
    (folder / "metrics.json").unlink()
    assert (result_tables(read_run(folder)), confusions(read_run(folder))) == ((), ())
