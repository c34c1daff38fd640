import pandas as pd
import pytest

from helpers.cohort.audit.duplicates import check_duplicates, check_label_conflicts, check_near_duplicates


def test_copies_within_a_patient_warn_and_across_patients_fail(table, make_context):
    table.loc[3, ["pixel_sha256", "PatientID"]] = ["h0", "P0"]
    assert check_duplicates(make_context(table)).status == "warn"
    table.loc[3, "PatientID"] = "P3"
    assert check_duplicates(make_context(table)).status == "fail"
    assert check_label_conflicts(make_context(table)).status == "pass"


def test_equal_pixels_under_two_labels_fail(table, make_context):
    table.loc[1, ["pixel_sha256", "PatientID"]] = ["h0", "P0"]
    verdict = check_label_conflicts(make_context(table))
    assert (verdict.status, verdict.found) == ("fail", 2)


def test_two_boxes_in_one_file_are_no_copies(table, make_context):
    table.loc[1, ["pixel_sha256", "PatientID", "source", "center_row_px"]] = ["h0", "P0", "0.dcm", 50.0]
    context = make_context(table)
    assert (check_duplicates(context).status, check_label_conflicts(context).status) == ("pass", "pass")


def test_conflicting_rows_that_were_left_out_are_told(table, make_context):
    assert check_label_conflicts(make_context(table, excluded=("label_conflict",))).status == "warn"


@pytest.mark.parametrize(
    ("same_patient", "kind", "status", "found"),
    [
        (True, "near", "pass", 0),
        (True, "augmented", "warn", 1),
        (False, "near", "warn", 1),
        (False, "augmented", "warn", 1),
    ],
)
def test_altered_copies_warn_and_neighbouring_slices_are_only_counted(
    table, make_context, same_patient, kind, status, found
):
    if same_patient:
        table.loc[3, "PatientID"] = "P0"
    copies = pd.DataFrame({"sample_a": ["S000"], "sample_b": ["S003"], "kind": [kind]})
    verdict = check_near_duplicates(make_context(table, fields={"copies": copies}))
    assert (verdict.status, verdict.found) == (status, found)
    assert verdict.detail.startswith("1 group of almost equal images: 1 pair ")
    assert verdict.examples == (() if status == "pass" else ("S000", "S003"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "1 pair within a patient, not of one series."),
        ({"SeriesInstanceUID": "E0"}, "1 pair of one series, as neighbouring slices are."),
        ({"SeriesInstanceUID": None, "source": "0.dcm"}, "1 pair of one series, as neighbouring slices are."),
        ({"SeriesInstanceUID": None}, "1 pair within a patient, not of one series."),
    ],
    ids=["two series", "one series", "one volume", "two files"],
)
def test_only_images_of_one_series_are_neighbours(table, make_context, changes, words):
    table.loc[3, "PatientID"] = "P0"
    table.loc[3, list(changes)] = list(changes.values())
    if changes.get("SeriesInstanceUID", "") is None:
        table.loc[0, "SeriesInstanceUID"] = None
    copies = pd.DataFrame({"sample_a": ["S000"], "sample_b": ["S003"], "kind": ["near"]})
    assert check_near_duplicates(make_context(table, fields={"copies": copies})).detail.endswith(words)


def test_identical_images_are_no_altered_copies(table, make_context):
    copies = pd.DataFrame({"sample_a": ["S000"], "sample_b": ["S003"], "kind": ["identical"]})
    assert check_near_duplicates(make_context(table, fields={"copies": copies})).status == "pass"
