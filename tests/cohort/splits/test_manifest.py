import json

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from helpers.cohort.reading import read_cohort
from helpers.cohort.splits.division import split_cohort
from helpers.cohort.splits.manifest import manifest_note, split_manifest
from helpers.study import CohortParams, SplitParams

THREE_FOLDS = SplitParams(n_folds=3)
PREDEFINED = SplitParams(split_method="predefined")


@pytest.fixture
def divided(clean_cohort, dicom_params):
    """A DICOM cohort of nine patients and its three folds."""
    cohort = read_cohort(dicom_params)
    return cohort.table, split_cohort(cohort.table, THREE_FOLDS)


def test_a_row_says_where_a_sample_lies_in_each_fold(divided):
    table, splits = divided
    manifest = split_manifest(table, splits)
    assert manifest["sample_id"].tolist() == table["sample_id"].tolist()
    assert manifest["file"].tolist() == table["source"].tolist()
    assert manifest["pixel_sha256"].tolist() == table["pixel_sha256"].tolist()
    for fold, part in splits.groupby("fold"):
        expected = part.set_index("sample_id")["split"]
        assert (manifest.set_index("sample_id")[f"split_fold_{fold}"] == expected).all()


def test_no_identifier_is_in_it(divided):
    assert "MRN" not in split_manifest(*divided).to_csv()


def test_columns_without_content_are_left_out(divided):
    assert not {"level", "x0", "slice_index", "mm_per_px", "center_x_mm"} & set(split_manifest(*divided).columns)


@pytest.mark.parametrize("fold", [0, 2])
def test_the_way_back_gives_the_same_samples_and_split(divided, dicom_params, tmp_path, fold):
    table, splits = divided
    split_manifest(table, splits).to_csv(tmp_path / "split_manifest.csv", index=False)
    columns = {"split": f"split_fold_{fold}"}
    params = dicom_params.model_copy(update={"labels": "split_manifest.csv", "columns": columns})
    again = read_cohort(params).table
    assert again["sample_id"].tolist() == table["sample_id"].tolist()
    assert again["pixel_sha256"].tolist() == table["pixel_sha256"].tolist()
    expected = splits[splits["fold"] == fold].assign(fold=0).reset_index(drop=True)
    pd.testing.assert_frame_equal(split_cohort(again, PREDEFINED), expected)


def test_the_note_says_how_to_use_it(divided, tmp_path):
    manifest = split_manifest(*divided)
    note = json.loads(json.dumps(manifest_note(manifest, THREE_FOLDS)))
    assert SplitParams(**note["params"]) == THREE_FOLDS
    assert set(note["columns"]) == set(manifest.columns)
    assert sum(part["n_samples"] for part in note["parts"]["split_fold_1"].values()) == 9
    used = yaml.safe_load(note["use"])
    assert used["cohort"]["columns"] == {"split": "split_fold_0"}
    assert SplitParams(**used["splits"]) == PREDEFINED


def test_planes_and_centres_of_volumes_find_their_way_back(folder, write_series, write_labels, tmp_path):
    rows = []
    for number, label in enumerate("ABC" * 3):
        write_series(folder / f"s{number}", PatientID=f"P{number}", StudyInstanceUID=f"1.{number}")
        place = {"slice_index": 1 + number // 3} if number % 2 else {}
        center = {} if place else {"center_x_mm": 1.8 * (number % 3), "center_y_mm": 1.6, "center_z_mm": 4}
        rows.append({"file": f"s{number}", "label": label, **place, **center})
    write_labels([{column: row.get(column, "") for column in dict.fromkeys(sum(map(list, rows), []))} for row in rows])
    params = CohortParams(source="dicom", folder="cohort", labels="labels.csv")
    table = read_cohort(params).table
    splits = split_cohort(table, SplitParams(split_method="patient_holdout", test_fraction=0.34))
    split_manifest(table, splits).to_csv(tmp_path / "manifest.csv", index=False)
    again = read_cohort(params.model_copy(update={"labels": "manifest.csv"})).table
    assert len(again) == 9
    assert again["pixel_sha256"].tolist() == table["pixel_sha256"].tolist()
    pd.testing.assert_frame_equal(split_cohort(again, PREDEFINED), splits)


def test_boxes_and_pixel_sizes_of_image_files_find_their_way_back(folder, write_labels, tmp_path):
    rows = []
    for patient in range(6):
        pixels = np.random.default_rng(patient).integers(0, 255, (40, 50), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{patient}.png")
        for label, x0 in (("A", 0), ("B", 20.25)):
            box = {"x0": x0, "y0": 4, "x1": x0 + 10, "y1": 24}
            rows.append({"file": f"{patient}.png", "PatientID": patient, "label": label, "mm_per_px": 0.3} | box)
    write_labels(rows)
    classes = {"class_names": {"A": "a", "B": "b"}, "normal_class": None}
    params = CohortParams(source="images", folder="cohort", labels="labels.csv", **classes)
    table = read_cohort(params).table
    splits = split_cohort(table, SplitParams(split_method="patient_holdout", test_fraction=0.34))
    split_manifest(table, splits).to_csv(tmp_path / "manifest.csv", index=False)
    again = read_cohort(params.model_copy(update={"labels": "manifest.csv"})).table
    assert len(again) == 12
    pd.testing.assert_frame_equal(split_cohort(again, PREDEFINED), splits)
