"""A copy of a run's tables that can be given away: who lies in which part, and what was predicted.

Only columns that are listed here pass, and of texts only those of a known form, so that a name which somebody wrote
into the column of the level does not pass. Names of patients and samples are drawn anew for each copy: two copies
cannot be joined by them, nor can a copy be joined with the run by anybody who lacks the run itself.
"""

import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd

from helpers.cohort.audit.patients import age_years
from helpers.cohort.identity import KEY_BYTES, Pseudonyms
from helpers.study import ArtefactError, Run
from helpers.study.paths import short_path
from helpers.study.spreadsheets import without_formulas

OLDEST_YEARS = 89  # whoever is older counts as 90: HIPAA, 45 CFR 164.514(b)(2)(i)(C)
LEVEL = r"(?:C[1-7]|T(?:[1-9]|1[0-3])|L[1-6]|S1)"
GRADE = r"[0-3](?:\.[05])?"
SEX = r"[FMO]"
#: Column of `cohort.csv` -> what it holds.
COHORT_COLUMNS = {
    "sample_id": "name of the sample, drawn for this copy",
    "PatientID": "name of the patient, drawn for this copy",
    "label": "class key",
    "level": "vertebra; empty where it is not written as C1 to S1",
    "grade": "severity, such as Genant's 0 to 3; empty where it is written otherwise",
    "age_years": "age in whole years; 90 stands for 90 and older",
    "PatientSex": "F, M or O",
    "days": "whole days since the earliest study of this patient",
    "SliceThickness": "mm",
    "KVP": "tube voltage in kV",
    "row_spacing_mm": "distance of pixel rows in mm, to a hundredth",
    "bits": "16: HU, 8: grey values",
}
OTHER_COLUMNS = {
    "splits.csv": {"sample_id": "as in cohort.csv", "fold": "number of the fold", "split": "train, validation or test"},
    "predictions.csv": {
        "sample_id": "as in cohort.csv",
        "PatientID": "as in cohort.csv",
        "fold": "number of the fold",
        "seed": "seed of the training",
        "split": "part that the sample lay in; unused: left out of this training",
        "y_true": "class key by the label",
        "logit_…": "output of the network for each class, before softmax",
    },
}
#: What stays behind -> why.
REMOVED = {
    "names of files, folders and series": "people put names, dates and record numbers into them",
    "names of patients and samples as in the run": "replaced by new ones, so that two copies cannot be joined",
    "StudyInstanceUID, SeriesInstanceUID": "lead back to the archive of the hospital; not needed to read the tables",
    "study_day": "replaced by days within a patient: days within the cohort give dates away once one is known",
    "ages above 89": "counted as 90 (45 CFR 164.514)",
    "hashes of pixels, thumbnails and measures of an image": "find the image again for whoever has it",
    "manufacturer, model, software, kernel, site": "point to the hospital where devices are few",
    "places of samples in their images": "find the image again for whoever has it",
    "names of identifying header attributes": "tell how the hospital exports",
    "texts that have no known form": "free text can hold anything: level, grade, sex",
    "external cohorts": "others' data; export what is yours to give",
    "images, checkpoints, notebooks, report, parameters": "hold pictures of patients, or paths",
}


def export_run(run: Run, folder: Path) -> Path:
    """Write the tables of a run that can be shared, a README with their columns, and what was removed.

    Parameters
    ----------
    run
        A run folder with cohort, splits and predictions.
    folder
        Is made; must not exist.

    Returns
    -------
    `folder`, with `cohort.csv`, `splits.csv`, `predictions.csv`, `README.md` and `REMOVED.md`.

    Raises
    ------
    ArtefactError
        If `folder` exists, or the run lacks an artefact.
    """
    if folder.exists() or folder.is_symlink():
        raise ArtefactError(f"{short_path(folder)} exists: nothing is overwritten; name a folder that is not there yet")
    tables = shareable(run, key=secrets.token_bytes(KEY_BYTES))
    folder.mkdir(parents=True)
    for name, table in tables.items():
        without_formulas(table).to_csv(folder / name, index=False, lineterminator="\n")
    (folder / "README.md").write_text(_readme(tables), encoding="utf-8")
    (folder / "REMOVED.md").write_text(_removed(), encoding="utf-8")
    return folder


def shareable(run: Run, *, key: bytes) -> dict[str, pd.DataFrame]:
    """The tables by file name, without what identifies; rows named anew by a key, and sorted by their new names."""
    names = Pseudonyms(key)
    tables = {
        "cohort.csv": _described(run.read_table("cohort"))[list(COHORT_COLUMNS)],
        "splits.csv": run.read_table("splits")[["sample_id", "fold", "split"]],
        "predictions.csv": run.read_table("predictions"),
    }
    return {name: _renamed(table, names=names) for name, table in tables.items()}


def _described(cohort: pd.DataFrame) -> pd.DataFrame:
    """The cohort table with the columns of `COHORT_COLUMNS`, each coarse enough."""
    first = cohort.groupby("PatientID")["study_day"].transform("min")
    return cohort.assign(
        level=_of_form(cohort["level"], LEVEL),
        grade=_of_form(cohort["grade"], GRADE),
        PatientSex=_of_form(cohort["PatientSex"], SEX),
        age_years=cohort["PatientAge"].map(_grouped_age).astype("Int64"),
        days=(cohort["study_day"] - first).round().astype("Int64"),
        row_spacing_mm=cohort["row_spacing_mm"].round(2),
    )


def _of_form(texts: pd.Series, form: str) -> pd.Series:
    """The texts that are wholly of a form; the others are missing."""
    return texts.where(texts.astype("string").str.fullmatch(form).fillna(False).astype(bool))


def _grouped_age(age: str | float | None) -> int | None:
    years = age_years(None if pd.isna(age) else age)
    return None if pd.isna(years) else min(int(years), OLDEST_YEARS + 1)


def _renamed(table: pd.DataFrame, *, names: Pseudonyms) -> pd.DataFrame:
    new: dict[str, Callable[[str], str]] = {"sample_id": names.sample, "PatientID": names.patient}
    renamed = table.assign(**{column: table[column].map(name) for column, name in new.items() if column in table})
    keys = [column for column in ("sample_id", "fold", "seed") if column in renamed]
    return renamed.sort_values(keys, ignore_index=True)


def _readme(tables: Mapping[str, pd.DataFrame]) -> str:
    columns = {"cohort.csv": COHORT_COLUMNS, **OTHER_COLUMNS}
    parts = ["# Cohort, splits and predictions, without what identifies", "", "CSV files in UTF-8.", ""]
    for name, table in tables.items():
        parts += [f"## {name}", "", f"{len(table)} rows.", "", "| column | meaning |", "|---|---|"]
        parts += [f"| `{column}` | {meaning} |" for column, meaning in columns[name].items()]
        parts.append("")
    return "\n".join([*parts, "What was left out, and why, stands in REMOVED.md.", ""])


def _removed() -> str:
    rows = [f"| {what} | {why} |" for what, why in REMOVED.items()]
    remaining = (
        "What is left still describes people: rare ages, levels and fractures can be known to someone who knows the "
        "patient, and equal predictions show that two copies are of one run. Look at the tables, and at the rules of "
        "your institution, before you pass them on."
    )
    return "\n".join(["# What was removed", "", "| what | why |", "|---|---|", *rows, "", remaining, ""])
