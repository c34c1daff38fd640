import pandas as pd
import pytest

from helpers.cohort.audit.identity import (
    check_identity,
    check_one_name_per_patient,
    check_patients_known,
    identity_table,
    patients_with_copies,
)


def test_missing_studies_warn(table, make_context):
    table["StudyInstanceUID"] = pd.Series([None] * 75, dtype="str")
    assert check_identity(make_context(table)).status == "warn"


@pytest.mark.parametrize("column", ["StudyInstanceUID", "SeriesInstanceUID", "header_patient"])
def test_a_study_series_or_header_name_of_two_patients_fails(table, make_context, column):
    table.loc[3, column] = table.loc[0, column]
    verdict = check_identity(make_context(table))
    assert (verdict.status, verdict.found, verdict.examples) == ("fail", 1, ("S000", "S003"))


def test_what_two_patients_share_is_named(table, make_context):
    table.loc[3, "header_patient"] = "P0"
    table.loc[[4, 6], "StudyInstanceUID"] = ["U1", "U1"]
    detail = check_identity(make_context(table)).detail
    assert detail.endswith("so that splits may share them: 1 study, 1 header PatientID.")


def test_a_patient_of_two_header_names_warns(table, make_context):
    table.loc[3, ["PatientID", "StudyInstanceUID"]] = ["P0", "U0"]
    verdict = check_identity(make_context(table))
    assert (verdict.status, verdict.found, verdict.examples) == ("warn", 0, ("S000", "S003"))
    assert "More than one PatientID in the headers of 1 patient:" in verdict.detail


def test_everything_is_counted(table, make_context):
    table.loc[1, ["PatientID", "StudyInstanceUID", "pixel_sha256"]] = ["P0", "U0", "h0"]
    counted = identity_table(make_context(table)).set_index("what")["number"].to_dict()
    assert counted == {"patients": 74, "studies": 74, "series": 75, "images": 74, "samples": 75}
    assert "74 patients, 74 studies, 75 series" in check_identity(make_context(table)).detail


def test_patients_without_common_images_have_one_name_each(table, make_context):
    table.loc[1, ["PatientID", "pixel_sha256"]] = ["P0", "h0"]
    within = pd.DataFrame({"sample_a": ["S000"], "sample_b": ["S001"], "kind": ["near"]})
    assert check_one_name_per_patient(make_context(table, fields={"copies": within})).status == "pass"


def test_copies_across_patients_make_one_person_of_two_names_likely(table, make_context):
    table.loc[3, "pixel_sha256"] = "h0"
    near = pd.DataFrame({"sample_a": ["S003", "S004"], "sample_b": ["S000", "S010"], "kind": ["near", "augmented"]})
    context = make_context(table, fields={"copies": near})
    pairs = patients_with_copies(context)
    assert sorted(pairs.itertuples(index=False, name=None)) == [("P0", "P3"), ("P10", "P4")]
    verdict = check_one_name_per_patient(context)
    assert (verdict.status, verdict.found) == ("warn", 2)
    assert verdict.examples == ("S000", "S003", "S004", "S010")


def test_patients_guessed_from_file_names_warn(table, make_context):
    assert check_patients_known(make_context(table)).status == "pass"
    table["patient_from"] = "folder"
    assert check_patients_known(make_context(table)).status == "pass"
    table.loc[[2, 5], "patient_from"] = "file name"
    verdict = check_patients_known(make_context(table))
    assert (verdict.status, verdict.found, verdict.examples) == ("warn", 2, ("S002", "S005"))
    assert "Told apart by file names only: 2 patients." in verdict.detail
