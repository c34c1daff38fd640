from helpers.study import CohortParams


def test_identifiers_are_named_by_attribute(table, audit, statuses):
    table["identifying_attributes"] = table["identifying_attributes"].astype("str")
    table.loc[4, "identifying_attributes"] = "PatientName OperatorsName"
    verdict = audit(table)["verdicts"]["privacy"]
    assert (verdict["status"], verdict["found"], verdict["examples"]) == ("warn", 1, ["S004"])
    assert "OperatorsName, PatientName" in verdict["detail"]
    assert statuses(table, params=CohortParams())["privacy"] == "pass"
