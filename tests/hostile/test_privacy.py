"""A whole study on patients who are marked at every place: none of the marks comes out where none may."""

import base64
import io
import re
import zipfile
from pathlib import Path

import pandas as pd
import pytest
import yaml

from helpers.reporting.export import export_run
from helpers.study import Run

# These name files on purpose, so that their owner can mend what is wrong; README and SECURITY.md say so.
NAME_FILES = frozenset(
    {
        *("cohort.parquet", "exclusions.parquet", "exclusions.csv", "copies.csv", "leaks.csv", "split_manifest.csv"),
        *("review.csv", "external.parquet", "external_exclusions.parquet"),
    }
)
NAMING_COLUMNS = ["source", "source_a", "source_b", "file", "detail"]
DATA_URI = re.compile(rb"data:[\w/+.-]+;base64,([A-Za-z0-9+/=]+)")
PARAMS = {
    "study": {"name": "planted"},
    "cohort": {"source": "dicom", "folder": "dicom", "labels": "dicom.csv", "workers": 1},
    "external": [{
        "name": "pictures", "source": "images", "folder": "images", "labels": "images.csv", "mm_per_px": 1.0,
        "workers": 1, "image_window_center": 300.0, "image_window_width": 1500.0,
    }],
    "splits": {"n_folds": 2, "validation_fraction": 0.3},
    "preprocessing": {"spacing_mm": 1.0, "image_size": 64},
    "training": {
        "backbone": "resnet18", "weights": "none", "batch_norm": "learned", "frozen_stages": 0, "head_units": 8,
        "input_size": 32, "epochs": 1, "threads": 1,
    },
    "evaluation": {"n_bootstrap": 100},
    "error_analysis": {"n_gallery": 1, "n_saliency": 1, "n_robustness": 6},
}  # fmt: skip


@pytest.fixture(scope="module")
def run(planted, tmp_path_factory, make_project, study) -> Run:
    """The finished run folder of the planted cohort."""
    project = make_project(tmp_path_factory.mktemp("privacy") / "project")
    for item in planted.folder.iterdir():
        (project / item.name).symlink_to(item)
    (project / "params" / "planted.yaml").write_text(yaml.safe_dump(PARAMS))
    study(project, "run", "params/planted.yaml")
    return Run(project / "runs" / "planted")


def contents(path: Path) -> bytes:
    """All that a file holds: its bytes, what is packed in it, and the pictures within a page."""
    content = path.read_bytes()
    parts = [content, *(base64.b64decode(found) for found in DATA_URI.findall(content))]
    if path.suffix == ".parquet":
        table = pd.read_parquet(path)
        parts.append(table.drop(columns=NAMING_COLUMNS, errors="ignore").to_csv().encode())
        parts[0] = b""  # column by column instead of as bytes: the file names among them are looked at below
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            parts += [archive.read(name) for name in archive.namelist()]
    if path.suffix == ".csv":
        table = pd.read_csv(io.BytesIO(content), dtype=str)
        parts = [table.drop(columns=NAMING_COLUMNS, errors="ignore").to_csv().encode()]
    return b"\n".join(parts).lower()


def forms(value: str) -> tuple[bytes, ...]:
    """How a text can be stored."""
    return value.lower().encode(), value.lower().encode("utf-16-le")


@pytest.mark.slow
def test_no_secret_is_anywhere_in_the_run(run, planted):
    files = [path for path in run.folder.rglob("*") if path.is_file()]
    assert len(files) > 25
    found = {
        (path.name, value)
        for path, content in zip(files, map(contents, files), strict=True)
        for value in planted.values
        if any(form in content for form in forms(value))
    }
    assert not found


@pytest.mark.slow
def test_no_secret_is_in_an_exported_copy(run, planted, tmp_path):
    copy = export_run(run, tmp_path / "copy")
    content = b"\n".join(path.read_bytes().lower() for path in copy.iterdir())
    assert not [value for value in planted.values if any(form in content for form in forms(value))]


@pytest.mark.slow
def test_files_are_named_only_where_that_is_the_purpose(run, planted):
    secret = forms(planted.values[0])
    naming = {
        path.name
        for path in run.folder.rglob("*")
        if path.is_file() and any(form in path.read_bytes().lower() for form in secret)
    }
    tables = {
        path.name
        for path in run.folder.rglob("*.parquet")
        if planted.values[0] in pd.read_parquet(path).to_csv()
    }  # fmt: skip
    assert naming | tables <= NAME_FILES
    assert {"exclusions.csv", "split_manifest.csv"} <= naming


@pytest.mark.slow
def test_the_audit_tells_what_it_saw_by_kind(run):
    verdicts = run.read_json("audit")["verdicts"]
    assert verdicts["privacy"]["status"] == "warn"
    assert all(f"{group}: " in verdicts["privacy"]["detail"] for group in ("person", "dates", "private", "staff"))
    assert {verdicts[name]["status"] for name in ("burned_in_text", "file_names")} == {"warn"}


@pytest.mark.slow
def test_dates_and_uids_are_days_and_keyed_names(run):
    cohort = run.read_table("cohort")
    assert cohort["study_day"].min() == 0
    assert cohort["StudyInstanceUID"].str.fullmatch(r"U[0-9a-f]{12}").all()
    assert cohort["PatientID"].str.fullmatch(r"P[0-9a-f]{12}").all()
    assert not (run.folder / "pseudonym.key").exists()
