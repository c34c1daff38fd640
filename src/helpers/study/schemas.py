"""What each table of a run folder holds: pandera schemas, checked when it is written and when it is read."""

import pandera.pandas as pa

SPLITS = ("train", "validation", "test")
UNUSED = "unused"  # a training sample that a fit left out, see training.train_patients

_text = {"dtype": str, "nullable": False}


def _positive() -> pa.Column:
    return pa.Column(float, pa.Check.gt(0), coerce=True)


def _count() -> pa.Column:
    return pa.Column("int64", pa.Check.ge(0), coerce=True)


_SAMPLE_COLUMNS = {
    "sample_id": pa.Column(**_text),
    "PatientID": pa.Column(**_text),
    "source": pa.Column(**_text),
    "label": pa.Column(**_text),
    "level": pa.Column(str, nullable=True, coerce=True),
    "center_row_px": pa.Column(float, coerce=True),
    "center_col_px": pa.Column(float, coerce=True),
    "row_spacing_mm": _positive(),
    "column_spacing_mm": _positive(),
    "Rows": pa.Column("int64", pa.Check.gt(0)),
    "Columns": pa.Column("int64", pa.Check.gt(0)),
    "bits": pa.Column("int64", pa.Check.isin([8, 16]), coerce=True),
    "pixel_sha256": pa.Column(**_text),
}
_OF_COHORT = {"cohort": pa.Column(**_text)}

COHORT = pa.DataFrameSchema(_SAMPLE_COLUMNS, unique=["sample_id"], strict=False)
EXTERNAL = pa.DataFrameSchema(_OF_COHORT | _SAMPLE_COLUMNS, unique=["cohort", "sample_id"], strict=False)

SPLIT = pa.DataFrameSchema(
    {
        "sample_id": pa.Column(**_text),
        "fold": _count(),
        "split": pa.Column(str, pa.Check.isin(SPLITS)),
    },
    unique=["sample_id", "fold"],
    strict=True,
)

_EXCLUSION_COLUMNS = {name: pa.Column(**_text) for name in ("source", "reason", "detail", "remedy")}
EXCLUSIONS = pa.DataFrameSchema(_EXCLUSION_COLUMNS, strict=True)
EXTERNAL_EXCLUSIONS = pa.DataFrameSchema(_OF_COHORT | _EXCLUSION_COLUMNS, strict=True)

_INDEX_COLUMNS = {
    "row": _count(),
    "sample_id": pa.Column(**_text),
    "sha256": pa.Column(**_text),
    "padded_fraction": pa.Column(float, pa.Check.in_range(0, 1), coerce=True),
}
IMAGE_INDEX = pa.DataFrameSchema(_INDEX_COLUMNS, unique=["sample_id"], strict=False)
EXTERNAL_INDEX = pa.DataFrameSchema(_OF_COHORT | _INDEX_COLUMNS, unique=["cohort", "sample_id"], strict=False)

HISTORY = pa.DataFrameSchema(
    {
        "fold": _count(),
        "seed": _count(),
        "epoch": _count(),
        "train_loss": pa.Column(float),
        "validation_loss": pa.Column(float),
        "validation_balanced_accuracy": pa.Column(float, pa.Check.in_range(0, 1)),
        "is_best": pa.Column(bool),
    },
    unique=["fold", "seed", "epoch"],
    strict=False,
)

PREDICTIONS = pa.DataFrameSchema(
    {
        "sample_id": pa.Column(**_text),
        "PatientID": pa.Column(**_text),
        "fold": _count(),
        "seed": _count(),
        "split": pa.Column(str, pa.Check.isin((*SPLITS, UNUSED))),
        "y_true": pa.Column(**_text),
        "logit_.+": pa.Column("float32", regex=True),
    },
    unique=["sample_id", "fold", "seed"],
    strict=True,
)

EXTERNAL_PREDICTIONS = pa.DataFrameSchema(
    {
        **_OF_COHORT,
        "sample_id": pa.Column(**_text),
        "PatientID": pa.Column(**_text),
        "fold": _count(),
        "seed": _count(),
        "y_true": pa.Column(**_text),
        "logit_.+": pa.Column("float32", regex=True),
    },
    unique=["cohort", "sample_id", "fold", "seed"],
    strict=True,
)

EXTERNAL_SCORES = pa.DataFrameSchema(
    {
        **_OF_COHORT,
        "sample_id": pa.Column(**_text),
        "PatientID": pa.Column(**_text),
        "level": pa.Column(str, nullable=True, coerce=True),
        "label": pa.Column(**_text),
        "grade": pa.Column(float, nullable=True),
        "is_fracture": pa.Column(bool),
        "score": pa.Column(float, pa.Check.in_range(0, 1)),
        "called": pa.Column(bool),
        "is_right": pa.Column(bool),
    },
    unique=["cohort", "sample_id"],
    strict=True,
)

SWEEP = pa.DataFrameSchema(
    {
        "row": pa.Column(**_text),
        "reason": pa.Column(**_text),
        "changes": pa.Column(**_text),
        "problem": pa.Column(**_text),
        "train_patients": pa.Column(float, pa.Check.gt(0), nullable=True),
        "metric": pa.Column(**_text),
        **{name: pa.Column(float, nullable=True) for name in ("estimate", "ci_low", "ci_high")},
        "n_samples": _count(),
        "n_patients": _count(),
        "against": pa.Column(**_text),
        **{name: pa.Column(float, nullable=True) for name in ("difference", "difference_low", "difference_high")},
        **{name: pa.Column(float, pa.Check.in_range(0, 1), nullable=True) for name in ("p_value", "p_holm")},
        "n_compared": _count(),
        "note": pa.Column(**_text),
        "confusion": pa.Column(**_text),
    },
    unique=["row", "metric"],
    strict=True,
)

ERRORS = pa.DataFrameSchema(
    {
        "sample_id": pa.Column(unique=True, **_text),
        "PatientID": pa.Column(**_text),
        "y_true": pa.Column(**_text),
        "y_pred": pa.Column(**_text),
        "confidence": pa.Column(float, pa.Check.in_range(0, 1), coerce=True),
        "causes": pa.Column(**_text),
        "note": pa.Column(**_text),
    },
    strict=False,
)

SALIENCY = pa.DataFrameSchema(
    {
        "sample_id": pa.Column(**_text),
        "fold": _count(),
        "seed": _count(),
        "target": pa.Column(**_text),
        "peak_row_px": pa.Column(float, nullable=True, coerce=True),
        "peak_col_px": pa.Column(float, nullable=True, coerce=True),
        "peak_offset_mm": pa.Column(float, pa.Check.ge(0), nullable=True, coerce=True),
    },
    unique=["sample_id"],
    strict=True,
)
