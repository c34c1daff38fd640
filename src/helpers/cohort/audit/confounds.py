"""Whether the way images were acquired tells their class: a network would then learn the scanner, not the fracture.

Every acquisition column is tested against the label, and a model that sees nothing but acquisition is cross-validated.
All of it counts patients: one row per patient and class (`patients.per_patient`).
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, Optional

import pandas as pd
from statsmodels.stats.multitest import multipletests

from helpers.cohort.audit.associations import association
from helpers.cohort.audit.metadata_model import MIN_PATIENTS_PER_CLASS, AurocEstimate, metadata_auroc
from helpers.cohort.audit.patients import is_numeric, per_patient
from helpers.cohort.audit.titles import COLUMN_TITLES
from helpers.cohort.audit.verdicts import AuditContext, Verdict, counted
from helpers.cohort.files.dicom import NUMBER_KEYWORDS, TEXT_KEYWORDS

DEMOGRAPHIC_COLUMNS = ("PatientAge", "PatientSex")
# What names one study tells every class; RescaleSlope and RescaleIntercept are applied, and gone from the table.
NOT_ACQUISITION = ("StudyDate", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", *DEMOGRAPHIC_COLUMNS)
TABLE_COLUMNS = (
    "row_spacing_mm",
    "column_spacing_mm",
    "spacing_from",
    "Rows",
    "Columns",
    "PatientOrientation",
    "study_day",
    "site",
)
ACQUISITION_COLUMNS = tuple(
    name for name in dict.fromkeys((*TEXT_KEYWORDS, *NUMBER_KEYWORDS, *TABLE_COLUMNS)) if name not in NOT_ACQUISITION
)
SIGNIFICANCE = 0.05
# A lower bound this far above chance is more than the optimism of a small cohort; at 0.7 acquisition alone is a
# classifier of use.
WARN_ABOVE, FAIL_ABOVE = 0.55, 0.70
# One column whose effect is at least this tells the class nearly by itself; no model is needed to see it.
FAIL_ABOVE_EFFECT = 0.8
PLACE_TELLS = (
    " Fractures are centred on their box and normal slices on the image: the place alone may tell the class, and no "
    "column here shows it."
)


def acquisition_columns(table: pd.DataFrame) -> list[str]:
    """Columns of the cohort table that say how an image was acquired, where they hold anything that varies."""
    return _varying(table, ACQUISITION_COLUMNS)


def _varying(table: pd.DataFrame, names: Sequence[str]) -> list[str]:
    return [name for name in names if name in table and table[name].nunique(dropna=False) > 1]


def confound_table(context: AuditContext) -> pd.DataFrame:
    """Association of each acquisition and demographic column with the class.

    Returns
    -------
    One row per test, strongest first: column; kind (numeric, text, or missing: whether the value is there at all);
    n_patients, n_missing, n_values; effect with ci_low and ci_high, from 0 (none) to 1: the correlation ratio of the
    ranks for numbers, Cramer's V for the others, both corrected for chance; p_value (Kruskal-Wallis or chi-squared)
    and p_holm, corrected for the number of tests (Holm 1979).
    """
    table = context.table
    columns = [*acquisition_columns(table), *_varying(table, DEMOGRAPHIC_COLUMNS)]
    units = per_patient(table, by="label", columns=columns)
    found = [row for name in columns for row in _tests(units, name)]
    names = ["column", "kind", "n_patients", "n_missing", "n_values", "effect", "ci_low", "ci_high", "p_value"]
    result = pd.DataFrame(found, columns=names)
    result["p_holm"] = multipletests(result["p_value"], method="holm")[1] if len(result) else []
    return result.sort_values(["effect", "column", "kind"], ascending=[False, True, True], ignore_index=True)


def _tests(units: pd.DataFrame, name: str) -> list[tuple]:
    """Test of the values of a column, and of their being missing, where either varies."""
    values, missing = units[name], units[name].isna()
    kind = "numeric" if is_numeric(values) else "text"
    known = units[~missing]
    rows = []
    for what, rest, tested in ((kind, known, known[name]), ("missing", units, missing)):
        if tested.nunique() < 2 or rest["label"].nunique() < 2:
            continue
        tested = tested if what == "numeric" else tested.astype(str)
        found = association(tested, rest["label"])
        counts = (rest["PatientID"].nunique(), int(missing.sum()), int(tested.nunique()))
        rows.append((name, what, *counts, found.effect, found.ci_low, found.ci_high, found.p_value))
    return rows


def metadata_table(context: AuditContext) -> pd.DataFrame:
    """How well the class is told without any pixel: columns model, columns, auroc, ci_low, ci_high, n_patients."""
    rows = []
    for model, columns in (("acquisition", acquisition_columns(context.table)), ("demographics", _people(context))):
        found = _estimate(context, columns)
        if found is not None:
            names = ", ".join(columns)
            rows.append((model, names, found.auroc, found.ci_low, found.ci_high, found.n_patients))
    return pd.DataFrame(rows, columns=["model", "columns", "auroc", "ci_low", "ci_high", "n_patients"])


def _people(context: AuditContext) -> list[str]:
    return _varying(context.table, DEMOGRAPHIC_COLUMNS)


def _estimate(context: AuditContext, columns: Sequence[str]) -> Optional[AurocEstimate]:
    return metadata_auroc(per_patient(context.table, by="label", columns=columns), columns=columns)


def check_confounds(context: AuditContext) -> Verdict:
    """Whether acquisition alone tells the class, or the way in which samples were placed."""
    verdict = _check_acquisition(context)
    if context.params.source != "rsna":
        return verdict
    return replace(verdict, status="fail" if verdict.status == "fail" else "warn", detail=verdict.detail + PLACE_TELLS)


def _check_acquisition(context: AuditContext) -> Verdict:
    checked = "How an image was acquired does not tell its class."
    columns = acquisition_columns(context.table)
    tests = confound_table(context)
    tests = tests[~tests["column"].isin(DEMOGRAPHIC_COLUMNS)]
    linked = tests[tests["p_holm"] < SIGNIFICANCE]
    found = _estimate(context, columns)
    if found is None and linked.empty:
        return Verdict("untested", checked, 0, _why_untested(context.table, ACQUISITION_COLUMNS))
    model = f"A model that sees {counted(len(columns), 'acquisition columns')} and no pixel"
    detail = f"{model} reaches {found}." if found else f"{model} could not be fitted: too few patients per class."
    return Verdict(_status(linked, found), checked, len(linked), detail + _named(linked))


def _status(linked: pd.DataFrame, found: Optional[AurocEstimate]) -> Literal["pass", "warn", "fail"]:
    low = 0.0 if found is None else found.ci_low
    if low > FAIL_ABOVE or (linked["ci_low"] > FAIL_ABOVE_EFFECT).any():
        return "fail"
    return "warn" if low > WARN_ABOVE or len(linked) else "pass"


def _why_untested(table: pd.DataFrame, names: Sequence[str]) -> str:
    """The reason why no model of these columns could be fitted."""
    if not any(name in table and table[name].notna().any() for name in names):
        return "Unknown: no image has a value in any of these columns."
    if not _varying(table, names):
        return "Constant: every column that is known holds one value."
    return f"Too few patients: a model needs {MIN_PATIENTS_PER_CLASS} of each class to be cross-validated."


def check_demographics(context: AuditContext) -> Verdict:
    """Whether age and sex alone tell the class."""
    checked = "A model of age and sex tells the class hardly better than chance."
    columns = _people(context)
    found = _estimate(context, columns) if columns else None
    if found is None:
        return Verdict("untested", checked, 0, _why_untested(context.table, DEMOGRAPHIC_COLUMNS))
    seen = " and ".join(COLUMN_TITLES[name] for name in columns)
    detail = f"A model that sees {seen} only reaches {found}.{_linked_people(context)}"
    if found.ci_low <= WARN_ABOVE:
        return Verdict("pass", checked, 0, detail)
    return Verdict("warn", checked, len(columns), detail + " Compare the network with this, not with chance.")


def _linked_people(context: AuditContext) -> str:
    """Age or sex where it goes with the class, even though a model of both cannot tell it."""
    tests = confound_table(context)
    linked = tests[tests["column"].isin(DEMOGRAPHIC_COLUMNS) & (tests["p_holm"] < SIGNIFICANCE)]
    return "" if linked.empty else _named(linked)


def _named(linked: pd.DataFrame) -> str:
    if linked.empty:
        return " No single column is associated with the class after Holm's correction."
    suffix = {"missing": ", missing or not,"}
    words = [
        f"{COLUMN_TITLES.get(row.column, row.column)}{suffix.get(row.kind, '')} {row.effect:.2f}"
        for row in linked.itertuples()
    ]
    return f" Associated with the class: {', '.join(words)} (effect from 0 to 1)."
