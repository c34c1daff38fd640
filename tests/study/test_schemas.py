"""Schemas accept what the notebooks write and name each column that is not as it should be."""

import pandas as pd
import pandera.errors
import pytest

from helpers.study import schemas

GOOD = {
    "COHORT": {
        "sample_id": "s", "PatientID": "p", "source": "a/b.dcm", "label": "A", "level": None,
        "center_row_px": 1.0, "center_col_px": 2.0, "row_spacing_mm": 0.5, "column_spacing_mm": 0.5,
        "Rows": 512, "Columns": 512, "bits": 16, "pixel_sha256": "00", "ConvolutionKernel": "B30f",
    },
    "SPLIT": {"sample_id": "s", "fold": 0, "split": "train"},
    "EXCLUSIONS": {"source": "a.dcm", "reason": "not_ct", "detail": "MR", "remedy": "leave it out"},
    "IMAGE_INDEX": {"row": 0, "sample_id": "s", "sha256": "00", "padded_fraction": 0.0},
    "HISTORY": {
        "fold": 0, "seed": 0, "epoch": 0, "train_loss": 1.1, "validation_loss": 1.0,
        "validation_balanced_accuracy": 0.4, "is_best": True,
    },
    "PREDICTIONS": {
        "sample_id": "s", "PatientID": "p", "fold": 0, "seed": 0, "split": "test", "y_true": "F",
        "logit_F": 0.5, "logit_N": -0.5,
    },
    "ERRORS": {
        "sample_id": "s", "PatientID": "p", "y_true": "A", "y_pred": "B", "confidence": 0.9, "causes": "", "note": "",
    },
}  # fmt: skip


def table(name: str, **changed) -> pd.DataFrame:
    """One good row of a table, with some values changed."""
    frame = pd.DataFrame([{**GOOD[name], **changed}])
    logits = [column for column in frame if column.startswith("logit_")]
    return frame.astype(dict.fromkeys(logits, "float32"))


def columns_blamed(name: str, frame: pd.DataFrame) -> set[str]:
    with pytest.raises(pandera.errors.SchemaErrors) as caught:
        getattr(schemas, name).validate(frame, lazy=True)
    return set(caught.value.failure_cases["column"]) | set(caught.value.failure_cases["failure_case"].astype(str))


@pytest.mark.parametrize("name", GOOD)
def test_good_row_is_accepted(name):
    assert len(getattr(schemas, name).validate(table(name), lazy=True)) == 1


@pytest.mark.parametrize("name", GOOD)
def test_every_column_is_needed(name):
    needed = [column for column in GOOD[name] if column != "ConvolutionKernel" and not column.startswith("logit_")]
    for column in needed:
        assert column in columns_blamed(name, table(name).drop(columns=column))


@pytest.mark.parametrize("name", GOOD)
def test_every_table_may_be_empty(name):
    assert getattr(schemas, name).validate(table(name).iloc[:0], lazy=True).empty


@pytest.mark.parametrize(
    ("name", "column", "value"),
    [
        ("COHORT", "row_spacing_mm", 0.0),
        ("COHORT", "column_spacing_mm", None),
        ("COHORT", "bits", 12),
        ("COHORT", "label", None),
        ("COHORT", "PatientID", None),
        ("SPLIT", "split", "holdout"),
        ("SPLIT", "fold", -1),
        ("IMAGE_INDEX", "padded_fraction", 1.5),
        ("HISTORY", "validation_balanced_accuracy", 1.01),
        ("PREDICTIONS", "split", "dev"),
        ("PREDICTIONS", "y_true", None),
        ("ERRORS", "confidence", 1.2),
    ],
)
def test_value_out_of_range_is_blamed_on_its_column(name, column, value):
    assert column in columns_blamed(name, table(name, **{column: value}))


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("COHORT", ["sample_id"]),
        ("SPLIT", ["sample_id", "fold"]),
        ("IMAGE_INDEX", ["sample_id"]),
        ("HISTORY", ["fold", "seed", "epoch"]),
        ("PREDICTIONS", ["sample_id", "fold", "seed"]),
        ("ERRORS", ["sample_id"]),
    ],
)
def test_keys_are_unique(name, key):
    repeated = pd.concat([table(name), table(name)], ignore_index=True)
    assert columns_blamed(name, repeated) & set(key)


@pytest.mark.parametrize("name", ["SPLIT", "EXCLUSIONS", "PREDICTIONS"])
def test_foreign_columns_are_refused_where_a_table_is_closed(name):
    assert "note" in columns_blamed(name, table(name).assign(note="x"))


def test_logits_are_float32():
    frame = table("PREDICTIONS").astype({"logit_F": "float64"})
    assert "logit_F" in columns_blamed("PREDICTIONS", frame)
