"""How alike are the simulated cohort and real CT? HU, noise and sharpness of both, in tables.

    .venv/bin/python benchmarks/realism.py [--images 120] [--real FOLDER ...]

Real CT that every environment holds: single axial slices of the test files of pydicom and pydicom-data. Each FOLDER
adds a DICOM series, of which sagittal squares along the spine are cut, as the simulated images show it. All squares
have the pixel size and the side of the default study. Axial slices and squares of one patient are no cohort: read
their figures as examples, not as targets.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from pydicom.data import get_testdata_file

from helpers.cohort import load_pixels, read_cohort
from helpers.cohort.files.dicom import read_ct
from helpers.cohort.files.series import read_series
from helpers.cohort.files.storage import Storage
from helpers.cohort.picture import Picture, View
from helpers.preprocessing.geometry import AIR_HU, Field, cut_field
from helpers.preprocessing.realism import Appearance, CohortImages, compare, measure, summarise
from helpers.study import CohortParams, PreprocessingParams

SQUARE = PreprocessingParams()
TEST_FILES = {
    "CT_small.dcm": "chest, axial, 5 mm",
    "explicit_VR-UN.dcm": "abdomen, axial",
    "bad_sequence.dcm": "axial, 1 mm, B30s",
}
BONE_HU = 150
STEP_MM = 30.0
PLANES_EACH_SIDE = 2
SHOWN_PERCENTILES = (5, 25, 50, 75, 95)


def square(pixels: np.ndarray, *, center_px: tuple[float, float], spacing_mm: tuple[float, float]) -> np.ndarray:
    """Cut a square as notebook 02 does."""
    return cut_field(pixels, Field(center_px, spacing_mm, SQUARE.spacing_mm, SQUARE.image_size))[0]


def as_cohort(title: str, squares: list[np.ndarray]) -> CohortImages:
    """Squares without labels."""
    return CohortImages(title, np.stack(squares), np.full(len(squares), ""))


def simulated(count: int) -> CohortImages:
    """A small cohort of the simulator, class mix as in the default study, a patient for every two images."""
    shares = CohortParams().phantom_images
    images = {key: round(count * share / sum(shares.values())) for key, share in shares.items()}
    with tempfile.TemporaryDirectory() as folder:
        cohort = read_cohort(CohortParams(folder=folder, phantom_images=images, phantom_patients=max(count // 2, 2)))
        squares = [
            square(
                load_pixels(row, source=cohort.source),
                center_px=(row["center_row_px"], row["center_col_px"]),
                spacing_mm=(row["row_spacing_mm"], row["column_spacing_mm"]),
            )
            for _, row in cohort.table.iterrows()
        ]
    return as_cohort("simulated", squares)


def test_slices() -> Iterator[CohortImages]:
    """Each test file that is installed, cut around its bone."""
    for name, what in TEST_FILES.items():
        path = get_testdata_file(name, download=False)
        if path is not None:
            picture = read_ct(Path(path))
            center = tuple(map(float, np.median(np.argwhere(picture.pixels > BONE_HU), axis=0)))
            cut = square(picture.pixels, center_px=center, spacing_mm=picture.spacing_mm)
            yield as_cohort(f"{name} ({what})", [cut])


def series(folder: Path) -> CohortImages:
    """Sagittal squares along the spine: the plane with most bone of the middle third, and planes beside it."""
    planes = SagittalPlanes(folder)
    thirds = np.arange(planes.count // 3, 2 * planes.count // 3)
    bone = [np.count_nonzero(planes[index].pixels > BONE_HU) for index in thirds]
    middle = thirds[np.argmax(bone)]
    chosen = range(middle - PLANES_EACH_SIDE, middle + PLANES_EACH_SIDE + 1)
    return as_cohort(f"{folder.name} (sagittal)", [cut for index in chosen for cut in along_spine(planes[index])])


class SagittalPlanes:
    """The sagittal planes of a DICOM series by their index from the patient's right."""

    def __init__(self, folder: Path) -> None:
        self.storage = Storage(folder)
        axial = read_series(self.storage, View("."), params=CohortParams(plane="axial"))
        self.count = axial.pixels.shape[1]

    def __getitem__(self, index: int) -> Picture:
        return read_series(self.storage, View(".", slice_index=int(index)), params=CohortParams(plane="sagittal"))


def along_spine(picture: Picture) -> Iterator[np.ndarray]:
    """Squares within the picture, every 30 mm downwards, around the median column of the bone at that height."""
    bone = picture.pixels > BONE_HU
    half = SQUARE.image_size * SQUARE.spacing_mm / picture.spacing_mm[0] / 2
    step = STEP_MM / picture.spacing_mm[0]
    for row in np.arange(half, len(bone) - half, step):
        columns = np.nonzero(bone[round(row - step / 2) : round(row + step / 2)])[1]
        if columns.size:
            yield square(picture.pixels, center_px=(row, np.median(columns)), spacing_mm=picture.spacing_mm)


def tissues(cohort: CohortImages) -> dict[str, object]:
    """Percentiles of HU inside the body, most frequent HU of fat and of soft tissue, and how much bone there is."""
    hu = cohort.images[cohort.images > AIR_HU]
    body = hu[hu > -300]
    percentiles = {f"{p} %": np.percentile(body, p) for p in SHOWN_PERCENTILES}
    peaks = {
        "fat peak": most_frequent(body, low=-150, high=-50),
        "soft peak": most_frequent(body, low=-20, high=150),
    }
    bone = {f"{limit} HU and more, %": 100 * np.mean(body >= limit) for limit in (200, 400, 800)}
    return {"cohort": cohort.title, "squares": len(cohort.images), **percentiles, **peaks, **bone}


def most_frequent(hu: np.ndarray, *, low: int, high: int) -> float:
    """Middle of the fullest bin of 10 HU between two values; NaN where it is the first or the last: no peak there."""
    count, edges = np.histogram(hu, bins=np.arange(low, high + 1, 10))
    fullest = np.argmax(count)
    return float(edges[fullest] + 5) if 0 < fullest < len(count) - 1 else np.nan


def spectra(appearances: list[Appearance]) -> pd.DataFrame:
    """Normalised noise power by frequency: the texture of the noise without its strength."""
    columns = {}
    for appearance in appearances:
        table = appearance.spectrum.set_index("frequency_per_mm")
        columns[appearance.title] = table["nps_hu2_mm2"] / (table["nps_hu2_mm2"] * table["area_per_mm2"]).sum()
    return pd.DataFrame(columns)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="Compare the simulated cohort with real CT.")
    parser.add_argument("--images", type=int, default=120)
    parser.add_argument("--real", type=Path, nargs="*", default=[], metavar="FOLDER")
    options = parser.parse_args()
    cohorts = [simulated(options.images), *test_slices(), *map(series, options.real)]
    reference, *others = appearances = [measure(cohort, spacing_mm=SQUARE.spacing_mm) for cohort in cohorts]
    tables = {
        "HU of the tissues": pd.DataFrame(map(tissues, cohorts)),
        "noise and sharpness": summarise(appearances),
        "against the simulated cohort": compare(reference, others),
        "noise power by cycles/mm, area 1": spectra(appearances).reset_index(),
    }
    for title, table in tables.items():
        sys.stdout.write(f"\n{title}\n{table.round(2).to_string(index=False)}\n")


if __name__ == "__main__":
    main()
