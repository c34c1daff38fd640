"""A cohort of invented patients with a marked secret at every place where an identifier can stand."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pydicom
import pytest
from PIL import Image, ImageDraw, PngImagePlugin
from pydicom.datadict import DicomDictionary, dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from helpers.cohort.deidentification import profile

SECRET = "ZqxSecret"  # in every planted text, and long enough not to occur by chance in a picture
UID_ROOT = "1.2.826.0.1.31337"
DATE, TIME, NUMBER = "19370526", "031415", "137.0526814"
TEXT_VRS = ("PN", "LO", "SH", "LT", "ST", "UT", "UC", "AE", "CS")
# What a study needs is kept, and no identifier; what decides how pixels are read stays faultless.
NOT_PLANTED = ("PatientAge", "PatientSex", "PatientSize", "PatientWeight", "ContrastBolusAgent")
PATIENTS = 18
#: UIDs of the image and what belongs to it; group 2 is the header of the file itself, and a class is no identifier.
UIDS = [
    keyword for tag, (vr, _, _, _, keyword) in sorted(DicomDictionary.items())
    if vr == "UI" and tag >> 16 != 2 and "Class" not in keyword
]  # fmt: skip


@dataclass(frozen=True)
class Planted:
    """Where the cohort lies, and the values that must not come out of it."""

    folder: Path
    values: tuple[str, ...]


def planted_value(keyword: str) -> str | bytes | list[Dataset] | None:
    """A secret that fits the kind of attribute; None for one of a kind that tells nothing, such as a status."""
    vr = dictionary_VR(keyword)
    if vr == "SQ":
        item = Dataset()
        item.CodeMeaning = f"{SECRET}{keyword}"
        return [item]
    if vr in TEXT_VRS:
        return f"{SECRET}{keyword}"[:16] if vr in ("SH", "AE", "CS") else f"{SECRET}{keyword}"
    return {
        "DA": DATE, "TM": TIME, "DT": f"{DATE}{TIME}", "UR": f"http://{SECRET}", "OB": SECRET.encode() * 2,
        "DS": NUMBER,
    }.get(vr)  # fmt: skip


def plant(dataset: Dataset, *, number: int) -> None:
    """Fill every attribute of the profile, in the image and in an item of a sequence, and private ones."""
    inner = Dataset()
    for keyword in set(profile()) - set(NOT_PLANTED):
        value = planted_value(keyword)
        if value is None or tag_for_keyword(keyword) is None:
            continue
        place = inner if len(keyword) % 2 else dataset
        setattr(place, keyword, value)
    for place, keyword in enumerate(UIDS):
        setattr(inner, keyword, f"{UID_ROOT}.9.{place}.{number}")
    inner.PatientName = f"{SECRET}Inner^Erika"
    dataset.RequestAttributesSequence = [inner]
    dataset.PatientName = f"{SECRET}Mustermann^Erika{number}"
    dataset.PatientID = f"{SECRET}PID{number:04}"
    dataset.StudyDate = f"{1937 + number}0526"
    dataset.OtherPatientIDs = f"{SECRET}{'long' * 30}"  # longer than allowed: a library may quote it in a warning
    dataset.private_block(0x0029, f"{SECRET} MAKER", create=True).add_new(1, "LO", f"{SECRET}private")
    for level, keyword in enumerate(("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID")):
        setattr(dataset, keyword, f"{UID_ROOT}.{level}.{number}")


def write_dicom(path: Path, *, number: int, rng: np.random.Generator) -> None:
    """One CT image of a planted patient with a name drawn into its pixels."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    plant(dataset, number=number)
    values = {
        "SOPClassUID": CTImageStorage, "Modality": "CT", "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"], "Rows": 64,
        "Columns": 64, "PixelSpacing": [1, 1], "RescaleSlope": 1, "RescaleIntercept": -1024, "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2", "BitsAllocated": 16, "BitsStored": 16, "HighBit": 15,
        "PixelRepresentation": 1, "PatientAge": f"{50 + number:03}Y", "PatientSex": "F", "BurnedInAnnotation": "YES",
        "ImageOrientationPatient": [0, 1, 0, 0, 0, -1], "ImagePositionPatient": [0, 0, 0],
    }  # fmt: skip
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    picture = Image.fromarray(rng.integers(0, 2000, size=(64, 64)).astype(np.int32))
    ImageDraw.Draw(picture).text((2, 2), "MUSTERMANN", fill=3000)
    dataset.PixelData = np.asarray(picture).astype("<i2").tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    pydicom.dcmwrite(path, dataset, enforce_file_format=True)


def write_png(path: Path, *, rng: np.random.Generator) -> None:
    """One picture with a name in its PNG texts and in its EXIF."""
    notes = PngImagePlugin.PngInfo()
    notes.add_text("Author", f"{SECRET}PngAuthor")
    notes.add_itxt("Comment", f"{SECRET}PngComment", zip=True)
    exif = Image.Exif()
    exif[0x010E] = f"{SECRET}ExifDescription"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rng.integers(0, 255, size=(64, 64), dtype=np.uint8)).save(path, pnginfo=notes, exif=exif)


def label_rows(files: list[str], *, prefix: str) -> pd.DataFrame:
    """A labels table with more columns than anybody should have sent."""
    rows = pd.DataFrame({"file": files, "label": ["ABC"[place % 3] for place in range(len(files))]})
    rows["PatientID"] = [f"{SECRET}{prefix}{place:04}" for place in range(len(files))]
    for column in ("name", "street", "phone", "comment"):
        rows[column] = f"{SECRET}{column}"
    rows["birth date"] = "1937-05-26"
    return rows


@pytest.fixture(scope="module")
def planted(tmp_path_factory) -> Planted:
    """A DICOM cohort of 18 patients, and an image folder of 6, both with their labels tables."""
    folder, rng = tmp_path_factory.mktemp("planted"), np.random.default_rng(5)
    dicom = [f"{SECRET}Mustermann_Erika{number}/{SECRET}{number}.dcm" for number in range(PATIENTS)]
    for number, file in enumerate(dicom):
        write_dicom(folder / "dicom" / file, number=number, rng=rng)
    rows = label_rows(dicom, prefix="PID")
    rows.loc[len(rows)] = {"file": f"{SECRET}gone.dcm", "label": f"{SECRET}label", "PatientID": f"{SECRET}PID9"}
    rows.to_csv(folder / "dicom.csv", index=False)
    pictures = [f"{SECRET}Beispiel/{number}.png" for number in range(6)]
    for file in pictures:
        write_png(folder / "images" / file, rng=rng)
    (folder / "images" / f"{SECRET}notes.txt").write_text(f"{SECRET}note")
    label_rows(pictures, prefix="IMG").to_csv(folder / "images.csv", index=False)
    dates = [f"{1937 + number}0526" for number in range(PATIENTS)]
    return Planted(folder, (SECRET, UID_ROOT, *dates, "1937-05-26", TIME, NUMBER, "MUSTERMANN"))
