"""Named defects planted in a faultless DICOM cohort: each found for its reason, its neighbours used as before."""

import zipfile

import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels import apply_rescale
from pydicom.uid import JPEG2000Lossless, JPEGLosslessSV1, JPEGLSLossless, RLELossless

from helpers.cohort.exclusions import NotUsable, Reason
from helpers.cohort.files.dicom import read_ct
from helpers.cohort.files.hounsfield import AIR_HU
from helpers.cohort.reading import read_cohort

AXIAL = [1, 0, 0, 0, 1, 0]


class Planter:
    """Plants one defect in the cohort folder; returns what the row of the labels table names."""

    def __init__(self, folder, write_ct, write_series):
        self.folder, self.write_ct, self.write_series = folder, write_ct, write_series

    def image(self, **attributes):
        self.write_ct(self.folder / "bad.dcm", **attributes)
        return "bad.dcm"

    def spoilt(self, change):
        path = self.write_ct(self.folder / "bad.dcm")
        path.write_bytes(change(path.read_bytes()))
        return "bad.dcm"

    def edited(self, change):
        path = self.write_ct(self.folder / "bad.dcm")
        dataset = pydicom.dcmread(path)
        change(dataset)
        dataset.save_as(path)
        return "bad.dcm"

    def series(self, **options):
        self.write_series(self.folder / "bad", **options)
        return "bad"

    def beside_series(self, **attributes):
        """A fifth slice in the folder of a good series."""
        self.write_series(self.folder / "bad")
        given = {"ImageOrientationPatient": AXIAL, "ImagePositionPatient": [0, 0, 8], "PixelSpacing": [0.8, 0.9]}
        stored = attributes.pop("stored", np.zeros((5, 7)))
        self.write_ct(
            self.folder / "bad" / "other.dcm", stored=stored, **({"RescaleIntercept": 0} | given | attributes)
        )
        return "bad"

    def slices(self, positions, orientation=AXIAL):
        for number, position in enumerate(positions):
            attributes = {"ImageOrientationPatient": orientation, "ImagePositionPatient": list(position)}
            self.write_ct(self.folder / "bad" / f"{number}.dcm", **attributes)
        return "bad"

    def archive(self, change=bytes, member="inner/IM1", kind=zipfile.ZIP_DEFLATED, content=None):
        path = self.write_ct(self.folder / "loose.dcm")
        with zipfile.ZipFile(self.folder / "bad.zip", "w", kind) as archive:
            archive.writestr(member, path.read_bytes() if content is None else content)
        path.unlink()
        (self.folder / "bad.zip").write_bytes(change((self.folder / "bad.zip").read_bytes()))
        return f"bad.zip/{member}"


def compressed_as(syntax, fragment):
    def change(dataset):
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.PixelData = encapsulate([fragment])
        dataset["PixelData"].VR = "OB"

    return change


def cut_codestream(dataset):
    """A decoder of JPEG-LS fills up what is missing and says nothing."""
    dataset.compress(JPEGLSLossless, generate_instance_uid=False)
    whole = next(generate_frames(dataset.PixelData, number_of_frames=1))
    dataset.PixelData = encapsulate([whole[: len(whole) // 2]])


def mark_encrypted(content):
    """Set bit 0 of the flags in the local and in the central header of the only member."""
    changed = bytearray(content)
    changed[6] |= 1
    changed[content.index(b"PK\x01\x02") + 8] |= 1
    return bytes(changed)


def damage_packed(content):
    middle = content.index(b"inner/IM1") + 100
    return content[:middle] + bytes(40) + content[middle + 40 :]


def tilted(degrees):
    return [(0, 2 * np.tan(np.radians(degrees)) * number, 2 * number) for number in range(4)]


def turned(degrees):
    angle = np.radians(degrees)
    down = [0, float(np.cos(angle)), float(np.sin(angle))]
    normal = np.cross([1, 0, 0], down)
    return [normal * 2 * number for number in range(4)], [1, 0, 0, *down]


# Name of the defect -> how it is planted, and the reason that must be found.
DEFECTS = {
    "another modality": (lambda p: p.image(Modality="MR"), Reason.NOT_CT),
    "no Modality, no CT class": (lambda p: p.image(Modality=None, SOPClassUID="1.2.3"), Reason.NOT_CT),
    "localizer": (lambda p: p.image(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]), Reason.LOCALIZER),
    "three samples per pixel": (lambda p: p.image(SamplesPerPixel=3), Reason.COLOUR_IMAGE),
    "palette": (lambda p: p.image(PhotometricInterpretation="PALETTE COLOR"), Reason.COLOUR_IMAGE),
    "no rescale slope": (lambda p: p.image(RescaleSlope=None), Reason.MISSING_RESCALE),
    "no rescale intercept": (lambda p: p.image(RescaleIntercept=None), Reason.MISSING_RESCALE),
    "slope of zero": (lambda p: p.image(RescaleSlope=0), Reason.MISSING_RESCALE),
    "slope beyond float32": (lambda p: p.image(RescaleSlope="9E99"), Reason.MISSING_RESCALE),
    "another quantity": (lambda p: p.image(RescaleType="Z_EFF"), Reason.NOT_HU),
    "eight bits": (lambda p: p.image(BitsStored=8, HighBit=7), Reason.NOT_HU),
    "bits at an odd place": (lambda p: p.image(BitsStored=12, HighBit=13), Reason.CONTRADICTORY_HEADER),
    "more bits stored than allocated": (lambda p: p.image(BitsStored=20, HighBit=19), Reason.CONTRADICTORY_HEADER),
    "matrix of a wall": (lambda p: p.image(Rows=65535, Columns=65535), Reason.CONTRADICTORY_HEADER),
    "matrix without rows": (lambda p: p.image(Rows=0), Reason.CONTRADICTORY_HEADER),
    "matrix larger than the pixels": (lambda p: p.image(Rows=24), Reason.UNREADABLE_DICOM),
    "sign neither 0 nor 1": (lambda p: p.image(PixelRepresentation=7), Reason.CONTRADICTORY_HEADER),
    "no pixel spacing": (lambda p: p.image(PixelSpacing=None), Reason.MISSING_PIXEL_SPACING),
    "no patient": (lambda p: p.image(PatientID=None), Reason.MISSING_PATIENT),
    "old multi-frame": (lambda p: p.image(NumberOfFrames=3, stored=np.zeros((36, 10)), Rows=12), Reason.MULTI_FRAME),
    "cut within the header": (lambda p: p.spoilt(lambda content: content[:300]), Reason.UNREADABLE_DICOM),
    "cut within the pixels": (lambda p: p.spoilt(lambda content: content[:-50]), Reason.UNREADABLE_DICOM),
    "empty file": (lambda p: p.spoilt(lambda content: b""), Reason.NOT_DICOM),
    "text called .dcm": (lambda p: p.spoilt(lambda content: b"Dear colleague, " * 40), Reason.NOT_DICOM),
    "text like a bare header": (lambda p: p.spoilt(lambda content: b"\x08\x00\x05\x00" * 99), Reason.UNREADABLE_DICOM),
    "preamble before nothing": (lambda p: p.spoilt(lambda content: content[:132]), Reason.UNREADABLE_DICOM),
    "no pixels": (lambda p: p.edited(lambda d: delattr(d, "PixelData")), Reason.UNREADABLE_DICOM),
    "JPEG without an image": (
        lambda p: p.edited(compressed_as(JPEGLosslessSV1, b"\xff\xd8\xff\xd9")),
        Reason.UNSUPPORTED_COMPRESSION,
    ),
    "JPEG 2000 of noise": (
        lambda p: p.edited(compressed_as(JPEG2000Lossless, bytes(range(200)) + b"\xff\xd9")),
        Reason.UNSUPPORTED_COMPRESSION,
    ),
    "RLE of noise": (lambda p: p.edited(compressed_as(RLELossless, bytes(64))), Reason.UNSUPPORTED_COMPRESSION),
    "JPEG-LS cut short": (lambda p: p.edited(cut_codestream), Reason.UNREADABLE_DICOM),
    "two series in a folder": (lambda p: p.beside_series(SeriesInstanceUID="9.9"), Reason.SEVERAL_SERIES),
    "slice without position": (lambda p: p.beside_series(ImagePositionPatient=None), Reason.IRREGULAR_SERIES),
    "slice without spacing": (lambda p: p.beside_series(PixelSpacing=None), Reason.MISSING_PIXEL_SPACING),
    "slice of another size": (lambda p: p.beside_series(stored=np.zeros((6, 7))), Reason.IRREGULAR_SERIES),
    "two slices at one place": (
        lambda p: p.beside_series(ImagePositionPatient=[0, 0, 4]),
        Reason.DUPLICATE_SLICE,
    ),
    "slice cut short": (lambda p: p.beside_series(RescaleSlope=None), Reason.MISSING_RESCALE),
    "missing slice": (lambda p: p.series(heights_mm=(0, 2, 4, 8, 10)), Reason.MISSING_SLICES),
    "uneven distances": (lambda p: p.series(heights_mm=(0, 1, 3, 3.5)), Reason.IRREGULAR_SERIES),
    "two slices": (lambda p: p.series(heights_mm=(0, 2)), Reason.IRREGULAR_SERIES),
    "gantry beyond its stop": (lambda p: p.slices(tilted(50)), Reason.TILTED_GANTRY),
    "patient who moved": (lambda p: p.slices([(0, 0, 0), (9, 0, 2), (0, 0, 4), (0, 0, 6)]), Reason.IRREGULAR_SERIES),
    "oblique volume": (lambda p: p.slices(*turned(30)), Reason.OBLIQUE_VOLUME),
    "half the slices turned": (
        lambda p: (p.series(heights_mm=(0, 2, 4)), p.slices([(0, 0, n) for n in range(3)], [0, 1, 0, 0, 0, -1]))[0],
        Reason.IRREGULAR_SERIES,
    ),
    "folder without CT": (lambda p: p.series(Modality="MR"), Reason.IRREGULAR_SERIES),
    "encrypted archive": (lambda p: p.archive(mark_encrypted), Reason.ENCRYPTED_ARCHIVE),
    "archive cut short": (lambda p: p.archive(lambda content: content[: len(content) // 2]), Reason.UNREADABLE_ARCHIVE),
    "damaged member": (lambda p: p.archive(damage_packed), Reason.UNREADABLE_ARCHIVE),
    "archive that would fill the disk": (lambda p: p.archive(content=bytes(2**26 + 1)), Reason.ARCHIVE_TOO_LARGE),
    "text in an archive": (lambda p: p.archive(content=b"Dear colleague"), Reason.NOT_DICOM),
    "index of a medium": (lambda p: p.edited(lambda d: as_index(d)), Reason.INDEX_FILE),
}


def as_index(dataset):
    dataset.file_meta.MediaStorageSOPClassUID = pydicom.uid.MediaStorageDirectoryStorage
    del dataset.PixelData


@pytest.fixture
def planter(folder, write_ct, write_series):
    return Planter(folder, write_ct, write_series)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", DEFECTS)
def test_a_defect_is_found_and_its_neighbours_are_kept(name, planter, clean_cohort, write_labels, dicom_params):
    plant, reason = DEFECTS[name]
    file = plant(planter)
    write_labels([*clean_cohort, {"file": file, "label": "A"}])
    cohort = read_cohort(dicom_params)
    found = cohort.exclusions.set_index("source")["reason"].to_dict()
    assert found[file] == reason
    assert len(cohort.table) == len(clean_cohort)
    assert cohort.table["source"].str.startswith("p").all()


def test_there_are_enough_defects():
    assert len(DEFECTS) >= 22


ASIDE = {
    "localizer in the folder": ({"ImageType": ["DERIVED", "SECONDARY", "LOCALIZER"]}, Reason.LOCALIZER),
    "report in the folder": ({"Modality": "SR", "SeriesInstanceUID": "7.7"}, Reason.NOT_CT),
    "another orientation": ({"ImageOrientationPatient": [0, 1, 0, 0, 0, -1]}, Reason.OTHER_ORIENTATION),
}


@pytest.mark.parametrize("name", ASIDE)
def test_what_is_no_slice_is_set_aside_and_told(name, planter, clean_cohort, write_labels, dicom_params):
    attributes, reason = ASIDE[name]
    write_labels([*clean_cohort, {"file": planter.beside_series(**attributes), "label": "A"}])
    cohort = read_cohort(dicom_params)
    assert len(cohort.table) == len(clean_cohort) + 1
    assert dict(zip(cohort.exclusions["source"], cohort.exclusions["reason"], strict=True)) == {"bad/other.dcm": reason}


def _valid(write_ct, path, syntax):
    ramp = np.add.outer(np.arange(64) * 40, np.arange(72) * 7)
    write_ct(path, stored=ramp, BitsStored=16)
    if syntax is not None:
        dataset = pydicom.dcmread(path)
        dataset.compress(syntax, generate_instance_uid=False)
        dataset.save_as(path)
    return path.read_bytes()


EXAMPLES = 120
HEADER_END = 1000
places = st.one_of(st.integers(132, HEADER_END), st.integers(HEADER_END, 20_000))
changes = st.lists(st.tuples(places, st.integers(0, 255)), min_size=1, max_size=6)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("syntax", [None, RLELossless, JPEGLSLossless, JPEG2000Lossless], ids=str)
def test_changed_bytes_never_give_other_pixels_than_pydicom_reads(tmp_path, write_ct, syntax):
    """Either refused, or the pixels that pydicom itself decodes from the same bytes, as HU."""
    valid = _valid(write_ct, tmp_path / "valid.dcm", syntax)
    path = tmp_path / "changed.dcm"

    @settings(deadline=None, max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
    @given(changes=changes, kept=st.one_of(st.just(1), st.floats(0.02, 1)))
    def check(changes, kept):
        content = bytearray(valid)
        for place, value in changes:
            content[place % len(content)] = value
        path.write_bytes(content[: int(kept * len(content))])
        try:
            picture = read_ct(path)
        except NotUsable:
            return
        assert np.isfinite(picture.pixels).all()
        dataset = pydicom.dcmread(path)
        if "TransferSyntaxUID" not in dataset.file_meta:
            return  # pydicom does not decode such a file; the syntax that its header was read by is used
        rescale = Dataset()  # a changed VR leaves the numbers as text, which pydicom does not compute with
        rescale.RescaleSlope, rescale.RescaleIntercept = float(dataset.RescaleSlope), float(dataset.RescaleIntercept)
        reference = apply_rescale(dataset.pixel_array, rescale).astype(np.float32)
        padded = picture.pixels == AIR_HU if "PixelPaddingValue" in dataset else False
        np.testing.assert_array_equal(np.where(padded, AIR_HU, picture.pixels), np.where(padded, AIR_HU, reference))

    check()
