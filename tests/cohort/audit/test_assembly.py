import json

from helpers.cohort.audit import verdict_table


def test_a_clean_cohort_passes_everything(table, statuses):
    assert set(statuses(table).values()) == {"pass"}


def test_the_audit_is_json_and_repeats_itself(table, audit):
    text = json.dumps(audit(table), allow_nan=False)
    assert text == json.dumps(audit(table.sample(frac=1, random_state=1)), allow_nan=False)


def test_failures_come_first_in_the_table(table, audit):
    table.loc[3, "StudyInstanceUID"] = "U0"
    assert verdict_table(audit(table))["status"].iloc[0] == "fail"
