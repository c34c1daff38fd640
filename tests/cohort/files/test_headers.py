import numpy as np
import pytest

from helpers.cohort.exclusions import NotUsable, Reason
from helpers.cohort.files.headers import normal, read_header, scan_headers
from helpers.cohort.files.storage import Storage


def test_headers_come_in_order_and_without_pixels(tmp_path, write_ct):
    for number in range(3):
        path = write_ct(tmp_path / f"{number}", SOPInstanceUID=f"1.{number}", ImagePositionPatient=[0, 0, number])
        path.write_bytes(path.read_bytes()[:-200])  # cut within the pixels, which the scan does not reach
    (tmp_path / "text").write_text("text")
    *found, text = scan_headers(Storage(tmp_path), ["2", "0", "1", "text"])
    assert [(item.file, item.instance, item.position) for item in found] == [
        ("2", "1.2", (0, 0, 2)),
        ("0", "1.0", (0, 0, 0)),
        ("1", "1.1", (0, 0, 1)),
    ]
    assert (found[0].shape, found[0].spacing_mm, found[0].series) == ((12, 10), (0.5, 0.4), "1.2.3.4")
    assert text.reason is Reason.NOT_DICOM


@pytest.mark.parametrize(
    ("attributes", "is_ct", "is_localizer"),
    [
        ({}, True, False),
        ({"Modality": None}, True, False),
        ({"Modality": None, "SOPClassUID": "1.2"}, False, False),
        ({"Modality": "MR"}, False, False),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, True, True),
    ],
)
def test_the_kind_of_image_is_told(tmp_path, write_ct, attributes, is_ct, is_localizer):
    write_ct(tmp_path / "a", **attributes)
    header = read_header(Storage(tmp_path), "a")
    assert (header.is_ct, header.is_localizer) == (is_ct, is_localizer)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", Reason.NOT_DICOM),
        (b"\x08\x00\x05\x00" + bytes(300), Reason.NOT_DICOM),
        (bytes(128) + b"DICM", Reason.NOT_DICOM),
    ],
    ids=["empty", "nothing but zeros", "preamble only"],
)
def test_a_file_without_a_header_is_a_finding(tmp_path, content, reason):
    (tmp_path / "a").write_bytes(content)
    found = read_header(Storage(tmp_path), "a")
    assert isinstance(found, NotUsable)
    assert found.reason is reason


def test_a_missing_file_and_an_index_are_findings(tmp_path, write_ct):
    write_ct(tmp_path / "dicomdir")
    assert read_header(Storage(tmp_path), "gone").reason is Reason.UNREADABLE_DICOM
    assert read_header(Storage(tmp_path), "dicomdir").reason is Reason.INDEX_FILE


def test_the_normal_of_axial_slices_points_to_the_head():
    np.testing.assert_allclose(normal((1, 0, 0, 0, 1, 0)), [0, 0, 1])
    np.testing.assert_allclose(normal((0, 1, 0, 0, 0, -1)), [-1, 0, 0])
