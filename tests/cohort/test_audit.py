import json

import pandas as pd
import pytest

from helpers.cohort.audit import audit_cohort, class_summary, leakage_matrix, verdict_table
from helpers.cohort.reading import Cohort
from helpers.cohort.splits import split_cohort
from helpers.study import CohortParams, SplitParams

PARAMS = CohortParams(source="dicom", folder="x", labels="x.csv")
FLOW = ({"step": "files", "n_files": 1, "n_samples": None, "n_patients": None, "excluded": {}},)


@pytest.fixture
def table():
    """A faultless cohort: 25 patients of each class, one image each."""
    rows = [
        {
            "sample_id": f"S{number:03d}",
            "PatientID": f"P{number}",
            "StudyInstanceUID": f"U{number}",
            "pixel_sha256": f"h{number}",
            "source": f"{number}.dcm",
            "label": "ABC"[number % 3],
            "center_row_px": 5.0,
            "center_col_px": 5.0,
            "spacing_from": "file",
            "PatientOrientation": "P\\F",
            "identifying_attributes": None,
            "coloured_fraction": 0.0,
        }
        for number in range(75)
    ]
    return pd.DataFrame(rows)


def exclusions(*reasons):
    return pd.DataFrame(
        [("f", reason, "d", "r.") for reason in reasons], columns=["source", "reason", "detail", "remedy"]
    )


def audit(table, *, params=PARAMS, splits=None, excluded=(), **split_values):
    split_params = SplitParams(**split_values)
    splits = split_cohort(table, split_params) if splits is None else splits
    cohort = Cohort(table, exclusions(*excluded), FLOW, source=None)
    return audit_cohort(cohort, splits, cohort_params=params, split_params=split_params)


def statuses(table, **options):
    return {name: verdict["status"] for name, verdict in audit(table, **options)["verdicts"].items()}


def test_a_clean_cohort_passes_everything(table):
    assert set(statuses(table).values()) == {"pass"}


def test_the_audit_is_json_and_repeats_itself(table):
    text = json.dumps(audit(table), allow_nan=False)
    assert text == json.dumps(audit(table.sample(frac=1, random_state=1)), allow_nan=False)


def test_a_simulated_cohort_says_so(table):
    verdict = audit(table, params=CohortParams())["verdicts"]["simulated"]
    assert verdict["status"] == "warn"
    assert "simulated: no result on it says anything about patients" in verdict["detail"]
    assert audit(table, params=CohortParams())["simulated"] is True


@pytest.mark.parametrize(
    ("column", "shared"), [("PatientID", "patients"), ("StudyInstanceUID", "studies"), ("pixel_sha256", "pixels")]
)
def test_every_kind_of_leak_is_found(table, column, shared):
    """One value given to two samples of one class that lie in different splits of the first fold."""
    splits = split_cohort(table, SplitParams(n_folds=2))
    first = splits[splits["fold"] == 0].set_index("sample_id")["split"].reindex(table["sample_id"])
    same = table[table["label"] == "A"]
    places = first.loc[same["sample_id"]]
    one, other = places.index[places == "train"][0], places.index[places == "test"][0]
    table.loc[table["sample_id"] == other, column] = table.loc[table["sample_id"] == one, column].item()
    result = audit(table, splits=splits, n_folds=2)
    verdict = result["verdicts"]["leakage"]
    assert verdict["status"] == "fail"
    assert verdict["examples"] == sorted([one, other])
    leaks = pd.DataFrame(result["leakage"])
    assert leaks.query("fold == 0 and pair == 'train and test'")[shared].tolist() == [1]
    assert leaks.drop(columns=["fold", "pair", shared]).to_numpy().sum() == 0


def test_the_papers_split_fails_with_words(table):
    table["PatientID"] = [f"P{number // 6}" for number in range(75)]
    verdict = audit(table, split_method="image_holdout", test_images=20)["verdicts"]["leakage"]
    assert verdict["status"] == "fail"
    assert verdict["found"] > 0
    assert "Intended: the paper's protocol" in verdict["detail"]


def test_missing_studies_are_not_a_shared_study(table):
    table["StudyInstanceUID"] = pd.Series([None] * 75, dtype="str")
    placed = split_cohort(table, SplitParams()).merge(table, on="sample_id")
    assert leakage_matrix(placed)["studies"].sum() == 0
    assert statuses(table)["identity"] == "warn"


def test_a_study_of_two_patients_fails(table):
    table.loc[3, "StudyInstanceUID"] = "U0"
    verdict = audit(table)["verdicts"]["identity"]
    assert (verdict["status"], verdict["found"], verdict["examples"]) == ("fail", 1, ["S000", "S003"])


def test_copies_within_a_patient_warn_and_across_patients_fail(table):
    table.loc[3, ["pixel_sha256", "PatientID"]] = ["h0", "P0"]
    assert statuses(table)["duplicates"] == "warn"
    table.loc[3, "PatientID"] = "P3"
    assert statuses(table)["duplicates"] == "fail"
    assert statuses(table)["label_conflicts"] == "pass"


def test_equal_pixels_under_two_labels_fail(table):
    table.loc[1, ["pixel_sha256", "PatientID"]] = ["h0", "P0"]
    verdict = audit(table)["verdicts"]["label_conflicts"]
    assert (verdict["status"], verdict["found"]) == ("fail", 2)


def test_two_boxes_in_one_file_are_no_copies(table):
    table.loc[1, ["pixel_sha256", "PatientID", "source", "center_row_px"]] = ["h0", "P0", "0.dcm", 50.0]
    found = statuses(table)
    assert (found["duplicates"], found["label_conflicts"]) == ("pass", "pass")
    assert found["classes_per_patient"] == "warn"
    assert statuses(table, params=CohortParams())["classes_per_patient"] == "pass"


def test_left_out_rows_are_counted_by_reason(table):
    verdicts = audit(table, excluded=("not_ct", "label_conflict", "not_ct"))["verdicts"]
    assert verdicts["exclusions"]["detail"] == "Left out: label_conflict 1, not_ct 2."
    assert verdicts["label_conflicts"]["status"] == "warn"


def test_a_small_class_warns(table):
    small = table[~((table["label"] == "C") & (table.index > 30))]
    verdict = audit(small)["verdicts"]["class_balance"]
    assert (verdict["status"], verdict["found"]) == ("warn", 1)
    assert "normal 10" in verdict["detail"]


def test_a_class_missing_from_validation_warns(table):
    splits = split_cohort(table, SplitParams(n_folds=2))
    labels = splits["sample_id"].map(table.set_index("sample_id")["label"])
    splits.loc[(splits["fold"] == 1) & (splits["split"] == "validation") & (labels == "B"), "split"] = "train"
    verdict = audit(table, splits=splits, n_folds=2)["verdicts"]["classes_per_split"]
    assert (verdict["status"], verdict["found"]) == ("warn", 1)
    assert "validation of fold 1" in verdict["detail"]


def test_identifiers_are_named_by_attribute(table):
    table["identifying_attributes"] = table["identifying_attributes"].astype("str")
    table.loc[4, "identifying_attributes"] = "PatientName OperatorsName"
    verdict = audit(table)["verdicts"]["privacy"]
    assert (verdict["status"], verdict["found"], verdict["examples"]) == ("warn", 1, ["S004"])
    assert "OperatorsName, PatientName" in verdict["detail"]
    assert statuses(table, params=CohortParams())["privacy"] == "pass"


@pytest.mark.parametrize(
    ("column", "value", "name"),
    [
        ("spacing_from", "parameter", "pixel_size"),
        ("PatientOrientation", "L\\P", "orientation"),
        ("PatientOrientation", None, "orientation"),
        ("coloured_fraction", 0.01, "graphics"),
    ],
)
def test_one_doubtful_image_warns(table, column, value, name):
    table.loc[7, column] = value
    assert {key for key, status in statuses(table).items() if status != "pass"} == {name}


def test_counts_by_class_and_split_add_up(table):
    counts = pd.DataFrame(audit(table, n_folds=5)["counts"])
    assert counts.groupby("fold")["n_samples"].sum().tolist() == [75] * 5
    assert (counts["n_samples"] == counts["n_patients"]).all()


def test_summary_follows_the_order_of_the_classes(table):
    summary = class_summary(table, class_names={"C": "normal", "A": "compression", "B": "burst"})
    assert summary["class"].tolist() == ["C", "A", "B"]
    assert summary["share"].sum() == pytest.approx(1)
    assert summary["patients"].tolist() == [25, 25, 25]


def test_failures_come_first_in_the_table(table):
    table.loc[3, "StudyInstanceUID"] = "U0"
    assert verdict_table(audit(table))["status"].iloc[0] == "fail"
