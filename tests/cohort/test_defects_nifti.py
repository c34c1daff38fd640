"""Named defects of NIfTI volumes and centroid files, each found with the right reason while its neighbours are used."""

import gzip
import json
import struct

import nibabel as nib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers.cohort.exclusions import NotUsable, Reason
from helpers.cohort.files.nifti import Grid, read_nifti
from helpers.cohort.labels.centroids import center_mm, read_centroids
from helpers.cohort.reading import read_cohort
from helpers.study import CohortParams

AFFINE = np.diag([-0.8, -0.8, 2.0, 1.0])
CENTROIDS = [{"direction": ["L", "P", "S"]}, {"label": 20, "X": 4, "Y": 5, "Z": 2}]
PARAMS = CohortParams(
    source="verse",
    folder="cohort",
    labels="labels.csv",
    label_values={"none": "N", "wedge": "F"},
    class_names={"F": "fracture", "N": "normal"},
    normal_class="N",
    pseudonymise=False,
    workers=1,
)


def hu():
    return np.random.default_rng(0).integers(-1000, 1500, size=(8, 9, 6)).astype(np.int16)


def volume(array=None, affine=AFFINE):
    return nib.Nifti1Image(hu() if array is None else array, affine).to_bytes()


def header_with(**fields):
    """A faultless volume but for these header fields, written as bytes since nibabel would mend them."""
    content = bytearray(volume())
    header = nib.Nifti1Header(bytes(content[:348]), check=False)
    for name, value in fields.items():
        header[name] = value
    content[:348] = header.binaryblock
    return bytes(content)


def spacing(*values):
    return header_with(pixdim=[1, *values, 1, 1, 1, 1])


def coded(dtype, code, bits):
    return header_with(datatype=code, bitpix=bits)[:352] + np.zeros((8, 9, 6), dtype).tobytes()


def sheared():
    affine = AFFINE.copy()
    affine[1, 2] = 0.6  # each slice a little further to the front, as under a tilted gantry
    return volume(affine=affine)


def with_nan():
    array = hu().astype(np.float32)
    array[0, 0, 0] = np.nan
    return volume(array)


def contradicting():
    image = nib.Nifti1Image(hu(), AFFINE)
    image.set_qform(np.diag([0.8, -0.8, 2.0, 1.0]), code=1)
    image.set_sform(AFFINE, code=1)
    return image.to_bytes()


def checksum_broken():
    packed = bytearray(gzip.compress(volume()))
    packed[-8] ^= 0xFF
    return bytes(packed)


def bomb():
    """A header that announces 2^31 voxels, and a small file that would unpack to gigabytes."""
    head = header_with(dim=[3, 2000, 2000, 600, 1, 1, 1, 1])[:352]
    return gzip.compress(head + bytes(2**20))


# Name of the defect -> file ending, content of the volume, reason.
VOLUMES = {
    "empty file": (".nii.gz", lambda: b"", Reason.UNREADABLE_NIFTI),
    "text file": (".nii", lambda: b"patient 12, L1, see report " * 20, Reason.UNREADABLE_NIFTI),
    "not compressed though called so": (".nii.gz", volume, Reason.UNREADABLE_NIFTI),
    "header cut short": (".nii", lambda: volume()[:100], Reason.UNREADABLE_NIFTI),
    "voxels cut short": (".nii", lambda: volume()[:-200], Reason.UNREADABLE_NIFTI),
    "compressed data cut short": (".nii.gz", lambda: gzip.compress(volume())[:-50], Reason.UNREADABLE_NIFTI),
    "checksum broken": (".nii.gz", checksum_broken, Reason.UNREADABLE_NIFTI),
    "more voxels than announced": (".nii", lambda: volume() + bytes(64), Reason.UNREADABLE_NIFTI),
    "header of a pair of files": (".nii", lambda: header_with(magic=b"ni1"), Reason.UNREADABLE_NIFTI),
    "unknown data type": (".nii", lambda: header_with(datatype=77), Reason.UNREADABLE_NIFTI),
    "four-dimensional": (".nii", lambda: volume(np.repeat(hu()[..., None], 2, axis=3)), Reason.NO_SCALAR_VOLUME),
    "one slice": (".nii", lambda: volume(hu()[:, :, :1]), Reason.NO_SCALAR_VOLUME),
    "negative size": (".nii", lambda: header_with(dim=[3, -8, 9, 6, 1, 1, 1, 1]), Reason.NO_SCALAR_VOLUME),
    "colour": (".nii", lambda: coded([("R", "u1"), ("G", "u1"), ("B", "u1")], 128, 24), Reason.NO_SCALAR_VOLUME),
    "complex numbers": (".nii", lambda: coded(np.complex64, 32, 64), Reason.NO_SCALAR_VOLUME),
    "absurd size": (".nii.gz", bomb, Reason.VOLUME_TOO_LARGE),
    "spacing of 0": (".nii", lambda: spacing(0.8, 0, 2), Reason.BAD_GEOMETRY),
    "negative spacing": (".nii", lambda: spacing(0.8, -0.8, 2), Reason.BAD_GEOMETRY),
    "spacing in metres": (".nii", lambda: volume(affine=np.diag([-8e-4, -8e-4, 2e-3, 1])), Reason.BAD_GEOMETRY),
    "spacing not that of the affine": (".nii", lambda: spacing(1, 1, 1), Reason.BAD_GEOMETRY),
    "spacing not a number": (".nii", lambda: spacing(0.8, np.nan, 2), Reason.BAD_GEOMETRY),
    "neither sform nor qform": (".nii", lambda: header_with(sform_code=0, qform_code=0), Reason.BAD_GEOMETRY),
    "affine of zeros": (".nii", lambda: header_with(srow_x=0, srow_y=0, srow_z=0), Reason.BAD_GEOMETRY),
    "affine not a number": (".nii", lambda: header_with(srow_x=np.nan), Reason.BAD_GEOMETRY),
    "left and right contradict": (".nii", contradicting, Reason.BAD_GEOMETRY),
    "sheared by gantry tilt": (".nii", sheared, Reason.BAD_GEOMETRY),
    "micrometres": (".nii", lambda: header_with(xyzt_units=3), Reason.BAD_GEOMETRY),
    "not finite": (".nii", with_nan, Reason.NOT_HU),
    "offset of 1024 lost": (".nii", lambda: volume(hu() + 1024), Reason.NOT_HU),
    "mask": (".nii", lambda: volume((hu() > 0).astype(np.uint8)), Reason.NOT_HU),
    "windowed to 8 bits": (".nii", lambda: volume((hu() // 10 % 256).astype(np.uint8)), Reason.NOT_HU),
    "slope that explodes": (".nii", lambda: header_with(scl_slope=1e38), Reason.NOT_HU),
}
VOLUME_REASONS = {reason for _, _, reason in VOLUMES.values()}
FILES = {
    "no JSON": ("L1 at 4 5 2", Reason.UNREADABLE_CENTROIDS),
    "no text": (b"\xff\xfe\x00\xd8", Reason.UNREADABLE_CENTROIDS),
    "no direction": (CENTROIDS[1:], Reason.UNREADABLE_CENTROIDS),
    "no list": ({"20": [4, 5, 2]}, Reason.UNREADABLE_CENTROIDS),
    "vertebra missing": (CENTROIDS[:1], Reason.NO_CENTROID),
    "of a resampled volume": ([CENTROIDS[0], CENTROIDS[1] | {"Y": 60}], Reason.CENTER_OUTSIDE_VOLUME),
    "infinite place": (
        '[{"direction": ["L","P","S"]}, {"label": 20, "X": Infinity, "Y": 1, "Z": 1}]',
        Reason.CENTER_OUTSIDE_VOLUME,
    ),
    "absent": (None, Reason.NO_CENTROID),
}


def write_scan(folder, scan, *, content, ending=".nii.gz", centroids=CENTROIDS):
    (folder / f"verse{scan:03d}{ending}").write_bytes(content)
    if isinstance(centroids, list | dict):
        centroids = json.dumps(centroids)
    if isinstance(centroids, str):
        centroids = centroids.encode()
    if centroids is not None:
        (folder / f"verse{scan:03d}_ctd.json").write_bytes(centroids)


@pytest.fixture
def neighbours(folder, write_labels):
    """Scans 1 and 2 are faultless; scan 3 is left to the test."""
    for scan in (1, 2):
        shifted = volume(np.roll(hu(), scan))
        write_scan(folder, scan, content=gzip.compress(shifted))
    codes = {1: ("0", "0"), 2: ("1", "1"), 3: ("1", "1")}
    write_labels(
        [
            {"verse_ID": scan, "subject_ID": scan, "level": "L1", "genant_grade": grade, "shape": shape}
            for scan, (grade, shape) in codes.items()
        ]
    )


def check(reason):
    cohort = read_cohort(PARAMS)
    assert sorted(cohort.table["source"]) == ["verse001.nii.gz", "verse002.nii.gz"]
    (told,) = cohort.exclusions.to_dict("records")
    assert told["reason"] == reason
    assert told["source"].startswith("verse003.nii")
    assert told["detail"].startswith("row 4")
    assert told["remedy"]


@pytest.mark.parametrize("defect", VOLUMES)
def test_a_defect_of_a_volume_is_found_with_its_reason(neighbours, folder, defect):
    ending, build, reason = VOLUMES[defect]
    write_scan(folder, 3, content=build(), ending=ending)
    check(reason)


@pytest.mark.parametrize("defect", FILES)
def test_a_defect_of_a_centroid_file_is_found_with_its_reason(neighbours, folder, defect):
    centroids, reason = FILES[defect]
    write_scan(folder, 3, content=gzip.compress(volume()), centroids=centroids)
    check(reason)


MUTATIONS = st.lists(st.tuples(st.integers(0, 2**16), st.integers(1, 255)), min_size=1, max_size=4)
ENDS = st.one_of(st.just(1.0), st.floats(0, 1))
QUICK = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def mutated(content, *, mutations, end):
    spoilt = bytearray(content)
    for place, change in mutations:
        spoilt[place % len(spoilt)] ^= change
    return bytes(spoilt[: round(end * len(spoilt))])


def result_of(read, *arguments):
    """What was read, or the finding."""
    try:
        return read(*arguments)
    except NotUsable as finding:
        return finding


def check_mutated(path, content):
    """Either refused with a reason, or what nibabel reads from the same bytes, in the same place."""
    path.write_bytes(content)
    read = result_of(read_nifti, path)
    if isinstance(read, NotUsable):
        assert read.reason in VOLUME_REASONS
        return
    image = nib.load(path)
    expected = image.get_fdata(dtype=np.float64)
    np.testing.assert_allclose(read.array.T, expected.reshape(read.array.T.shape), rtol=1e-5, atol=1e-3)
    corner = read.map_indices_to_reference(np.zeros((1, 3)))[0]
    np.testing.assert_allclose(corner * [-1, -1, 1], image.affine[:3, 3], atol=1e-3)
    np.testing.assert_allclose(np.sort(read.spacing), np.sort(nib.affines.voxel_sizes(image.affine)), rtol=1e-3)


@QUICK
@given(mutations=MUTATIONS, end=ENDS)
def test_mutated_bytes_give_a_reason_or_the_voxels_of_nibabel(tmp_path, mutations, end):
    check_mutated(tmp_path / "ct.nii", mutated(volume(), mutations=mutations, end=end))


@QUICK
@given(place=st.integers(0, 351), change=st.integers(1, 255))
def test_a_mutated_header_gives_a_reason_or_the_voxels_of_nibabel(tmp_path, place, change):
    check_mutated(tmp_path / "ct.nii", mutated(volume(), mutations=[(place, change)], end=1.0))


@QUICK
@given(mutations=MUTATIONS, end=ENDS)
def test_mutated_compressed_bytes_never_change_a_voxel(tmp_path, mutations, end):
    """A checksum guards them: what is read is what was written."""
    path = tmp_path / "ct.nii.gz"
    path.write_bytes(mutated(gzip.compress(volume(), mtime=0), mutations=mutations, end=end))
    read = result_of(read_nifti, path)
    if isinstance(read, NotUsable):
        assert read.reason in VOLUME_REASONS
        return
    np.testing.assert_array_equal(read.array.T, hu())


@QUICK
@given(mutations=MUTATIONS, end=ENDS)
def test_mutated_centroids_give_a_reason_or_a_place_in_the_volume(tmp_path, mutations, end):
    path = tmp_path / "a_ctd.json"
    path.write_bytes(mutated(json.dumps(CENTROIDS).encode(), mutations=mutations, end=end))
    place = result_of(lambda: center_mm(read_centroids(path), "L1", grid=Grid((8, 9, 6), AFFINE)))
    if isinstance(place, NotUsable):
        assert place.reason in {reason for _, reason in FILES.values()}
        return
    left, posterior, head = place
    assert -0.5 <= left / 0.8 <= 7.5
    assert -0.5 <= posterior / 0.8 <= 8.5
    assert -0.5 <= head / 2 <= 5.5


def test_a_volume_that_announces_too_much_takes_no_memory(tmp_path):
    """2^29 voxels are allowed; a small file that says so must not fill the memory before it is found out."""
    head = header_with(dim=[3, 1024, 1024, 512, 1, 1, 1, 1])[:352]
    (tmp_path / "ct.nii").write_bytes(head + struct.pack("<4h", 1, 2, 3, 4))
    with pytest.raises(NotUsable, match="cut short, 8 of 1073741824 bytes"):
        read_nifti(tmp_path / "ct.nii")
