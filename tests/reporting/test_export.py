import re

import numpy as np
import pandas as pd
import pytest

from helpers.reporting.export import COHORT_COLUMNS, REMOVED, export_run, shareable
from helpers.study import ArtefactError

COHORT = pd.DataFrame(
    {
        "sample_id": ["S1", "S2", "S3", "S4"],
        "PatientID": ["Pa", "Pa", "Pb", "Pc"],
        "source": ["Mustermann/1.dcm"] * 4,
        "label": ["A", "B", "A", "B"],
        "level": ["L1", "T12", "Mustermann", None],
        "grade": ["2", "3.0", "see letter", None],
        "PatientAge": ["045Y", "046Y", "094Y", None],
        "PatientSex": ["F", "F", "M", "Herr"],
        "study_day": [100.0, 130.0, 7.0, np.nan],
        "StudyInstanceUID": ["U1", "U2", "U3", None],
        "pixel_sha256": ["ab" * 32, "cd" * 32, "ef" * 32, "01" * 32],
        "Manufacturer": ["Mustermann Scanners"] * 4,
        "SliceThickness": [1.0, 1.0, 2.0, np.nan],
        "KVP": [120.0] * 4,
        "row_spacing_mm": [0.714285, 0.5, 0.5, 0.5],
        "bits": [16] * 4,
    }
)
SPLITS = pd.DataFrame({"sample_id": ["S1", "S2", "S3", "S4"], "fold": 0, "split": ["train", "train", "test", "test"]})
PREDICTIONS = COHORT[["sample_id", "PatientID"]].assign(
    fold=0, seed=0, split="test", y_true=COHORT["label"], logit_A=np.float32(1.5), logit_B=np.float32(-1.5)
)


class FakeRun:
    """As much of a run as an export reads."""

    def read_table(self, name):
        return {"cohort": COHORT, "splits": SPLITS, "predictions": PREDICTIONS}[name]


@pytest.fixture
def exported(tmp_path):
    return export_run(FakeRun(), tmp_path / "shared" / "copy")


@pytest.fixture
def tables(exported):
    return {path.stem: pd.read_csv(path, dtype={"grade": str}) for path in exported.glob("*.csv")}


def test_the_copy_holds_three_tables_and_two_texts(exported):
    names = ["README.md", "REMOVED.md", "cohort.csv", "predictions.csv", "splits.csv"]
    assert sorted(path.name for path in exported.iterdir()) == names


def test_only_listed_columns_pass(tables):
    assert list(tables["cohort"]) == list(COHORT_COLUMNS)
    text = "".join(table.to_csv() for table in tables.values())
    assert not re.search("Mustermann|Herr|see letter|S1,|Pa,|abab", text)


def test_ages_are_grouped_and_days_count_within_a_patient(tables):
    by_age = tables["cohort"].sort_values("age_years")
    assert by_age["age_years"].dropna().tolist() == [45, 46, 90]
    assert by_age["days"].dropna().tolist() == [0, 30, 0]


def test_texts_of_no_known_form_are_empty(tables):
    assert set(tables["cohort"]["level"].dropna()) == {"L1", "T12"}
    assert set(tables["cohort"]["grade"].dropna()) == {"2", "3.0"}
    assert set(tables["cohort"]["PatientSex"].dropna()) == {"F", "M"}


def test_tables_belong_together_by_their_new_names(tables):
    joined = tables["cohort"].merge(tables["predictions"], on=["sample_id", "PatientID"], validate="1:1")
    assert len(joined) == 4
    assert (joined["label"] == joined["y_true"]).all()
    assert set(tables["splits"]["sample_id"]) == set(joined["sample_id"])
    assert tables["cohort"]["PatientID"].nunique() == 3


def test_two_copies_share_no_name():
    names = [set(shareable(FakeRun(), key=key)["cohort.csv"]["PatientID"]) for key in (b"1" * 32, b"2" * 32)]
    assert not names[0] & names[1]


def test_nothing_is_overwritten(exported):
    with pytest.raises(ArtefactError, match="nothing is overwritten"):
        export_run(FakeRun(), exported)


def test_the_texts_name_every_column_and_every_removal(exported):
    readme = (exported / "README.md").read_text()
    assert all(f"`{column}`" in readme for column in COHORT_COLUMNS)
    removed = (exported / "REMOVED.md").read_text()
    assert all(what in removed for what in REMOVED)
