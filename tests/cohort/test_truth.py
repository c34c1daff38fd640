import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers.cohort import CohortError
from helpers.cohort.reading import read_cohort
from helpers.cohort.truth import read_truth
from helpers.study import CohortParams


@pytest.fixture(scope="module")
def params(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    return CohortParams(folder=str(folder), phantom_images={"A": 2, "B": 2, "C": 1}, phantom_patients=4, phantom_seed=1)


@pytest.fixture(scope="module")
def cohort(params):
    return read_cohort(params).table


def test_every_sample_has_the_truth_of_its_own_image(cohort, params):
    truth = read_truth(cohort, params=params)
    assert truth.table["sample_id"].tolist() == cohort["sample_id"].tolist()
    assert truth.table["PatientID"].tolist() == cohort["PatientID"].tolist()
    assert (truth.table["simulated_label"] == cohort["label"]).all()
    fractured = truth.table["label"].isin(["A", "B"])
    assert (truth.table["subtype"].ne("none") == fractured).all()


def test_masks_lie_in_the_pixels_of_the_image_around_the_sample(cohort, params):
    truth = read_truth(cohort, params=params)
    for sample in cohort.itertuples():
        body = truth.masks(sample.sample_id)["body"]
        assert body.shape == (sample.Rows, sample.Columns)
        center = [indices.mean() for indices in np.nonzero(body)]
        away_mm = np.subtract(center, (sample.center_row_px, sample.center_col_px)) * sample.row_spacing_mm
        assert np.abs(away_mm).max() < 10


def test_other_names_of_classes_keep_the_simulated_one(cohort, params):
    renamed = cohort.assign(label=cohort["label"].map({"A": "F", "B": "F", "C": "N"}))
    truth = read_truth(renamed, params=params)
    assert truth.table["label"].tolist() == renamed["label"].tolist()
    assert set(truth.table["simulated_label"]) == {"A", "B", "C"}


def test_a_cohort_that_is_not_simulated_has_none():
    assert read_truth(pd.DataFrame(), params=CohortParams(source="images")) is None


def test_reading_never_simulates(cohort, params, tmp_path):
    absent = params.model_copy(update={"folder": str(tmp_path)})
    with pytest.raises(CohortError, match="01_data_audit"):
        read_truth(cohort, params=absent)
    assert not list(tmp_path.iterdir())


def test_a_missing_table_of_truth_is_named(cohort, params, tmp_path):
    copied = Path(shutil.copytree(params.folder, tmp_path / "data"))
    (file,) = copied.glob("phantom-*/truth.parquet")
    file.unlink()
    with pytest.raises(CohortError, match=r"truth\.parquet is missing.*01_data_audit"):
        read_truth(cohort, params=params.model_copy(update={"folder": str(copied)}))


def test_a_cohort_table_of_other_files_is_refused(cohort, params):
    foreign = cohort.assign(source=["DICOM/SIM9999/IM0001.dcm", *cohort["source"][1:]])
    with pytest.raises(CohortError, match="01_data_audit"):
        read_truth(foreign, params=params)
