"""Whether the way images were acquired tells their class: a network would then learn the scanner, not the fracture.

Every acquisition column is tested against the label, and a model that sees nothing but acquisition is cross-validated.
All of it counts patients: one row per patient and class (`patients.per_patient`).
"""

from collections.abc import Sequence
from typing import Optional

import pandas as pd
from statsmodels.stats.multitest import multipletests

from helpers.cohort.audit.associations import association
from helpers.cohort.audit.metadata_model import AurocEstimate, metadata_auroc
from helpers.cohort.audit.patients import is_numeric, per_patient
from helpers.cohort.audit.verdicts import AuditContext, Verdict
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
SIGNIFICANCE = 0.05
# A lower bound this far above chance is more than the optimism of a small cohort; at 0.7 acquisition alone is a
# classifier of use.
WARN_ABOVE, FAIL_ABOVE = 0.55, 0.70


def acquisition_columns(table: pd.DataFrame) -> list[str]:
    """Columns of the cohort table that say how an image was acquired, where they hold anything that varies."""
    names = (*TEXT_KEYWORDS, *NUMBER_KEYWORDS, *TABLE_COLUMNS)
    return _varying(table, [name for name in dict.fromkeys(names) if name not in NOT_ACQUISITION])


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
    """Whether acquisition alone tells the class."""
    checked = "How an image was acquired does not tell its class."
    columns = acquisition_columns(context.table)
    if not columns:
        return Verdict("pass", checked, 0, "No acquisition column varies, or none is known: nothing can be told by it.")
    tests = confound_table(context)
    tests = tests[~tests["column"].isin(DEMOGRAPHIC_COLUMNS)]
    linked = tests[tests["p_holm"] < SIGNIFICANCE]
    found = _estimate(context, columns)
    if found is None:
        few = "Too few patients per class to cross-validate a model of the acquisition columns."
        return Verdict("warn" if len(linked) else "pass", checked, len(linked), few + _named(linked))
    detail = f"A model that sees {len(columns)} acquisition columns and no pixel reaches {found}." + _named(linked)
    status = "fail" if found.ci_low > FAIL_ABOVE else "warn" if found.ci_low > WARN_ABOVE or len(linked) else "pass"
    return Verdict(status, checked, len(linked), detail)


def check_demographics(context: AuditContext) -> Verdict:
    """Whether age and sex alone tell the class."""
    checked = "Age and sex do not tell the class."
    columns = _people(context)
    found = _estimate(context, columns) if columns else None
    if found is None:
        return Verdict("pass", checked, 0, "Age and sex are not known, do not vary, or too few patients have them.")
    detail = f"A model that sees {' and '.join(columns)} only reaches {found}."
    if found.ci_low <= WARN_ABOVE:
        return Verdict("pass", checked, 0, detail)
    return Verdict("warn", checked, len(columns), detail + " Compare the network with this, not with chance.")


def _named(linked: pd.DataFrame) -> str:
    if linked.empty:
        return " No single column is associated with the class after Holm's correction."
    words = [
        f"{row.column}{' (missing or not)' if row.kind == 'missing' else ''} {row.effect:.2f}"
        for row in linked.itertuples()
    ]
    return f" Associated with the class: {', '.join(words)} (effect from 0 to 1)."
