from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.cohort.exclusions import NotUsable, Reason
from helpers.cohort.files.headers import SliceHeader
from helpers.cohort.files.stack import arrange
from helpers.cohort.picture import series_key

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)


def axial(number, *, height=None, **changes):
    header = SliceHeader(
        file=f"s/{number}",
        series="1.2",
        instance=f"1.2.{number}",
        is_ct=True,
        is_localizer=False,
        n_frames=1,
        shape=(5, 7),
        position=(0.0, 0.0, 2.0 * number if height is None else height),
        orientation=AXIAL,
        spacing_mm=(0.8, 0.9),
    )
    return replace(header, **changes)


SLICES = [axial(number) for number in range(5)]


def finding(headers, **options):
    with pytest.raises(NotUsable) as caught:
        arrange(headers, name="s", **options)
    return caught.value


@given(st.permutations(SLICES))
def test_the_order_of_files_does_not_matter(headers):
    stack = arrange(headers, name="s")
    assert list(stack.slices) == SLICES
    assert (stack.step_mm, stack.slide_px, stack.aside) == (2.0, (0.0, 0.0), {})


def test_the_affine_maps_voxels_to_the_patient():
    affine = arrange(SLICES, name="s").affine()
    np.testing.assert_allclose(affine @ [3, 2, 1, 1], [0.9, 1.6, 6.0, 1])


def test_positions_rounded_by_the_scanner_are_even():
    heights = (0, 2.03, 3.98, 6.0)
    stack = arrange([axial(number, height=height) for number, height in enumerate(heights)], name="s")
    assert stack.step_mm == pytest.approx(2.0)


def test_a_gap_is_told_with_its_place():
    found = finding([*SLICES, axial(9, height=16.0)])
    assert found.reason is Reason.MISSING_SLICES
    assert "3 slices are missing between 8.0 and 16.0 mm" in found.detail


def test_copies_are_paired_and_set_aside():
    stack = arrange([*SLICES, axial(3, file="s/copy")], name="s")
    assert list(stack.slices) == SLICES
    assert [(kept.file, other.file) for kept, other in stack.twins] == [("s/3", "s/copy")]
    assert stack.aside == {"s/copy": Reason.DUPLICATE_SLICE}


@pytest.mark.parametrize(
    ("kept", "copy"),
    [
        ("IM3.dcm", "IM3 (1).dcm"),
        ("IM3.dcm", "IM3-copy.dcm"),
        ("a/IM3.dcm", "b/IM3.dcm"),
        ("IM3.dcm", "Copy of IM3.dcm"),
    ],
)
@pytest.mark.parametrize("off_mm", [0.0, -0.01, 0.01])
def test_of_copies_the_unmarked_name_is_kept(kept, copy, off_mm):
    twins = [axial(3, file=copy, height=6.0 + off_mm), axial(3, file=kept)]
    stack = arrange([*SLICES[:3], *twins, SLICES[4]], name="s")
    assert [item.file for item in stack.slices] == ["s/0", "s/1", "s/2", kept, "s/4"]
    assert stack.aside == {copy: Reason.DUPLICATE_SLICE}


def test_what_does_not_belong_is_set_aside():
    strangers = [
        axial(6, file="s/scout", is_localizer=True),
        axial(7, file="s/report", is_ct=False, series="8", position=None, orientation=None),
        axial(8, file="s/reformat", orientation=SAGITTAL),
    ]
    stack = arrange([*SLICES, *strangers], name="s")
    assert list(stack.slices) == SLICES
    assert stack.aside == {
        "s/scout": Reason.LOCALIZER,
        "s/report": Reason.NOT_CT,
        "s/reformat": Reason.OTHER_ORIENTATION,
    }


def test_the_series_asked_for_is_taken():
    other = [axial(number, file=f"o/{number}", series="9") for number in range(3)]
    assert finding([*SLICES, *other]).reason is Reason.SEVERAL_SERIES
    stack = arrange([*SLICES, *other], name="s", series=series_key("9"))
    assert list(stack.slices) == other
    assert set(stack.aside.values()) == {Reason.OTHER_SERIES}
    assert finding(SLICES, series=series_key("7")).reason is Reason.FILE_MISSING


@pytest.mark.parametrize("degrees", [5, -20])
def test_a_tilt_is_measured_in_pixels_from_slice_to_slice(degrees):
    slide_mm = 2.0 * np.tan(np.radians(degrees))
    headers = [axial(number, position=(0.0, slide_mm * number, 2.0 * number)) for number in range(9)]
    stack = arrange(headers, name="s")
    assert stack.slide_px == pytest.approx((slide_mm / 0.8, 0.0))
    np.testing.assert_allclose(stack.affine() @ [4, 0, 0, 1], [*headers[4].position, 1])


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ([], Reason.IRREGULAR_SERIES),
        (SLICES[:2], Reason.IRREGULAR_SERIES),
        ([*SLICES, axial(5, position=None)], Reason.IRREGULAR_SERIES),
        ([*SLICES, axial(5, spacing_mm=None)], Reason.MISSING_PIXEL_SPACING),
        ([*SLICES, axial(5, spacing_mm=(0.8, 0.8))], Reason.IRREGULAR_SERIES),
        ([*SLICES, axial(5, shape=(5, 8))], Reason.IRREGULAR_SERIES),
        ([*SLICES, axial(5, height=8.9)], Reason.IRREGULAR_SERIES),
        ([*SLICES, axial(5, position=(3.0, 0.0, 10.0))], Reason.IRREGULAR_SERIES),
        ([axial(n, position=(0.0, 3.0 * n, 2.0 * n)) for n in range(4)], Reason.TILTED_GANTRY),
        ([axial(n, orientation=(1.0, 0.0, 0.0, 0.6, 0.8, 0.0)) for n in range(4)], Reason.IRREGULAR_SERIES),
        ([*SLICES[:3], *(axial(n, orientation=SAGITTAL) for n in range(3))], Reason.IRREGULAR_SERIES),
    ],
    ids=["none", "two", "no position", "no spacing", "other spacing", "other size", "uneven", "moved", "tilted"]
    + ["sheared pixels", "half turned"],
)
def test_what_is_no_stack_is_refused(headers, reason):
    assert finding(headers).reason is reason
