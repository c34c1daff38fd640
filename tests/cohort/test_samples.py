from dataclasses import replace

import numpy as np
import pytest

from helpers.cohort.decoding import DecodedPicture
from helpers.cohort.exclusions import NotUsable, Reason
from helpers.cohort.labels.entries import Entry
from helpers.cohort.picture import View
from helpers.cohort.samples import make_sample, view_of
from helpers.cohort.sources import DicomTree
from helpers.study import CohortParams

PARAMS = CohortParams(source="dicom", labels="labels.csv")
ENTRY = Entry(2, View("a.dcm"), "p1", "A")


@pytest.fixture
def decoded():
    """An image of 40 rows and 60 columns whose file says nothing of itself."""
    return DecodedPicture({"PatientID": None}, (40, 60), None, None, np.zeros((32, 32), np.uint8))


@pytest.fixture
def sample(tmp_path, decoded):
    def make(entry=ENTRY, params=PARAMS, **changes):
        source = DicomTree(tmp_path, tmp_path / "labels.csv", params=params)
        return make_sample(entry, replace(decoded, spacing_mm=(0.5, 0.4), **changes), source=source, params=params)

    return make


def refused(call, *arguments, **changes):
    with pytest.raises(NotUsable) as caught:
        call(*arguments, **changes)
    return caught.value.reason


class TestCentre:
    def test_of_the_box_before_that_in_space(self, sample):
        entry = replace(ENTRY, box=(10, 20, 30, 26))
        made = sample(entry, center_px=(1.0, 2.0))
        assert (made["center_row_px"], made["center_col_px"]) == (23, 20)

    def test_in_space_before_the_middle_of_the_image(self, sample):
        made = sample(center_px=(7.25, 51.5))
        assert (made["center_row_px"], made["center_col_px"]) == (7.25, 51.5)
        made = sample()
        assert (made["center_row_px"], made["center_col_px"]) == (19.5, 29.5)

    @pytest.mark.parametrize("center", [(-0.6, 5), (39.6, 5), (5, -0.6), (5, 59.6)])
    def test_outside_the_image_is_refused(self, sample, center):
        assert refused(sample, center_px=center) is Reason.CENTER_OUTSIDE_VOLUME

    def test_a_box_beyond_the_image_is_refused(self, sample):
        assert refused(sample, replace(ENTRY, box=(0, 0, 61, 10))) is Reason.BOX_OUTSIDE_IMAGE
        assert sample(replace(ENTRY, box=(0, 0, 60, 40)))["x1"] == 60  # one past the last pixel, as many tools write it


class TestScale:
    def test_the_file_knows_better_than_the_table_and_this_than_the_parameter(self, sample, decoded, tmp_path):
        entry = replace(ENTRY, mm_per_px=0.7)
        params = PARAMS.model_copy(update={"mm_per_px": 0.9})
        source = DicomTree(tmp_path, None, params=params)
        assert sample(entry, params)["spacing_from"] == "file"
        made = make_sample(entry, decoded, source=source, params=params)
        assert (made["row_spacing_mm"], made["spacing_from"]) == (0.7, "table")
        made = make_sample(ENTRY, decoded, source=source, params=params)
        assert (made["column_spacing_mm"], made["spacing_from"]) == (0.9, "parameter")

    def test_without_any_there_is_no_sample(self, decoded, tmp_path):
        source = DicomTree(tmp_path, None, params=PARAMS)
        finding = refused(make_sample, ENTRY, decoded, source=source, params=PARAMS)
        assert finding is Reason.MISSING_PIXEL_SPACING


def test_the_table_knows_the_patient_better_than_the_file(sample):
    assert sample(columns={"PatientID": "file"})["PatientID"] == "p1"
    assert sample(replace(ENTRY, patient=None), columns={"PatientID": "file"})["PatientID"] == "file"
    assert refused(sample, replace(ENTRY, patient=None)) is Reason.MISSING_PATIENT


@pytest.mark.parametrize(("held", "kept"), [("file", "file"), (None, None), ("", None), ("ANONYMOUS", None)])
def test_the_name_in_the_header_is_kept_beside_that_of_the_table(sample, held, kept):
    made = sample(columns={"PatientID": held})
    assert (made["PatientID"], made["header_patient"]) == ("p1", kept)


@pytest.mark.parametrize(
    "view",
    [
        View("a.png"),
        View("s", slice_index=4),
        View("a.png", rescale_intercept=-1024.0),
        View("s", center=(1.5, -2.0, 30.0), center_unit="mm", series="0123456789ab"),
    ],
)
def test_a_row_leads_back_to_its_view(sample, view):
    assert view_of(sample(replace(ENTRY, view=view))) == view
