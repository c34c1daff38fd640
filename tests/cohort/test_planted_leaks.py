"""One leak of each kind planted in a clean cohort of DICOM files: each is caught and stops the run."""

import io
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from helpers.cohort import audit_cohort, read_cohort, split_cohort
from helpers.cohort.audit import LeakageError, require_no_leakage
from helpers.cohort.audit.leakage import SHARED_BY
from helpers.cohort.pixels.copies import find_copies
from helpers.study import SplitParams

PATIENTS = 24
ONE, OTHER = 3, 9  # of one class
MARKED = {OTHER: f"scan{ONE}-rotated2"}  # the name of a copy, whether it is one or not


def texture(number):
    """(80, 64) int: a picture of its own for each patient, as HU plus 1024."""
    rng = np.random.default_rng(number)
    smooth = gaussian_filter(rng.normal(size=(80, 64)), 3)
    return np.rint(1000 + 900 * smooth / np.abs(smooth).max()).astype(int)


def jpeg(stored):
    stream = io.BytesIO()
    Image.fromarray(np.clip(stored / 8, 0, 255).astype(np.uint8)).save(stream, "JPEG", quality=60)
    return np.asarray(Image.open(stream)).astype(int) * 8


def resized(stored):
    return np.rint(np.asarray(Image.fromarray(stored.astype(np.float32)).resize((96, 120)))).astype(int)


# What is planted -> header and pixels of the second patient, and what the matrix must count. `named` is the patient of
# the labels table where it is not that of the header.
LEAKS = {
    "shared patient": ({"PatientID": f"MRN{ONE}"}, texture(OTHER), {"patients", "header_patients"}),
    "shared patient whom the table calls otherwise": (
        {"PatientID": f"MRN{ONE}", "named": f"MRN{OTHER}"},
        texture(OTHER),
        {"header_patients"},
    ),
    "shared study": ({"StudyInstanceUID": f"1.2.{ONE}"}, texture(OTHER), {"studies"}),
    "shared series": ({"SeriesInstanceUID": f"1.3.{ONE}"}, texture(OTHER), {"series"}),
    "identical image": ({}, texture(ONE), {"identical_images"}),
    "resized": ({}, resized(texture(ONE)), {"near_identical_images"}),
    "jpeg": ({}, jpeg(texture(ONE)), {"near_identical_images"}),
    "brightened": ({}, texture(ONE) + 150, {"near_identical_images"}),
    "mirrored": ({}, texture(ONE)[:, ::-1], {"near_identical_images"}),
    "turned by a quarter": ({}, np.rot90(texture(ONE)), {"near_identical_images"}),
    "turned by a few degrees, told by its name": (
        {},
        np.asarray(Image.fromarray(texture(ONE).astype(np.float32)).rotate(9)).astype(int),
        {"near_identical_images"},
    ),
}

ONE_OF = {
    "patients": "patient",
    "header_patients": "header patient",
    "studies": "study",
    "series": "series",
    "identical_images": "identical image",
    "near_identical_images": "near identical image",
}


@pytest.fixture
def write_cohort(folder, write_ct, write_labels):
    """write_cohort(header, pixels) -> nothing; without arguments the second patient is in order."""

    def write(header=None, pixels=None):
        rows = []
        for number in range(PATIENTS):
            spoiled = number == OTHER and header is not None
            values = {
                "PatientID": f"MRN{number}",
                "StudyInstanceUID": f"1.2.{number}",
                "SeriesInstanceUID": f"1.3.{number}",
            }
            values |= header if spoiled else {}
            patient = values.pop("named", values["PatientID"])
            file = f"p{number}/{MARKED.get(number, f'scan{number}')}.dcm"
            write_ct(folder / file, stored=pixels if spoiled else texture(number), **values)
            rows.append({"file": file, "PatientID": patient, "label": "ABC"[number % 3]})
        write_labels(rows)

    return write


@pytest.fixture
def read(dicom_params):
    """read() -> the cohort as it now lies there, with its copies."""

    def run():
        cohort = read_cohort(dicom_params)
        return replace(cohort, copies=find_copies(cohort.table, thumbnails=cohort.thumbnails))

    return run


@pytest.fixture
def splits(write_cohort, read):
    """Of the clean cohort, with the first patient in training and the second in the test part."""
    write_cohort()
    table = read().table
    splits = split_cohort(table, SplitParams(split_method="patient_holdout", test_fraction=0.3))
    source = table.set_index("sample_id")["source"]
    for number, split in ((ONE, "train"), (OTHER, "test")):
        splits.loc[splits["sample_id"].map(source).str.startswith(f"p{number}/"), "split"] = split
    return splits.assign(source=splits["sample_id"].map(source))


def audited(cohort, splits, params):
    placed = splits.merge(cohort.table[["sample_id", "source"]], on="source", suffixes=("_before", ""))
    return audit_cohort(
        cohort,
        placed[["sample_id", "fold", "split"]],
        cohort_params=params,
        split_params=SplitParams(split_method="patient_holdout"),
    )


def test_the_clean_cohort_has_no_leak_and_no_copy(splits, read, dicom_params):
    cohort = read()
    audit = audited(cohort, splits, dicom_params)
    assert cohort.copies.empty
    assert audit["verdicts"]["leakage"]["status"] == "pass"
    require_no_leakage(audit)


@pytest.mark.parametrize("leak", LEAKS)
def test_every_planted_leak_stops_the_run(splits, write_cohort, read, dicom_params, leak):
    header, pixels, kinds = LEAKS[leak]
    write_cohort(header, pixels)
    audit = audited(read(), splits, dicom_params)
    shared = pd.DataFrame(audit["leakage"])[list(SHARED_BY)].sum()
    assert set(shared.index[shared > 0]) == kinds
    with pytest.raises(LeakageError) as caught:
        require_no_leakage(audit)
    assert all(f"1 {ONE_OF[kind]}" in str(caught.value) for kind in kinds)


@pytest.mark.parametrize("leak", LEAKS)
def test_linked_patients_stay_on_one_side(write_cohort, read, dicom_params, leak):
    """The way out that the error names."""
    write_cohort(*LEAKS[leak][:2])
    cohort = read()
    params = SplitParams(n_folds=3, merge_linked_patients=True)
    splits = split_cohort(cohort.table, params, copies=cohort.copies)
    require_no_leakage(audit_cohort(cohort, splits, cohort_params=dicom_params, split_params=params))
