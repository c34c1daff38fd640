import json

import numpy as np

from helpers.cohort.audit import audit_cohort, verdict_table
from helpers.cohort.audit.assembly import CHECKS, NEED_SPLITS, TABLES

# What a table of HU with nothing but pixels and identifiers gives no answer to.
UNTESTED = {"confounds", "demographics", "agreement", "photometric"}


def test_a_clean_cohort_passes_all_that_can_be_tested(table, statuses):
    assert statuses(table) == {name: "untested" if name in UNTESTED else "pass" for name in CHECKS}


def test_the_audit_is_json_and_repeats_itself(table, audit):
    text = json.dumps(audit(table), allow_nan=False)
    assert text == json.dumps(audit(table.sample(frac=1, random_state=1)), allow_nan=False)


def test_tables_hold_none_for_what_is_missing(table, audit):
    table["KVP"] = np.where(table.index % 2, 120.0, np.nan)
    tables = audit(table)["tables"]
    assert set(tables) == set(TABLES)
    json.dumps(tables, allow_nan=False)
    assert tables["table_one_by_class"][0]["smd"] is None
    assert tables["confounds"][0]["kind"] == "missing"


def test_an_external_cohort_is_audited_without_splits(table, make_cohort, make_context):
    params = make_context(table).params
    found = audit_cohort(make_cohort(table), cohort_params=params)
    assert set(found["verdicts"]) == set(CHECKS) - set(NEED_SPLITS)
    assert set(found["tables"]) == set(TABLES) - set(NEED_SPLITS)
    assert "leakage" not in found


def test_progress_counts_every_check_and_table(table, make_cohort, make_context):
    told = []
    audit_cohort(
        make_cohort(table),
        cohort_params=make_context(table).params,
        report=lambda done, total: told.append((done, total)),
    )
    total = len(CHECKS) + len(TABLES) - len(NEED_SPLITS)
    assert told == [(done, total) for done in range(1, total + 1)]


def test_every_verdict_is_a_sentence_with_a_status(table, audit):
    for verdict in audit(table)["verdicts"].values():
        assert verdict["status"] in ("pass", "warn", "untested", "fail")
        assert verdict["checked"].endswith(".")
        assert verdict["detail"]


def test_failures_come_first_in_the_table_and_passes_last(table, audit):
    table.loc[3, "StudyInstanceUID"] = "U0"
    table.loc[5, "coloured_fraction"] = 0.1
    statuses = verdict_table(audit(table))["status"]
    assert statuses.drop_duplicates().tolist() == ["fail", "warn", "untested", "pass"]
