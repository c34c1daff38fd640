from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from helpers.cohort.exclusions import CohortError, NotUsable, Reason
from helpers.cohort.labels.genant import Grading, gradings, scan_key, shape_word, written_label
from helpers.cohort.labels.text_table import read_text_table

HERE = Path("labels.csv")


def grading(grade, shape):
    return Grading(2, "4", "sub-verse004", "L1", grade, shape)


def long_table(**cells):
    row = {"verse_ID": "253", "subject_ID": "401", "level": "L1", "genant_grade": "2", "shape": "1"}
    return pd.DataFrame([row | cells], dtype=object)


def test_a_row_per_vertebra(tmp_path):
    table = long_table(split="test secret", age_ct="58.61", genant_grade="2.0", shape="1.0")
    assert gradings(table, path=HERE) == [
        Grading(2, "253", "sub-verse401", "L1", "2", "1", {"split": "test secret", "PatientAge": "058Y"})
    ]


def test_a_row_per_scan_gives_its_graded_vertebrae_in_order():
    cells = {"T1_fx-g": None, "T12_fx-g": "1", "L1_fx-g": "x", "T1_fx-s": None, "T12_fx-s": "2", "L1_fx-s": "x"}
    row = {"verse_ID": "gl003", "subject_ID": "gl003", "dataset": "training", "CT_device": "3"} | cells
    found = gradings(pd.DataFrame([row], dtype=object), path=HERE)
    assert [(item.level, item.grade, item.shape) for item in found] == [("T12", "1", "2"), ("L1", "x", "x")]
    assert {item.patient for item in found} == {"sub-gl003"}
    assert found[0].facts == {"split": "training", "Manufacturer": "Philips", "ManufacturerModelName": "IQon"}


def test_another_table_is_refused_with_what_would_do():
    with pytest.raises(CohortError, match=r"labels\.csv: no column 'shape'.*published table.*column `file`"):
        gradings(long_table().drop(columns="shape"), path=HERE)


@pytest.mark.parametrize("name", ["4", "004", "verse004", "sub-verse004", "VERSE004"])
def test_a_scan_has_one_key_however_it_is_written(name):
    assert scan_key(name) == "4"


def test_scans_with_letters_keep_them():
    assert scan_key("sub-gl003") == scan_key("GL003") == "gl003"


@pytest.mark.parametrize(
    ("grade", "shape", "word"),
    [("0", "0", "none"), ("1", "1", "wedge"), ("2", "2", "biconcave"), ("3", "3", "crush"), ("2", "wedge", "wedge")],
)
def test_codes_become_words(grade, shape, word):
    assert shape_word(grading(grade, shape)) == word


@pytest.mark.parametrize(
    ("grade", "shape", "reason"),
    [
        ("x", "x", Reason.FOREIGN_MATERIAL),
        (None, None, Reason.MISSING_LABEL),
        ("1", None, Reason.MISSING_LABEL),
        (None, "1", Reason.MISSING_LABEL),
        ("4", "1", Reason.UNKNOWN_LABEL),
        ("1", "4", Reason.UNKNOWN_LABEL),
        ("1", "burst", Reason.UNKNOWN_LABEL),
        ("0", "1", Reason.CONTRADICTORY_GRADE),
        ("2", "0", Reason.CONTRADICTORY_GRADE),
    ],
)
def test_a_vertebra_without_a_clear_grade_is_told(grade, shape, reason):
    with pytest.raises(NotUsable, match="L1") as caught:
        shape_word(grading(grade, shape))
    assert caught.value.reason is reason


def test_shape_and_grade_win_over_the_shape():
    values = {"wedge": "F", "wedge1": "N"}
    assert written_label(grading("1", "1"), label_values=values) == "wedge1"
    assert written_label(grading("2", "1"), label_values=values) == "wedge"


@pytest.mark.shared
def test_the_published_table_and_its_long_version_say_the_same(shared_data):
    folder = shared_data / "verse19"
    paths = [folder / "ryai190138_AppendixE1.xlsx", folder / "verse19_vertebra_labels_long.csv"]
    wide, long = (gradings(read_text_table(path), path=path) for path in paths)
    said = [
        {(item.scan, item.patient, item.level): (item.grade, item.shape) for item in found} for found in (wide, long)
    ]
    assert said[0] == said[1]
    assert len(said[0]) == 1500
    assert len({item.patient for item in wide}) == 138
    grades = Counter(item.grade for item in wide)
    assert grades == {"0": 1180, "1": 142, "2": 96, "3": 51, "x": 31}
    words = Counter(shape_word(item) for item in wide if item.grade != "x")
    assert words == {"none": 1180, "wedge": 106, "biconcave": 143, "crush": 40}
    assert {item.patient for item in wide if item.scan in ("201", "253")} == {"sub-verse401"}
