from helpers.study import CohortParams


def test_a_simulated_cohort_says_so(table, audit):
    result = audit(table, params=CohortParams())
    verdict = result["verdicts"]["simulated"]
    assert verdict["status"] == "warn"
    assert "simulated: no result on it says anything about patients" in verdict["detail"]
    assert result["simulated"] is True


def test_left_out_rows_are_counted_by_reason(table, audit):
    verdicts = audit(table, excluded=("not_ct", "label_conflict", "not_ct"))["verdicts"]
    assert verdicts["exclusions"]["detail"] == "Left out: label_conflict 1, not_ct 2."
