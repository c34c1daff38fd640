import numpy as np
import pytest

from helpers.cohort.audit import pixels
from helpers.cohort.audit.assembly import CHECKS
from helpers.cohort.audit.pixels import (
    check_blank_images,
    check_geometry,
    check_hounsfield,
    check_orientation,
    check_padding,
    check_photometric,
    check_saturation,
    unit_findings,
)
from helpers.cohort.files.dicom import read_ct
from helpers.cohort.pixels.pixel_facts import pixel_facts
from helpers.study import CohortParams


@pytest.fixture
def body():
    """HU of a crude body in air."""
    rng = np.random.default_rng(0)
    hu = np.full((96, 96), -1000.0)
    hu[10:86, 10:86], hu[20:76, 20:76], hu[40:56, 40:56] = -100, 50, 400
    return (hu + rng.normal(0, 12, hu.shape)).astype(np.float32)


def with_pixels(table, pixels, *, where, is_hu=True):
    """The cohort with images of these values in the rows `where`."""
    for name, value in pixel_facts(pixels, is_hu=is_hu).items():
        table[name] = table[name].astype(float)
        table.loc[where, name] = value
    table.loc[where, "bits"] = 16 if is_hu else 8
    return table


@pytest.mark.parametrize(
    ("column", "value", "name"),
    [
        ("spacing_from", "parameter", "pixel_size"),
        ("PatientOrientation", "L\\P", "orientation"),
        ("PatientOrientation", None, "orientation"),
        ("coloured_fraction", 0.01, "graphics"),
        ("highest_share", 0.1, "saturation"),
        ("most_common_share", 0.99, "blank_images"),
        ("Columns", 9, "geometry"),
    ],
)
def test_one_doubtful_image_warns(table, make_context, column, value, name):
    table.loc[7, column] = value
    context = make_context(table)
    checks = {key: check for key, check in CHECKS.items() if check.__module__ == pixels.__name__}
    assert {key for key, check in checks.items() if check(context).status == "warn"} == {name}


def test_hu_pass_and_name_their_peaks(table, make_context, body):
    verdict = check_hounsfield(make_context(with_pixels(table, body, where=table.index)))
    assert verdict.status == "pass"
    assert "soft" in verdict.detail


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda hu: hu + 1024, "stored values without their intercept"),
        (lambda hu: hu - 1024, "no tissue where HU have it"),
        (lambda hu: np.rint((hu.clip(-450, 1050) + 450) / 1500 * 255), "8-bit grey values"),
        (lambda hu: (hu.clip(-450, 1050) + 450) / 1500, "scaled to a small range"),
        (lambda hu: (hu - hu.mean()) / hu.std(), "scaled to a small range"),
        (lambda hu: hu * 0 + 40, "one value only"),
    ],
    ids=["no intercept", "intercept twice", "8-bit", "0 to 1", "standardised", "constant"],
)
def test_other_units_are_found_in_the_image_that_has_them(table, make_context, body, spoil, words):
    table = with_pixels(with_pixels(table, body, where=table.index), spoil(body), where=[7])
    verdict = check_hounsfield(make_context(table))
    assert (verdict.status, verdict.found, verdict.examples) == ("fail", 1, ("S007",))
    assert words in verdict.detail


def test_a_calibration_that_is_off_warns(table, make_context, body):
    verdict = check_hounsfield(make_context(with_pixels(table, body + 75, where=table.index)))
    assert verdict.status == "warn"
    assert "calibration" in verdict.detail


def test_grey_values_cannot_be_judged(table, make_context):
    table = with_pixels(table, np.arange(256, dtype=np.uint8).reshape(16, 16), where=table.index, is_hu=False)
    assert unit_findings(table).isna().all()
    verdict = check_hounsfield(make_context(table))
    assert verdict.status == "untested"
    assert "unknown window" in verdict.detail


def test_cut_off_bone_is_seen(table, make_context, body):
    table = with_pixels(with_pixels(table, body, where=table.index), body.clip(max=300), where=[7])
    verdict = check_saturation(make_context(table))
    assert (verdict.status, verdict.found, verdict.examples) == ("warn", 1, ("S007",))
    assert "(300)" in verdict.detail


def test_a_constant_image_fails(table, make_context, body):
    table = with_pixels(table, body * 0, where=[7])
    verdict = check_blank_images(make_context(table))
    assert (verdict.status, verdict.examples) == ("fail", ("S007",))
    assert "Constant: 1 image; nearly so: 0." in verdict.detail


def test_one_padding_is_normal_and_two_are_not(table, make_context, body):
    padded = body.copy()
    padded[:8], padded[-8:] = -1024, -1024
    padded[:, :8] = padded[:, -8:] = -1024
    table = with_pixels(table, padded, where=table.index)
    verdict = check_padding(make_context(table))
    assert verdict.status == "pass"
    assert "A filled border in 75 of 75 images: -1024 in 75." in verdict.detail
    table = with_pixels(table, np.where(padded == -1024, -2000, padded), where=[3, 5])
    verdict = check_padding(make_context(table))
    assert (verdict.status, verdict.found, verdict.examples) == ("warn", 2, ("S003", "S005"))


def test_much_padding_warns(table, make_context, body):
    body[:80] = -1024
    body[:, :8] = -1024
    verdict = check_padding(make_context(with_pixels(table, body, where=[7])))
    assert (verdict.status, verdict.found) == ("warn", 1)


@pytest.mark.parametrize(("column", "value"), [("row_spacing_mm", 5.0), ("column_spacing_mm", 0.1), ("Rows", 2000)])
def test_an_image_of_another_scale_warns(table, make_context, column, value):
    assert check_geometry(make_context(table)).status == "pass"
    table.loc[7, column] = value
    verdict = check_geometry(make_context(table))
    assert (verdict.status, verdict.found, verdict.examples) == ("warn", 1, ("S007",))
    assert column in verdict.detail


def test_both_directions_of_spacing_are_told(table, make_context):
    table.loc[7, "column_spacing_mm"] = 0.4
    detail = check_geometry(make_context(table)).detail
    assert "between rows 0.50 to 0.50 mm, between columns 0.40 to 0.50 mm" in detail


@pytest.mark.parametrize(
    ("values", "plane", "orientation"),
    [
        ({"source": "dicom"}, "sagittal", "P\\F"),
        ({"source": "dicom", "plane": "coronal"}, "coronal", "L\\F"),
        ({"source": "dicom", "plane": "axial"}, "axial", "L\\P"),
        ({"source": "rsna"}, "axial", "L\\P"),
    ],
)
def test_the_plane_is_that_of_the_parameters(table, make_context, values, plane, orientation):
    params = CohortParams(labels="x.csv", **values)
    verdict = check_orientation(make_context(table.assign(PatientOrientation=orientation), params=params))
    assert verdict.status == "pass"
    assert verdict.checked.startswith(f"Every image is {plane} with ")
    other = table.assign(PatientOrientation="A\\F")
    assert check_orientation(make_context(other, params=params)).found == 75


def test_pixels_that_are_no_squares_at_all_warn(table, make_context):
    table["row_spacing_mm"] = 2.0
    verdict = check_geometry(make_context(table))
    assert (verdict.status, verdict.found) == ("warn", 75)
    assert "row to column spacing" in verdict.detail


def test_photometric_interpretation_is_compared(table, make_context):
    assert check_photometric(make_context(table)).status == "untested"
    table["PhotometricInterpretation"] = "MONOCHROME2"
    assert check_photometric(make_context(table)).status == "pass"
    table.loc[7, "PhotometricInterpretation"] = "MONOCHROME1"
    verdict = check_photometric(make_context(table))
    assert (verdict.status, verdict.examples) == ("warn", ("S007",))
    table["PhotometricInterpretation"] = "PALETTE COLOR"
    assert check_photometric(make_context(table)).found == 75


@pytest.mark.shared
def test_a_real_series_passes(shared_data, table, make_context):
    folder = shared_data / "ircadb01_case17" / "PATIENT_DICOM"
    table = table.head(30).copy()
    for number in table.index:
        table = with_pixels(table, read_ct(folder / f"image_{4 * number}").pixels, where=[number])
    context = make_context(table, n_folds=2)
    for check in (check_hounsfield, check_saturation, check_blank_images, check_padding):
        assert check(context).status == "pass"
