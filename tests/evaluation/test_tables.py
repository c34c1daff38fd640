import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pandas as pd
import pytest

from helpers.evaluation import Metric, evaluate
from helpers.evaluation import tables as tables_module
from helpers.evaluation.tables import (
    METRIC_DTYPES,
    NO_BREAK_DASH,
    answers_side_by_side,
    interval_in_words,
    readable,
    usual_sizes,
    worth_by_prevalence,
)


@pytest.fixture(scope="module")
def tables(evaluation):
    return evaluation.tables()


def test_tables_by_name(tables):
    assert set(tables) == {
        "confusion",
        "confusion_by_fold",
        "clinical_questions",
        "overall",
        "per_class",
        "fracture_vs_normal",
        "per_fold",
        "baseline",
        "paper_comparison",
    }


def test_every_table_survives_parquet(tables, tmp_path):
    for name, table in tables.items():
        table.to_parquet(tmp_path / f"{name}.parquet", index=False)
        pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / f"{name}.parquet"), table)


def test_columns_keep_their_type_when_empty_or_without_interval(make_answers, class_names, tables):
    frame = make_answers("AABB", "AABB", patients=["p"] * 4)
    empty = evaluate(frame, class_names=class_names, normal_class=None, n_bootstrap=100).tables()
    for name, table in tables.items():
        assert table.dtypes.to_dict() == empty[name].dtypes.to_dict()
        assert set(METRIC_DTYPES) <= set(table.columns)
    assert empty["fracture_vs_normal"].empty


def test_confusion_table_is_the_matrix_in_long_form(tables, evaluation):
    matrix = tables["confusion"].pivot(index="y_true", columns="y_pred", values="n")
    np.testing.assert_array_equal(matrix.loc[list("ABC"), list("ABC")], evaluation.confusion)
    shares = tables["confusion"].groupby("y_true")["estimate"].sum()
    np.testing.assert_allclose(shares, 1)


def test_tables_hold_the_numbers_of_the_document(tables, evaluation):
    document = evaluation.to_json_dict()
    for row in tables["per_class"].itertuples():
        assert row.estimate == document["per_class"][row.class_key][row.metric]["estimate"]
    for row in tables["per_fold"].itertuples():
        assert row.ci_low == document["per_fold"][str(row.fold)][row.metric]["ci_low"]
    assert len(tables["per_class"]) == 3 * 7
    assert len(tables["per_fold"]) == 3 * 8


def test_document_is_plain_json_that_reads_back_equal(evaluation):
    document = evaluation.to_json_dict()
    assert json.loads(json.dumps(document, allow_nan=False)) == document


SCHEMA = json.loads(Path(tables_module.__file__).with_name("metrics.schema.json").read_text(encoding="utf-8"))
# the other parts of metrics.json are added by `Findings`
OF_EVALUATION = {key: value for key, value in SCHEMA.items() if key != "required"}


def test_document_follows_its_published_schema(evaluation, make_answers, class_names):
    poor = evaluate(make_answers("AABB", "AABB", patients=["p"] * 4), class_names=class_names, normal_class=None)
    for found in (evaluation, poor):
        jsonschema.validate(json.loads(json.dumps(found.to_json_dict())), OF_EVALUATION)


def test_confusion_by_fold_adds_up_to_each_folds_images(tables, study_predictions):
    tested = study_predictions[study_predictions["split"] == "test"].groupby("fold")["sample_id"].nunique()
    assert tables["confusion_by_fold"].groupby("fold")["n"].sum().to_dict() == tested.to_dict()


def test_document_confusion_and_cohort(evaluation):
    document = evaluation.to_json_dict()
    assert document["confusion"]["counts"] == evaluation.confusion.tolist()
    assert document["cohort"]["n_samples"] == int(evaluation.confusion.sum())
    assert document["cohort"]["n_folds"] == 3
    assert document["cohort"]["class_names"] == {"A": "compression", "B": "burst", "C": "normal"}
    assert document["bootstrap"] == {"unit": "patient", "n_replicates": 400, "confidence": 0.95, "seed": 7}


def test_paper_in_the_document_is_the_computed_arithmetic(evaluation):
    paper = evaluation.to_json_dict()["paper"]
    sizes = [
        (split["training"]["n_samples"], split["validation"]["n_samples"])
        for split in paper["inferred_two_part_splits"]
    ]
    assert sizes == [(588, 110), (259, 439)]
    validation = paper["inferred_two_part_splits"][0]["validation"]
    assert validation["estimate"] == pytest.approx(106 / 110)
    assert (round(validation["ci_low"], 3), round(validation["ci_high"], 3)) == (0.910, 0.986)


def test_paper_comparison_sets_ours_beside_every_size_that_fits(tables, evaluation):
    table = tables["paper_comparison"]
    paper = table[table["source"] == "paper"]
    assert (paper["estimate"].mul(1e4).add(0.5).astype(int) / 100).groupby(paper["part"]).unique().map(
        list
    ).to_dict() == {
        "training": [95.75],
        "validation": [96.36],
    }
    in_split = paper[paper["in_two_part_split"]]
    assert sorted(in_split["n_samples"]) == [110, 259, 439, 588]
    assert paper["n_patients"].isna().all()
    ours = table[table["source"] == "this study"].set_index("part")
    assert ours.loc["validation", "estimate"] == evaluation.overall["accuracy"].estimate
    assert ours.loc["training", "ci_low"] == evaluation.training["accuracy"].ci_low


def test_readable_table_puts_numbers_into_words_and_drops_columns_without_content(tables):
    overall = readable(tables["overall"])
    assert list(overall) == ["metric", "estimate", "interval", "method", "images", "patients", "note"]
    assert overall["metric"].tolist()[0] == "Accuracy"
    first = tables["overall"].iloc[0]
    assert overall["interval"].tolist()[0] == f"{first['ci_low']:.3f}{NO_BREAK_DASH}{first['ci_high']:.3f}"
    assert overall["method"].tolist()[0] == "Wilson by patient"
    assert "note" in readable(tables["baseline"])
    assert readable(tables["per_class"])["class"].tolist()[0].startswith("A ")


def test_readable_table_has_no_interval_where_none_is_defined(tables):
    constant = readable(tables["baseline"]).set_index("metric").loc["Balanced accuracy"]
    assert constant["interval"] is None or constant["interval"] != constant["interval"]


def test_answers_stand_side_by_side_with_their_intervals(tables, evaluation):
    shown = answers_side_by_side(tables["clinical_questions"], metrics=["sensitivity", "specificity"], decimals=2)
    assert shown["question"].tolist() == ["any fracture against normal", "burst against the rest"]
    burst = evaluation.per_class["B"]["sensitivity"]
    assert shown.loc[1, "Sensitivity"] == (
        f"{burst.estimate:.2f} ({burst.ci_low:.2f}{NO_BREAK_DASH}{burst.ci_high:.2f})"
    )
    assert shown["thresholds of the folds"].tolist() == ["", ""]


def test_worth_of_an_answer_is_listed_by_share_of_positives(tables, evaluation):
    shown = worth_by_prevalence(tables["clinical_questions"])
    assert shown["share of positives"].tolist() == 2 * ["as in this cohort", "2 %", "10 %", "30 %"]
    assert shown.loc[0, "PPV"].startswith(f"{evaluation.fracture_vs_normal['ppv'].estimate:.3f} (")


def test_cohort_without_clinical_questions_has_empty_tables(make_answers):
    names = {"A": "one", "B": "other"}
    found = evaluate(make_answers("AABB", "ABAB", classes="AB"), class_names=names, normal_class=None, n_bootstrap=100)
    table = found.tables()["clinical_questions"]
    assert answers_side_by_side(table, metrics=["sensitivity"]).empty
    assert worth_by_prevalence(table).empty


def test_a_metric_in_words():
    found = Metric(-0.1234, -0.25, 0.5, "some", 4, 2)
    assert interval_in_words(found, decimals=2) == f"−0.12 (−0.25{NO_BREAK_DASH}0.50)"
    assert interval_in_words(replace(found, ci_low=None, ci_high=None), decimals=1) == "−0.1"
    assert interval_in_words(replace(found, estimate=float("nan")), decimals=1) == "not defined"
    assert interval_in_words(None, decimals=1) is None


def test_usual_sizes_are_halves_those_of_a_split_and_ours(tables):
    shown = usual_sizes(tables["paper_comparison"])
    assert len(shown) < len(tables["paper_comparison"])
    assert set(shown.query("source == 'this study'")["part"]) == {"training", "validation"}
    paper = shown.query("source == 'paper' and not in_two_part_split")
    assert (paper.query("part == 'training'")["n_samples"] >= 349).all()
    assert (paper.query("part == 'validation'")["n_samples"] < 349).all()
    assert {110, 259, 439, 588} <= set(shown["n_samples"])
