import pandas as pd


def test_missing_studies_warn(table, statuses):
    table["StudyInstanceUID"] = pd.Series([None] * 75, dtype="str")
    assert statuses(table)["identity"] == "warn"


def test_a_study_of_two_patients_fails(table, audit):
    table.loc[3, "StudyInstanceUID"] = "U0"
    verdict = audit(table)["verdicts"]["identity"]
    assert (verdict["status"], verdict["found"], verdict["examples"]) == ("fail", 1, ["S000", "S003"])
