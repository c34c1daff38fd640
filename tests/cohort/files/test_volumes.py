import numpy as np
import pytest
from highdicom import Volume
from nibabel.orientations import aff2axcodes

from helpers.cohort.exclusions import NotUsable, Reason
from helpers.cohort.files.volumes import AXES, cut_plane, obliquity_deg
from helpers.cohort.picture import View
from helpers.study import CohortParams

SHAPE = (4, 5, 6)


def params(**changes):
    return CohortParams(source="dicom", labels="labels.csv").model_copy(update=changes)


def turned_affine(degrees, spacing=(2.0, 0.8, 0.9)):
    """Axes towards head, back and left, turned about the axis to the left."""
    angle = np.radians(degrees)
    head = [0, -np.sin(angle), np.cos(angle)]
    back = [0, np.cos(angle), np.sin(angle)]
    affine = np.eye(4)
    affine[:3, :3] = np.array([head, back, [1, 0, 0]]).T * spacing
    return affine


def volume(degrees=0.0):
    return Volume(np.arange(np.prod(SHAPE)).reshape(SHAPE), turned_affine(degrees), coordinate_system="PATIENT")


@pytest.mark.parametrize("plane", ["sagittal", "coronal", "axial"])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_the_storage_order_of_the_axes_does_not_matter(plane, order):
    moved = volume().permute_spatial_axes(order)
    first, second = (cut_plane(item, View("v"), params=params(plane=plane)) for item in (volume(), moved))
    np.testing.assert_array_equal(first.pixels, second.pixels)
    assert first.spacing_mm == second.spacing_mm


@pytest.mark.parametrize("plane", ["sagittal", "coronal", "axial"])
def test_directions_agree_with_nibabel(plane):
    """nibabel works in RAS, where DICOM is LPS: an independent naming of the axes of the turned volume."""
    turned = volume().to_patient_orientation(AXES[plane])
    ras = np.diag([-1, -1, 1, 1]) @ turned.affine
    named = "".join(aff2axcodes(ras))
    assert named == AXES[plane].replace("F", "I").replace("H", "S")


def test_a_plane_is_cut_by_hand():
    """Sagittal plane 2: rows from head to feet, columns from front to back."""
    image = cut_plane(volume(), View("v", slice_index=2), params=params())
    np.testing.assert_array_equal(image.pixels, volume().array[::-1, :, 2])
    assert image.spacing_mm == (2.0, 0.8)
    assert (image.orientation, image.obliquity_deg) == ("P\\F", 0.0)


@pytest.mark.parametrize("degrees", [3, -12, 19.9])
def test_an_oblique_volume_is_cut_along_its_own_axes_and_says_by_how_much(degrees):
    image = cut_plane(volume(degrees), View("v"), params=params())
    assert image.obliquity_deg == pytest.approx(abs(degrees))
    np.testing.assert_array_equal(image.pixels, cut_plane(volume(), View("v"), params=params()).pixels)


def test_a_volume_turned_too_far_is_refused():
    with pytest.raises(NotUsable, match="turned by 25 degrees") as caught:
        cut_plane(volume(25), View("v"), params=params())
    assert caught.value.reason is Reason.OBLIQUE_VOLUME


def test_the_angle_is_that_to_the_nearest_axis():
    assert obliquity_deg(volume(80)) == pytest.approx(10)


@pytest.mark.parametrize(
    ("view", "reason"),
    [
        (View("v", slice_index=6), Reason.PLANE_OUTSIDE_VOLUME),
        (View("v", slice_index=-1), Reason.PLANE_OUTSIDE_VOLUME),
        (View("v", center=(50, 0, 0), center_unit="mm"), Reason.CENTER_OUTSIDE_VOLUME),
        (View("v", center=(9, 0, 0), center_unit="voxel"), Reason.CENTER_OUTSIDE_VOLUME),
    ],
)
def test_what_lies_outside_is_refused(view, reason):
    with pytest.raises(NotUsable) as caught:
        cut_plane(volume(), view, params=params())
    assert caught.value.reason is reason


def test_neighbours_must_lie_inside_too():
    with pytest.raises(NotUsable) as caught:
        cut_plane(volume(), View("v", slice_index=0), params=params(n_planes=3))
    assert caught.value.reason is Reason.PLANE_OUTSIDE_VOLUME
