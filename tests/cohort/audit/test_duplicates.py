def test_copies_within_a_patient_warn_and_across_patients_fail(table, statuses):
    table.loc[3, ["pixel_sha256", "PatientID"]] = ["h0", "P0"]
    assert statuses(table)["duplicates"] == "warn"
    table.loc[3, "PatientID"] = "P3"
    assert statuses(table)["duplicates"] == "fail"
    assert statuses(table)["label_conflicts"] == "pass"


def test_equal_pixels_under_two_labels_fail(table, audit):
    table.loc[1, ["pixel_sha256", "PatientID"]] = ["h0", "P0"]
    verdict = audit(table)["verdicts"]["label_conflicts"]
    assert (verdict["status"], verdict["found"]) == ("fail", 2)


def test_two_boxes_in_one_file_are_no_copies(table, statuses):
    table.loc[1, ["pixel_sha256", "PatientID", "source", "center_row_px"]] = ["h0", "P0", "0.dcm", 50.0]
    found = statuses(table)
    assert (found["duplicates"], found["label_conflicts"]) == ("pass", "pass")


def test_conflicting_rows_that_were_left_out_are_told(table, statuses):
    assert statuses(table, excluded=("label_conflict",))["label_conflicts"] == "warn"
