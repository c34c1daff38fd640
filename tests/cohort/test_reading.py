from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from helpers.cohort.exclusions import CohortError
from helpers.cohort.reading import load_pixels, read_cohort
from helpers.study import CohortParams, load_study
from helpers.study.schemas import COHORT, EXCLUSIONS

REPOSITORY = Path(__file__).parents[2]


def reasons(cohort):
    return cohort.exclusions["reason"].tolist()


@pytest.fixture
def read_spoilt(clean_cohort, write_labels, dicom_params):
    """read_spoilt(*rows) -> the clean cohort, read with these rows appended to its table."""

    def read(*rows, **changes):
        write_labels([*clean_cohort, *rows])
        return read_cohort(dicom_params.model_copy(update=changes))

    return read


@pytest.fixture
def image_cohort(folder, write_labels):
    """Two 8-bit images with two boxes each, of two patients; returns the rows of its table."""
    rows = []
    for patient in "12":
        pixels = np.random.default_rng(int(patient)).integers(0, 255, (40, 50), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{patient}.png")
        for label, x0 in (("A", 0), ("B", 20)):
            box = {"x0": x0, "y0": 4, "x1": x0 + 10, "y1": 24}
            rows.append({"file": f"{patient}.png", "PatientID": patient, "label": label, "mm_per_px": 0.5} | box)
    write_labels(rows)
    return rows


IMAGES = CohortParams(
    source="images", folder="cohort", labels="labels.csv", class_names={"A": "a", "B": "b"}, normal_class=None
)


def test_a_clean_cohort_is_used_wholly(clean_cohort, dicom_params):
    seen = []
    cohort = read_cohort(dicom_params, report=lambda done, total: seen.append((done, total)))
    COHORT.validate(cohort.table)
    EXCLUSIONS.validate(cohort.exclusions)
    assert len(cohort.table) == 9
    assert cohort.exclusions.empty
    assert seen == [(done, 9) for done in range(1, 10)]
    row = cohort.table[cohort.table["source"] == "p0/image.dcm"].iloc[0]
    assert (row["Rows"], row["Columns"], row["bits"]) == (12, 10, 16)
    assert (row["center_row_px"], row["center_col_px"]) == (5.5, 4.5)
    assert (row["row_spacing_mm"], row["column_spacing_mm"], row["spacing_from"]) == (0.5, 0.4, "file")
    assert [step["n_samples"] for step in cohort.flow] == [None, 9, 9, 9, 9]


def test_the_table_survives_parquet(clean_cohort, dicom_params, tmp_path):
    table = read_cohort(dicom_params).table
    table.to_parquet(tmp_path / "cohort.parquet", index=False)
    pd.testing.assert_frame_equal(COHORT.validate(pd.read_parquet(tmp_path / "cohort.parquet")), table)


def test_identifiers_do_not_reach_the_table(clean_cohort, dicom_params, tmp_path):
    cohort = read_cohort(dicom_params)
    text = cohort.table.drop(columns="source").to_csv()
    assert "MRN" not in text
    assert "1.2." not in text.replace("0.", "")
    assert cohort.table["PatientID"].nunique() == 9
    assert (tmp_path / "data" / "pseudonym.key").exists()
    open_names = read_cohort(dicom_params.model_copy(update={"pseudonymise": False})).table
    assert set(open_names["PatientID"]) == {f"MRN{number}" for number in range(9)}


def test_names_stay_the_same_with_the_same_key(clean_cohort, write_labels, dicom_params):
    first = read_cohort(dicom_params).table
    write_labels(clean_cohort[::-1])
    pd.testing.assert_frame_equal(read_cohort(dicom_params).table, first)


def test_the_patient_comes_from_the_header_where_the_table_has_none(clean_cohort, write_labels, dicom_params):
    write_labels([{"file": row["file"], "label": row["label"]} for row in clean_cohort])
    named = dicom_params.model_copy(update={"pseudonymise": False})
    assert set(read_cohort(named).table["PatientID"]) == {f"MRN{number}" for number in range(9)}


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"Modality": "MR"}, "not_ct"),
        ({"RescaleSlope": None}, "missing_rescale"),
        ({"PixelSpacing": None}, "missing_pixel_spacing"),
        ({"PatientID": None}, "missing_patient"),
        ({"PatientID": ""}, "missing_patient"),
        ({"SamplesPerPixel": 3}, "colour_image"),
    ],
)
def test_a_bad_file_is_recorded_and_the_others_are_used(read_spoilt, write_ct, folder, attributes, reason):
    write_ct(folder / "bad.dcm", **attributes)
    cohort = read_spoilt({"file": "bad.dcm", "label": "A"})
    assert len(cohort.table) == 9
    assert reasons(cohort) == [reason]
    assert cohort.exclusions["source"].tolist() == ["bad.dcm"]
    assert cohort.exclusions["detail"].iloc[0].startswith("row 11: ")
    assert cohort.flow[-1]["n_samples"] == 9


def test_a_truncated_file_is_recorded(read_spoilt, write_ct, folder):
    path = write_ct(folder / "cut.dcm")
    path.write_bytes(path.read_bytes()[:-20])
    assert reasons(read_spoilt({"file": "cut.dcm", "label": "A"})) == ["unreadable_dicom"]


def test_files_nobody_labelled_are_recorded(read_spoilt, write_ct, folder):
    write_ct(folder / "spare.dcm")
    (folder / "notes.txt").write_text("text")
    cohort = read_spoilt()
    assert dict(zip(cohort.exclusions["source"], reasons(cohort), strict=True)) == {
        "notes.txt": "not_dicom",
        "spare.dcm": "unlabelled_file",
    }
    assert cohort.flow[1]["excluded"] == {"not_dicom": 1, "unlabelled_file": 1}


def test_bad_rows_are_recorded(read_spoilt, clean_cohort):
    cohort = read_spoilt({"file": "../x", "label": "A"}, {"file": "p0/image.dcm", "label": "Z"}, clean_cohort[1])
    assert reasons(cohort) == ["path_escapes_folder", "unknown_label", "duplicate_row"]
    assert len(cohort.table) == 9


def test_a_series_becomes_one_sample(read_spoilt, write_series, folder, dicom_params):
    write_series(folder / "series")
    (folder / "series" / "notes.txt").write_text("text")
    cohort = read_spoilt({"file": "series", "PatientID": "S", "label": "B", "slice_index": 2})
    row = cohort.table[cohort.table["source"] == "series"].iloc[0]
    assert (row["Rows"], row["Columns"], row["slice_index"]) == (4, 5, 2)
    assert (row["row_spacing_mm"], row["column_spacing_mm"]) == pytest.approx((2.0, 0.8))
    assert [step["n_files"] for step in cohort.flow] == [14, 13, 13, 13, 13]
    assert reasons(cohort) == ["not_dicom"]
    assert load_pixels(row, source=cohort.source)[0, 0] == 200


def test_boxes_share_one_picture_and_keep_their_centres(image_cohort):
    cohort = read_cohort(IMAGES)
    assert len(cohort.table) == 4
    assert cohort.table["pixel_sha256"].nunique() == 2
    assert set(cohort.table["center_col_px"]) == {5, 25}
    assert set(cohort.table["center_row_px"]) == {14}
    assert set(cohort.table["bits"]) == {8}


@pytest.mark.parametrize(("x1", "inside"), [(50, True), (51, False)])
def test_a_box_must_lie_in_its_image(image_cohort, write_labels, x1, inside):
    write_labels([*image_cohort, image_cohort[0] | {"x1": x1, "x0": 40}])
    cohort = read_cohort(IMAGES)
    assert reasons(cohort) == ([] if inside else ["box_outside_image"])


def test_pixel_size_comes_from_the_table_before_the_parameters(image_cohort, write_labels):
    rows = [row | {"mm_per_px": "" if row["PatientID"] == "2" else 0.5} for row in image_cohort]
    write_labels([*rows, image_cohort[0] | {"x0": 30, "x1": 40}])
    table = read_cohort(IMAGES.model_copy(update={"mm_per_px": 0.7})).table
    assert sorted(zip(table["row_spacing_mm"], table["spacing_from"], strict=True)) == [
        (0.5, "table"),
        (0.5, "table"),
        (0.5, "table"),
        (0.7, "parameter"),
        (0.7, "parameter"),
    ]


def test_an_image_without_pixel_size_is_recorded(image_cohort, write_labels):
    write_labels([*image_cohort, image_cohort[0] | {"mm_per_px": "", "x1": 30}])
    assert reasons(read_cohort(IMAGES)) == ["no_mm_per_px"]


def test_the_minority_unit_is_left_out(image_cohort, write_labels, folder):
    Image.fromarray(np.zeros((40, 50), np.uint16)).save(folder / "deep.png")
    deep = {"file": "deep.png", "PatientID": "3", "label": "A", "mm_per_px": 0.5, "rescale_intercept": -1024}
    write_labels([*image_cohort, deep])
    cohort = read_cohort(IMAGES)
    assert reasons(cohort) == ["mixed_bits"]
    assert set(cohort.table["bits"]) == {8}


def test_deep_images_are_read_again_with_their_intercept(image_cohort, write_labels, folder):
    rows = []
    for number, label in enumerate("AB"):
        Image.fromarray(np.full((4, 4), 24 + number, np.uint16)).save(folder / f"deep{number}.png")
        rows.append({"file": f"deep{number}.png", "PatientID": number, "label": label, "mm_per_px": 1})
    write_labels([row | {"rescale_intercept": -1024} for row in rows])
    cohort = read_cohort(IMAGES)
    values = {row["label"]: load_pixels(row, source=cohort.source)[0, 0] for _, row in cohort.table.iterrows()}
    assert values == {"A": -1000, "B": -999}


def test_images_need_a_patient_column(image_cohort, write_labels):
    write_labels([{key: row[key] for key in ("file", "label")} for row in image_cohort])
    with pytest.raises(CohortError, match="no column 'PatientID' for PatientID"):
        read_cohort(IMAGES)


def test_no_usable_sample_is_an_error_that_counts_the_reasons(clean_cohort, write_labels, dicom_params):
    write_labels([row | {"label": "Z"} for row in clean_cohort])
    with pytest.raises(CohortError, match=r"labels\.csv: no usable sample is left; not used: unknown_label 9"):
        read_cohort(dicom_params)


def test_a_class_without_samples_is_an_error_that_names_it(clean_cohort, write_labels, dicom_params):
    write_labels([row for row in clean_cohort if row["label"] != "B"])
    with pytest.raises(CohortError, match=r"no sample of class B \(burst\) is left; not used: unlabelled_file 3"):
        read_cohort(dicom_params)


def test_pixels_that_changed_after_the_audit_are_refused(clean_cohort, dicom_params, folder, write_ct):
    cohort = read_cohort(dicom_params)
    row = cohort.table[cohort.table["source"] == "p0/image.dcm"].iloc[0]
    assert load_pixels(row, source=cohort.source).shape == (12, 10)
    write_ct(folder / "p0/image.dcm")
    with pytest.raises(CohortError, match="p0/image.dcm: its pixels are not those that were audited"):
        load_pixels(row, source=cohort.source)
    (folder / "p0/image.dcm").unlink()
    with pytest.raises(CohortError, match="was readable in the audit"):
        load_pixels(row, source=cohort.source)


def test_the_simulated_cohort_comes_in_like_files_of_a_user():
    params = CohortParams(folder="sim", phantom_images={"A": 3, "B": 2, "C": 2}, phantom_patients=4)
    cohort = read_cohort(params)
    COHORT.validate(cohort.table)
    assert cohort.exclusions.empty
    assert cohort.table["label"].value_counts().to_dict() == {"A": 3, "B": 2, "C": 2}
    assert cohort.table["PatientID"].nunique() == 4
    assert set(cohort.table["PatientOrientation"]) == {"P\\F"}


@pytest.mark.shared
def test_all_real_vertebrae_are_used(shared_data):
    study = load_study(REPOSITORY / "tests" / "params" / "xvertseg.yaml")
    folder = shared_data / "xvertseg"
    places = {"folder": str(folder / "roi"), "labels": str(folder / "vertebrae.csv")}
    cohort = read_cohort(study.cohort.model_copy(update=places))
    assert cohort.table["label"].value_counts().to_dict() == {"N": 26, "F": 49}
    assert cohort.table["PatientID"].nunique() == 15
    assert (cohort.table["spacing_from"] == "parameter").sum() == 5
    assert reasons(cohort) == ["unlabelled_file"]
