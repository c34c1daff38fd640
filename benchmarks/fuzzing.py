"""What do damaged and hostile files do? Every entrance of the project is given thousands of them.

    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/fuzzing.py [--inputs 2000] [--seed 0] [--only dicom csv]

A small faultless file is changed at random: bytes and numbers replaced, pieces cut out, repeated or exchanged, and in
texts pieces put in that programs stumble over. A reader may refuse it with one of the project's own errors, or read it.
Anything else is a crash: another exception, the end of the process, more than 10 seconds of computing, no answer for a
minute, more than 2 GiB. Input number n of a seed is the same on every machine; a crash is told with its number.
"""

import argparse
import gzip
import io
import multiprocessing
import os
import resource
import signal
import struct
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from time import process_time

import nibabel as nib
import numpy as np
import openpyxl
import pandas as pd
import pydicom
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless, RLELossless

from helpers.cohort.exclusions import CohortError, NotUsable
from helpers.cohort.files.dicom import read_ct
from helpers.cohort.files.headers import read_header
from helpers.cohort.files.images import read_image
from helpers.cohort.files.nifti import read_nifti
from helpers.cohort.files.storage import Storage
from helpers.cohort.labels.centroids import read_centroids
from helpers.cohort.labels.labels_table import labelled_table
from helpers.study import CohortParams, ParameterError, load_study

OWN_ERRORS = (NotUsable, CohortError, ParameterError)
PATIENCE_S = 10
GRACE_S = 60  # a decoder in C does not hear the timer, nor who waits for a pipe; the process is ended from outside
MAX_GROWTH_BYTES = 2 * 2**30
MIB = 2**20
MAX_CHANGES = 6
EDGE_NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
HOSTILE_TEXTS = (
    "\0", "\r", "\n", "\t", '"', "'", ",", ";", "\\", "=1+1", "@SUM(A1)", "../../etc/passwd", "/dev/zero", "C:\\x",
    "nan", "inf", "-inf", "1e999", "9" * 5000, "0x10", "1_000", "1,5", "\u202e", "\u200b", "\ufeff", "\x1b[2J",
    "\u0130", "\ud7ff", "{{7*7}}", "<script>", "%s%n", "x" * 70_000, "[" * 3000, "{" * 3000, "&a ", "*a",
    "!!python/object:os.x ", "!!binary ", "!!timestamp ", "2024-13-45", "1:60", "? ", "- ", ": ", "#", "|",
    ">", "<<: ", "null", "~", "yes",
)  # fmt: skip

Mutate = Callable[[bytes, np.random.Generator], bytes]


@dataclass(frozen=True)
class Entrance:
    """One way into the project: faultless files by name, what changes them, and what reads them."""

    files: Callable[[Path], dict[str, bytes]]
    read: Callable[[Path], object]
    mutate: Mutate


@dataclass
class Tally:
    """What the inputs of one entrance have done; `crashes` are (number of the input, words)."""

    inputs: int = 0
    refused: int = 0
    slowest_s: float = 0.0
    peak_bytes: int = 0
    crashes: list[tuple[int, str]] = field(default_factory=list)


class Hang(BaseException):
    """Raised by the timer; no reader can take it for damage."""


def mutate_bytes(content: bytes, rng: np.random.Generator) -> bytes:
    """Change a few places: a byte, a number, or a piece that is cut out, repeated or moved."""
    changed = bytearray(content)
    for _ in range(rng.integers(1, MAX_CHANGES + 1)):
        place, other = (int(rng.integers(0, len(changed) + 1)) for _ in range(2))
        length = int(rng.integers(1, 64))
        match rng.integers(0, 6):
            case 0 | 1:
                changed[place : place + 1] = bytes([rng.integers(0, 256)])
            case 2:
                width, order = int(rng.choice([1, 2, 4])), rng.choice(["<", ">"])
                number = EDGE_NUMBERS[rng.integers(len(EDGE_NUMBERS))] % 256**width
                changed[place : place + width] = struct.pack(f"{order}{' BH I'[width]}", number)
            case 3:
                del changed[place : place + length]
            case 4:
                changed[place:place] = changed[other : other + length]
            case _:
                changed[place : place + length] = changed[other : other + length]
    return bytes(changed[: int(rng.integers(0, len(changed) + 1))] if rng.random() < 0.1 else changed)


def mutate_text(content: bytes, rng: np.random.Generator) -> bytes:
    """Put in what programs stumble over; now and then change bytes as well."""
    text = content.decode()
    for _ in range(rng.integers(1, MAX_CHANGES + 1)):
        start = int(rng.integers(0, len(text) + 1))
        end = start + int(rng.integers(0, 8))
        text = text[:start] + HOSTILE_TEXTS[rng.integers(len(HOSTILE_TEXTS))] + text[end:]
    content = text.encode("utf-8", "surrogatepass")
    return mutate_bytes(content, rng) if rng.random() < 0.3 else content


def mutate_zip(content: bytes, rng: np.random.Generator) -> bytes:
    """Change the archive itself, or one of its members so that the archive is in order."""
    if rng.random() < 0.4:
        return mutate_bytes(content, rng)
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as new:
        names = old.namelist()
        spoilt = names[rng.integers(len(names))]
        change = mutate_text if spoilt.endswith((".xml", ".rels")) else mutate_bytes
        for name in names:
            member = old.read(name)
            new.writestr(name, change(member, rng) if name == spoilt else member)
    return stream.getvalue()


def mutate_nifti(content: bytes, rng: np.random.Generator) -> bytes:
    """Change a volume, or one that is packed; mostly its header, where the numbers are that matter."""
    header, rest = content[:352], content[352:]
    changed = mutate_bytes(header, rng) + rest if rng.random() < 0.7 else mutate_bytes(content, rng)
    if rng.random() < 0.5:
        return changed
    packed = gzip.compress(changed, 1, mtime=0)
    return packed if rng.random() < 0.5 else mutate_bytes(packed, rng)


def dicom_files(folder: Path) -> dict[str, bytes]:
    """One small CT image, as it is and compressed in three ways."""
    found = {}
    for syntax in (None, RLELossless, JPEGLSLossless, JPEG2000Lossless):
        path = folder / f"{syntax.name if syntax else 'plain'}.dcm"
        pydicom.dcmwrite(path, ct_image(), enforce_file_format=True)
        if syntax is not None:
            dataset = pydicom.dcmread(path)
            dataset.compress(syntax, generate_instance_uid=False)
            dataset.save_as(path)
        found[path.name] = path.read_bytes()
    return found


def ct_image() -> Dataset:
    """A CT image of 32 x 40 pixels with a sequence and a private attribute."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, "1.2.3.4.5"
    values = {
        "Modality": "CT", "PatientID": "p", "StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.2.3", "Rows": 32,
        "Columns": 40, "ImageType": ["ORIGINAL", "PRIMARY"], "ImageOrientationPatient": [0, 1, 0, 0, 0, -1],
        "ImagePositionPatient": [0, 0, 0], "PixelSpacing": [0.5, 0.4], "RescaleSlope": 1, "RescaleIntercept": -1024,
        "SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2", "BitsAllocated": 16, "BitsStored": 16,
        "HighBit": 15, "PixelRepresentation": 1, "PatientAge": "045Y", "StudyDate": "20240131",
    }  # fmt: skip
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    inner = Dataset()
    inner.CodeValue = "x"
    dataset.ProcedureCodeSequence = [inner]
    dataset.private_block(0x0029, "MAKER", create=True).add_new(1, "LO", "secret")
    dataset.PixelData = np.add.outer(np.arange(32) * 40, np.arange(40)).astype("<i2").tobytes()
    return dataset


def read_dicom(path: Path) -> None:
    """Both passes over a DICOM file: its header alone, and its pixels."""
    read_header(Storage(path.parent), path.name)
    read_ct(path)


def image_files(folder: Path) -> dict[str, bytes]:
    """One picture in every format that is read."""
    ramp = np.add.outer(np.arange(40), np.arange(48)).astype(np.uint8)
    found = {}
    for suffix in ("png", "jpg", "tif", "webp", "bmp"):
        path = folder / f"image.{suffix}"
        Image.fromarray(ramp).save(path)
        found[path.name] = path.read_bytes()
    Image.fromarray(ramp.astype(np.uint16) * 9).save(folder / "deep.tif", compression="tiff_deflate")
    return found | {"deep.tif": (folder / "deep.tif").read_bytes()}


def read_picture(path: Path) -> None:
    """With the offset that images of 16 bits need."""
    read_image(path, rescale_intercept=-1024)


def nifti_files(_: Path) -> dict[str, bytes]:
    """A small volume in HU; packed or not is decided by the change, and the name fits either."""
    hu = (np.indices((6, 7, 8)).sum(axis=0) * 90 - 1000).astype(np.int16)
    volume = nib.Nifti1Image(hu, np.diag([1.0, 1.0, 2.0, 1.0]))
    volume.header.set_xyzt_units("mm")
    return {"volume.nii": volume.to_bytes()}


def read_volume(path: Path) -> None:
    """Read it as what it begins like."""
    if path.read_bytes()[:2] == b"\x1f\x8b":
        path = path.rename(path.with_suffix(".nii.gz"))
    read_nifti(path)


LABELS = {
    "file": ["a.dcm", "b.dcm", "c"], "PatientID": ["p1", "p2", "p3"], "label": ["A", "B", "C"],
    "level": ["L1", "T12", ""], "x0": ["1", "", ""], "y0": ["1", "", ""], "x1": ["5", "", ""], "y1": ["5.5", "", ""],
    "center_x_mm": ["", "-4.2", ""], "center_y_mm": ["", "31.0", ""], "center_z_mm": ["", "812.5", ""],
    "slice_index": ["", "", "3"], "mm_per_px": ["0.4", "", ""],
}  # fmt: skip


def text_table_files(_: Path) -> dict[str, bytes]:
    """The labels table as text, with commas and with semicolons."""
    table = pd.DataFrame(LABELS)
    return {
        "labels.csv": table.to_csv(index=False).encode(),
        "labels.tsv": table.to_csv(index=False, sep=";").encode(),
    }


def workbook_files(folder: Path) -> dict[str, bytes]:
    """The labels table as an Excel workbook with a merged cell."""
    book = openpyxl.Workbook()
    for row in (list(LABELS), *zip(*LABELS.values(), strict=True)):
        book.active.append(row)
    book.active.merge_cells("B2:B3")
    book.save(folder / "labels.xlsx")
    return {"labels.xlsx": (folder / "labels.xlsx").read_bytes()}


def parquet_files(folder: Path) -> dict[str, bytes]:
    """The labels table as Parquet."""
    pd.DataFrame(LABELS).to_parquet(folder / "labels.parquet")
    return {"labels.parquet": (folder / "labels.parquet").read_bytes()}


def read_table(path: Path) -> None:
    """Read a labels table whose files are all there."""
    params = CohortParams(source="dicom", folder=".", labels=path.name)
    labelled_table(path, needed=("file", "label"), params=params, exists=lambda name: True)


PROJECT = Path(__file__).resolve().parents[1]


def parameter_files(_: Path) -> dict[str, bytes]:
    """Two parameter files of the project."""
    return {name: (PROJECT / "params" / name).read_bytes() for name in ("smoke.yaml", "dicom.example.yaml")}


def centroid_files(_: Path) -> dict[str, bytes]:
    """A centroid file of VerSe."""
    return {"a_ctd.json": b'[{"direction": ["P", "I", "R"]}, {"label": 20, "X": 6.5, "Y": 4, "Z": 3.25}]'}


def archive_files(_: Path) -> dict[str, bytes]:
    """A zip archive with two small files."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner/IM1", bytes(range(256)) * 4)
        archive.writestr("IM2", b"DICM" * 100)
    return {"export.zip": stream.getvalue()}


def read_archive(path: Path) -> None:
    """List an archive and unpack its members; the listing says which of them can be opened at all."""
    storage = Storage(path.parent)
    for name in storage.files():
        storage.read(name)


ENTRANCES = {
    "dicom": Entrance(dicom_files, read_dicom, mutate_bytes),
    "image": Entrance(image_files, read_picture, mutate_bytes),
    "nifti": Entrance(nifti_files, read_volume, mutate_nifti),
    "centroids": Entrance(centroid_files, read_centroids, mutate_text),
    "csv": Entrance(text_table_files, read_table, mutate_text),
    "xlsx": Entrance(workbook_files, read_table, mutate_zip),
    "parquet": Entrance(parquet_files, read_table, mutate_bytes),
    "zip": Entrance(archive_files, read_archive, mutate_zip),
    "yaml": Entrance(parameter_files, load_study, mutate_text),
}


def inputs(entrance: Entrance, folder: Path, *, seed: int, numbers: Sequence[int]) -> Iterator[tuple[int, Path]]:
    """Write one changed file after the other into a folder of its own; it is gone when the next one is asked for."""
    originals = sorted(entrance.files(folder).items())
    for number in numbers:
        rng = np.random.default_rng([seed, number])
        name, content = originals[rng.integers(len(originals))]
        with tempfile.TemporaryDirectory(dir=folder) as place:
            path = Path(place) / name
            path.write_bytes(entrance.mutate(content, rng))
            yield number, path


def try_one(entrance: Entrance, path: Path, tally: Tally, *, number: int) -> None:
    """Give one input to its reader and count what comes of it."""
    started = process_time()
    signal.setitimer(signal.ITIMER_PROF, PATIENCE_S)
    try:
        entrance.read(path)
    except OWN_ERRORS:
        tally.refused += 1
    except Hang:
        tally.crashes.append((number, f"no answer within {PATIENCE_S} s"))
    except Exception as error:
        tally.crashes.append((number, f"{type(error).__name__}: {error}"))
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    tally.inputs += 1
    tally.slowest_s = max(tally.slowest_s, process_time() - started)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if peak > MAX_GROWTH_BYTES > tally.peak_bytes:
        tally.crashes.append((number, f"{peak / MIB:.0f} MiB"))
    tally.peak_bytes = max(tally.peak_bytes, peak)


def _ring(*_: object) -> None:
    raise Hang


def _work(name: str, *, seed: int, numbers: Sequence[int], answers: Connection) -> None:
    """Body of a process: the tally is sent after every input, so that nothing is lost when one ends it."""
    warnings.simplefilter("ignore")
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123 (libraries in C and Rust complain at length)
        os.dup2(nowhere.fileno(), sys.stderr.fileno())
    signal.signal(signal.SIGPROF, _ring)
    tally = Tally()
    with tempfile.TemporaryDirectory() as folder:
        for number, path in inputs(ENTRANCES[name], Path(folder), seed=seed, numbers=numbers):
            try_one(ENTRANCES[name], path, tally, number=number)
            answers.send(tally)


def fuzz(name: str, *, seed: int, count: int) -> Tally:
    """Give an entrance `count` inputs; an input that ends the process is a crash, and a new process goes on."""
    total = Tally()
    while total.inputs < count:
        answers, other = multiprocessing.Pipe(duplex=False)
        options = {"seed": seed, "numbers": range(total.inputs, count), "answers": other}
        process = multiprocessing.get_context("fork").Process(target=_work, args=(name,), kwargs=options)
        process.start()
        other.close()
        last = _last_answer(answers)
        process.kill()
        process.join()
        total = _sum(total, last)
        if total.inputs < count:
            total.crashes.append((total.inputs, f"the process ended, or was silent for {GRACE_S} s"))
            total.inputs += 1
    return total


def _last_answer(answers: Connection) -> Tally:
    tally = Tally()
    try:
        while answers.poll(GRACE_S):
            tally = answers.recv()
    except EOFError:
        pass
    return tally


def _sum(one: Tally, other: Tally) -> Tally:
    return Tally(
        inputs=one.inputs + other.inputs,
        refused=one.refused + other.refused,
        slowest_s=max(one.slowest_s, other.slowest_s),
        peak_bytes=max(one.peak_bytes, other.peak_bytes),
        crashes=[*one.crashes, *other.crashes],
    )


def main() -> int:
    """Print a table, then every kind of crash with the number of its first input; 1 if there was any."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=2000, help="for each entrance")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=ENTRANCES, default=list(ENTRANCES))
    options = parser.parse_args()
    say = sys.stdout.write
    say(f"{'entrance':<10} {'inputs':>8} {'refused':>8} {'crashes':>8} {'slowest ms':>11} {'peak MiB':>9}\n")
    crashes: dict[tuple[str, str], int] = {}
    for name in options.only:
        tally = fuzz(name, seed=options.seed, count=options.inputs)
        say(
            f"{name:<10} {tally.inputs:>8} {tally.refused:>8} {len(tally.crashes):>8} "
            f"{tally.slowest_s * 1000:>11.0f} {tally.peak_bytes / MIB:>9.0f}\n"
        )
        sys.stdout.flush()
        for number, words in tally.crashes:
            crashes.setdefault((name, words[:60]), number)
    for (name, words), number in crashes.items():
        say(f"  {name}, input {number}: {words!r}\n")
    return int(bool(crashes))


if __name__ == "__main__":
    sys.exit(main())
