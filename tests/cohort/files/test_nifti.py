import gzip
import itertools
import os

import nibabel as nib
import numpy as np
import pytest
from scipy.ndimage import center_of_mass

from helpers.cohort.exclusions import NotUsable, Reason
from helpers.cohort.files.nifti import read_grid, read_nifti
from helpers.cohort.files.volumes import cut_plane
from helpers.cohort.picture import View
from helpers.study import CohortParams

SPACING = np.array([1.0, 1.5, 2.0])  # along left, posterior, head
PARAMS = CohortParams(source="verse", labels="labels.csv")
STORED_WAYS = list(itertools.product(itertools.permutations(range(3)), itertools.product((1, -1), repeat=3)))


def body(shape=(5, 6, 7)):
    """HU along (left, posterior, head), all different."""
    return np.random.default_rng(0).permutation(np.arange(-500, 2000, 7))[: np.prod(shape)].reshape(shape)


def save(path, *, hu=None, axes=(0, 1, 2), signs=(1, 1, 1), dtype=np.int16, origin=(30.0, -20.0, 10.0)):
    """Write HU given along (left, posterior, head) with axes in another order, some of them reversed."""
    hu = body() if hu is None else hu
    affine, corner = np.eye(4), np.array(origin)
    for column, (axis, sign) in enumerate(zip(axes, signs, strict=True)):
        direction = np.zeros(3)
        direction[axis] = sign * SPACING[axis] * (1 if axis == 2 else -1)  # NIfTI counts to the right and front
        affine[:3, column] = direction
        if sign < 0:
            corner -= direction * (hu.shape[axis] - 1)
    affine[:3, 3] = corner
    steps = tuple(slice(None, None, sign) for sign in signs)
    nib.save(nib.Nifti1Image(hu.transpose(axes)[steps].astype(dtype), affine), path)
    return path


def spoil(path, **fields):
    """Overwrite header fields in place; nibabel would repair them on saving."""
    content = bytearray(path.read_bytes())
    header = nib.Nifti1Header(bytes(content[:348]), check=False)
    for name, value in fields.items():
        header[name] = value
    content[:348] = header.binaryblock
    path.write_bytes(content)
    return path


def reason_of(path, *, read=read_nifti):
    with pytest.raises(NotUsable) as caught:
        read(path)
    return caught.value.reason


@pytest.mark.parametrize(("axes", "signs"), STORED_WAYS)
def test_a_plane_is_the_same_however_the_volume_is_stored(tmp_path, axes, signs):
    volume = read_nifti(save(tmp_path / "ct.nii", axes=axes, signs=signs))
    image = cut_plane(volume, View("ct.nii", slice_index=3), params=PARAMS)
    # Sagittal plane 3 from the right: rows run down, columns to the back.
    np.testing.assert_array_equal(image.pixels, body()[3].T[::-1])
    assert image.spacing_mm == pytest.approx((2.0, 1.5))


def test_voxel_coordinates_are_the_indices_of_the_file(tmp_path):
    axes, signs = (2, 0, 1), (1, -1, -1)
    volume = read_nifti(save(tmp_path / "ct.nii", axes=axes, signs=signs))
    # Voxel (left 1, posterior 2, head 6) is stored at head 6, left 5-1-1, posterior 6-1-2.
    image = cut_plane(volume, View("ct.nii", center=(6, 3, 3), center_unit="voxel"), params=PARAMS)
    assert image.center_px == pytest.approx((0, 2))
    np.testing.assert_array_equal(image.pixels, body()[1].T[::-1])


def test_positions_are_in_the_system_of_dicom(tmp_path):
    volume = read_nifti(save(tmp_path / "ct.nii", origin=(30, -20, 10)))
    # NIfTI (30 right, -20 anterior, 10 superior) is DICOM (-30 left, 20 posterior, 10 head).
    center = (-30 + 2 * 1.0, 20 + 4 * 1.5, 10 + 5 * 2.0)
    image = cut_plane(volume, View("ct.nii", center=center, center_unit="mm"), params=PARAMS)
    assert image.center_px == pytest.approx((6 - 5, 4))
    np.testing.assert_array_equal(image.pixels, body()[2].T[::-1])


@pytest.mark.parametrize("name", ["ct.nii", "ct.nii.gz", "CT.NII.GZ"])
@pytest.mark.parametrize("version", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize("order", ["<", ">"])
def test_both_versions_byte_orders_and_compression_are_read(tmp_path, name, version, order):
    image = version(body().astype(f"{order}i2"), np.diag([-1, -1, 1, 1]))
    image.set_data_dtype(f"{order}i2")
    header = image.header.as_byteswapped(order)
    content = version(image.dataobj, image.affine, header=header).to_bytes()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.lower().endswith("gz") else content)
    volume = read_nifti(tmp_path / name)
    np.testing.assert_array_equal(volume.array.T, body())
    assert volume.array.dtype == np.int16


@pytest.mark.parametrize(
    ("dtype", "slope", "intercept"),
    [("uint16", 1, -1024), ("int16", 2, -505), ("uint8", 16.5, -1000), ("int32", None, None), ("float64", None, None)],
)
def test_scaling_is_that_of_nibabel(tmp_path, dtype, slope, intercept):
    stored = np.random.default_rng(1).integers(0, 250, size=(4, 5, 6)).astype(dtype)
    stored[0, 0, 0], stored[1, 1, 1] = 0, 255
    if slope is None:
        stored = stored * 10 - 1000
    elif dtype != "uint8":
        stored = stored * 10
    image = nib.Nifti1Image(stored.astype(dtype), np.eye(4))
    image.header.set_slope_inter(slope, intercept)
    path = tmp_path / "ct.nii.gz"
    nib.save(image, path)
    expected = nib.load(path).get_fdata()
    volume = read_nifti(path)
    assert volume.array.dtype == np.float32
    np.testing.assert_allclose(volume.array.T, expected, rtol=1e-6)


def test_a_volume_is_decompressed_once_for_all_its_vertebrae(tmp_path):
    path = save(tmp_path / "ct.nii.gz")
    first = read_nifti(path)
    assert read_nifti(path) is first
    assert not first.array.flags.writeable
    save(path, hu=body()[::-1])
    os.utime(path, ns=(0, 0))  # file systems may give two writes in one tick the same time
    np.testing.assert_array_equal(read_nifti(path).array.T, body()[::-1])


def test_the_header_alone_gives_the_grid(tmp_path):
    content = save(tmp_path / "ct.nii").read_bytes()
    (tmp_path / "head.nii").write_bytes(content[:352])
    grid = read_grid(tmp_path / "head.nii")
    assert grid.shape == (5, 6, 7)
    np.testing.assert_allclose(grid.affine, nib.load(tmp_path / "ct.nii").affine)
    assert reason_of(tmp_path / "head.nii") is Reason.UNREADABLE_NIFTI


def test_float32_rounding_of_an_oblique_affine_is_no_shear(tmp_path):
    turn = nib.eulerangles.euler2mat(0.1, 0.05, -0.07).astype(np.float32)
    affine = np.eye(4)
    affine[:3, :3] = turn * [0.41, 0.43, 1.1]
    nib.save(nib.Nifti1Image(body().astype(np.int16), affine), tmp_path / "ct.nii")
    directions = read_nifti(tmp_path / "ct.nii").unit_vectors()
    assert np.abs(np.array(directions) @ np.array(directions).T - np.eye(3)).max() < 1e-9


def test_a_fourth_axis_of_one_is_no_harm_and_of_two_is(tmp_path):
    for count in (1, 2):
        hu = np.repeat(body().astype(np.int16)[..., None], count, axis=3)
        nib.save(nib.Nifti1Image(hu, np.eye(4)), tmp_path / f"{count}.nii")
    np.testing.assert_array_equal(read_nifti(tmp_path / "1.nii").array.T, body())
    assert reason_of(tmp_path / "2.nii", read=read_grid) is Reason.NO_SCALAR_VOLUME


@pytest.mark.parametrize("unit", [1, 3])
def test_lengths_in_other_units_are_refused(tmp_path, unit):
    assert reason_of(spoil(save(tmp_path / "ct.nii"), xyzt_units=unit), read=read_grid) is Reason.BAD_GEOMETRY


def test_sform_and_qform_may_differ_by_rounding_only(tmp_path):
    image = nib.load(save(tmp_path / "ct.nii"))
    for shift_mm, usable in ((0.4, True), (9.0, False)):
        moved = image.affine.copy()
        moved[2, 3] += shift_mm
        image.set_qform(moved, code=1)
        image.set_sform(image.affine, code=1)
        nib.save(nib.Nifti1Image(np.asarray(image.dataobj), None, header=image.header), tmp_path / "two.nii")
        if usable:
            assert read_grid(tmp_path / "two.nii").affine[2, 3] == pytest.approx(10.0)
        else:
            assert reason_of(tmp_path / "two.nii", read=read_grid) is Reason.BAD_GEOMETRY


@pytest.mark.parametrize(
    ("low", "high", "usable"),
    [(-1000, 1500, True), (-200, 1900, True), (0, 4095, False), (0, 255, False), (-1, 1, False), (-1e9, 1500, False)],
    ids=["HU", "surroundings blanked", "offset lost", "grey", "scaled to one", "absurd filling"],
)
def test_only_what_can_be_hu_is_used(tmp_path, low, high, usable):
    hu = np.random.default_rng(2).uniform(0, min(high, 300), size=(4, 5, 6)).astype(np.float32)
    hu[0, 0, 0], hu[3, 4, 5] = low, high
    nib.save(nib.Nifti1Image(hu, np.eye(4)), tmp_path / "ct.nii")
    if usable:
        np.testing.assert_allclose(read_nifti(tmp_path / "ct.nii").array.T, hu)
    else:
        assert reason_of(tmp_path / "ct.nii") is Reason.NOT_HU


REAL = {
    "totalsegmentator/ct_cropped.nii.gz": ("totalsegmentator/vertebrae_T12.nii.gz", 1),
    "tptbox/sub-ct_label-22_ct.nii.gz": ("tptbox/sub-ct_seg-vert_label-22_msk.nii.gz", 22),
    "bonelab_verse004/sub-verse004_0000_vertebra_21_im.nii.gz": (
        "bonelab_verse004/sub-verse004_0000_vertebra_21_seg.nii.gz",
        1,
    ),
}


@pytest.mark.shared
@pytest.mark.parametrize("plane", ["sagittal", "coronal", "axial"])
@pytest.mark.parametrize("name", sorted(REAL))
def test_a_real_vertebra_is_cut_where_its_mask_lies(shared_data, name, plane):
    """Independent of our geometry: nibabel brings image and mask into one orientation, numpy takes the plane."""
    mask_name, label = REAL[name]
    image = nib.load(shared_data / "nifti" / name)
    mask = np.asarray(nib.load(shared_data / "nifti" / mask_name).dataobj) == label
    index = center_of_mass(mask)
    right, anterior, superior = nib.affines.apply_affine(image.affine, index)
    view = View(name, center=(-right, -anterior, superior), center_unit="mm")
    params = PARAMS.model_copy(update={"plane": plane})
    cut = cut_plane(read_nifti(shared_data / "nifti" / name), view, params=params)

    turned = nib.as_closest_canonical(nib.Nifti1Image(np.asarray(image.dataobj, dtype=np.float32), image.affine))
    lph = np.asarray(turned.dataobj)[::-1, ::-1, :]  # left, posterior, head
    marked = nib.as_closest_canonical(nib.Nifti1Image(mask.astype(np.uint8), image.affine))
    left, posterior, head = np.array(center_of_mass(np.asarray(marked.dataobj)[::-1, ::-1, :]))
    expected, place = {
        "sagittal": (lph[round(left)].T[::-1], (lph.shape[2] - 1 - head, posterior)),
        "coronal": (lph[:, round(posterior)].T[::-1], (lph.shape[2] - 1 - head, left)),
        "axial": (lph[:, :, round(head)].T, (posterior, left)),
    }[plane]
    np.testing.assert_array_equal(cut.pixels, expected)
    assert cut.center_px == pytest.approx(place, abs=1e-3)


@pytest.mark.shared
def test_real_masks_are_no_ct(shared_data):
    for mask_name, _ in REAL.values():
        assert reason_of(shared_data / "nifti" / mask_name) is Reason.NOT_HU
