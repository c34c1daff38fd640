"""The whole audit: every check in order, and the tables behind them, ready for `audit.json`."""

from collections.abc import Callable
from typing import Any, Optional

import pandas as pd

from helpers.cohort.audit import (
    agreement,
    composition,
    confounds,
    duplicates,
    identity,
    leakage,
    origin,
    pixels,
    privacy,
    table_one,
)
from helpers.cohort.audit.verdicts import AuditContext, Verdict
from helpers.cohort.reading import Cohort
from helpers.study import CohortParams, SplitParams

CHECKS: dict[str, Callable[[AuditContext], Verdict]] = {
    "simulated": origin.check_origin,
    "exclusions": origin.check_exclusions,
    "identity": identity.check_identity,
    "one_name_per_patient": identity.check_one_name_per_patient,
    "patients_known": identity.check_patients_known,
    "leakage": leakage.check_leakage,
    "duplicates": duplicates.check_duplicates,
    "near_duplicates": duplicates.check_near_duplicates,
    "label_conflicts": duplicates.check_label_conflicts,
    "classes_per_patient": composition.check_classes_per_patient,
    "class_balance": composition.check_class_balance,
    "classes_per_split": composition.check_classes_per_split,
    "privacy": privacy.check_privacy,
    "burned_in_text": privacy.check_burned_in_text,
    "file_names": privacy.check_file_names,
    "confounds": confounds.check_confounds,
    "demographics": confounds.check_demographics,
    "agreement": agreement.check_agreement,
    "hounsfield": pixels.check_hounsfield,
    "saturation": pixels.check_saturation,
    "blank_images": pixels.check_blank_images,
    "padding": pixels.check_padding,
    "pixel_size": pixels.check_pixel_size,
    "geometry": pixels.check_geometry,
    "orientation": pixels.check_orientation,
    "photometric": pixels.check_photometric,
    "graphics": pixels.check_graphics,
}
TABLES: dict[str, Callable[[AuditContext], pd.DataFrame]] = {
    "identity": identity.identity_table,
    "table_one_by_class": table_one.table_one_by_class,
    "table_one_by_split": table_one.table_one_by_split,
    "confounds": confounds.confound_table,
    "metadata_model": confounds.metadata_table,
    "agreement": agreement.agreement_table,
}
NEED_SPLITS = ("leakage", "classes_per_split", "table_one_by_split")


def audit_cohort(
    cohort: Cohort,
    splits: Optional[pd.DataFrame] = None,
    *,
    cohort_params: CohortParams,
    split_params: Optional[SplitParams] = None,
    report: Optional[Callable[[int, int], None]] = None,
) -> dict[str, Any]:
    """Audit a cohort and its splits.

    Parameters
    ----------
    cohort
        As `read_cohort` gives it.
    splits, split_params
        Its division; None for an external cohort, and then nothing is said of splits.
    cohort_params
        What the cohort was read with.
    report
        Called as ``report(done, total)`` with the checks and tables.

    Returns
    -------
    JSON-ready dict: ``verdicts`` by name, ``flow`` (list of steps), ``tables`` (by name, as lists of rows),
    ``simulated``, and, where the cohort was divided, ``counts`` (samples and patients by fold, split and class),
    ``leakage`` (what each pair of splits shares, fold by fold) and ``split_method``.
    """
    context = AuditContext(cohort, cohort_params, splits, split_params)
    verdicts, tables = _examined(context, report=report)
    audit = {
        "verdicts": {name: found.to_json_dict() for name, found in verdicts.items()},
        "flow": [dict(step) for step in cohort.flow],
        "tables": {name: _records(table) for name, table in tables.items()},
        "simulated": context.simulated,
    }
    if splits is None:
        return audit
    return audit | {
        "counts": composition.split_counts(context.placed).to_dict("records"),
        "leakage": leakage.leakage_matrix(context.placed).to_dict("records"),
        "split_method": split_params.split_method,
    }


def _examined(
    context: AuditContext, *, report: Optional[Callable[[int, int], None]]
) -> tuple[dict[str, Verdict], dict[str, pd.DataFrame]]:
    """Verdicts and tables by name; without splits, those that need them are left out."""
    verdicts, tables = {}, {}
    left_out = () if context.splits is not None else NEED_SPLITS
    work = [
        (kept, name, part)
        for kept, parts in ((verdicts, CHECKS), (tables, TABLES))
        for name, part in parts.items()
        if name not in left_out
    ]
    for done, (kept, name, part) in enumerate(work, start=1):
        kept[name] = part(context)
        if report is not None:
            report(done, len(work))
    return verdicts, tables


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as JSON holds them: None for what is missing."""
    cells = table.astype(object)
    return cells.where(cells.notna(), None).to_dict("records")


def verdict_table(audit: dict[str, Any]) -> pd.DataFrame:
    """The verdicts as rows, failures first and passes last: columns verdict, status, checked, found, detail."""
    rows = [{"verdict": name.replace("_", " "), **verdict} for name, verdict in audit["verdicts"].items()]
    table = pd.DataFrame(rows)[["verdict", "status", "checked", "found", "detail"]]
    order = table["status"].map({"fail": 0, "warn": 1, "untested": 2, "pass": 3})
    return table.iloc[order.argsort(kind="stable")].reset_index(drop=True)
