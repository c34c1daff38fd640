"""Small files that stand for much: each is refused with a clear error, soon, and within the memory."""

import gzip
import os
import resource
import struct
import zipfile
import zlib
from itertools import pairwise

import numpy as np
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from helpers.cohort import CohortError, read_cohort
from helpers.cohort.exclusions import NotUsable, Reason
from helpers.cohort.files.images import read_image
from helpers.cohort.files.nifti import read_nifti
from helpers.cohort.labels.centroids import read_centroids
from helpers.cohort.labels.text_table import read_text_table
from helpers.study import CohortParams, ParameterError, load_study

GROWTH_BYTES = 300 * 2**20


@pytest.fixture(autouse=True)
def _memory_stays_small():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < GROWTH_BYTES


def aliases():
    """Ten lines that stand for 9 to the power of 10 words."""
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    lines += [f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]" for before, name in pairwise("abcdefghi")]
    return "\n".join([*lines, "training: {epochs: *i}"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (aliases(), "aliases such as .a are not read"),
        ("training: {epochs: " + "[" * 3000 + "]" * 3000 + "}", "nested too deeply"),
        ("training: {epochs: " + "9" * 5000 + "}", "not readable as YAML"),
        ("training: {epochs: 2024-13-45}", "month must be in 1..12"),
        ('training: {epochs: !!int "x"}', "not readable as YAML"),
        ("training: {epochs: !!python/object/apply:os.system [id]}", "not readable as YAML"),
        ("x: " + "y" * 2**18, "bytes are too many"),
        ("training: {epochs: " + "y" * 10_000 + "}", "y…$"),
    ],
    ids=["aliases", "nesting", "digits", "date", "number", "object", "size", "value"],
)
def test_parameters(tmp_path, text, words):
    (tmp_path / "bomb.yaml").write_text(text)
    with pytest.raises(ParameterError, match=words) as found:
        load_study(tmp_path / "bomb.yaml")
    assert len(str(found.value)) < 1000


def test_a_parameter_file_with_a_name_that_no_file_can_have(tmp_path):
    with pytest.raises(ParameterError):
        load_study(tmp_path / ("x" * 5000))


def workbook(path, change):
    book = openpyxl.Workbook()
    book.active.append(["file", "label"])
    book.active.append(["a", "A"])
    change(book.active)
    book.save(path)


def cell_far_away(sheet):
    sheet["XFD1048576"] = "x"


def merged_all_over(sheet):
    sheet.merged_cells.add("A1:XFD1048576")


@pytest.mark.parametrize("change", [cell_far_away, merged_all_over])
def test_workbooks_of_absurd_size(tmp_path, change):
    workbook(tmp_path / "labels.xlsx", change)
    with pytest.raises(CohortError, match="17,179,869,18. cells are too many"):
        read_text_table(tmp_path / "labels.xlsx")


def test_a_workbook_that_claims_to_be_large_is_read(tmp_path):
    workbook(tmp_path / "plain.xlsx", lambda sheet: None)
    with zipfile.ZipFile(tmp_path / "plain.xlsx") as old, zipfile.ZipFile(tmp_path / "labels.xlsx", "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name).replace(b'ref="A1:B2"', b'ref="A1:XFD1048576"'))
    assert read_text_table(tmp_path / "labels.xlsx").to_dict("list") == {"file": ["a"], "label": ["A"]}


def test_a_workbook_that_unpacks_to_too_much(tmp_path):
    workbook(tmp_path / "labels.xlsx", lambda sheet: None)
    with (
        zipfile.ZipFile(tmp_path / "labels.xlsx", "a", zipfile.ZIP_DEFLATED) as book,
        book.open("xl/media/image1.png", "w") as member,
    ):
        for _ in range(129):
            member.write(bytes(2**20))
    with pytest.raises(CohortError, match="129 MiB unpacked are too many"):
        read_text_table(tmp_path / "labels.xlsx")


def test_a_parquet_file_of_one_value_a_hundred_million_times(tmp_path):
    rows = pa.table({name: pa.array(["a"] * 10**6).dictionary_encode() for name in ("file", "label")})
    with pq.ParquetWriter(tmp_path / "labels.parquet", rows.schema) as writer:
        for _ in range(6):
            writer.write_table(rows)
    with pytest.raises(CohortError, match="12,000,000 cells are too many"):
        read_text_table(tmp_path / "labels.parquet")


def png(width, height, *chunks):
    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    size = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in ((b"IHDR", size), *chunks, (b"IEND", b"")))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (png(60_000, 60_000, (b"IDAT", zlib.compress(bytes(1000)))), Reason.IMAGE_TOO_LARGE),
        (png(9, 9, (b"zTXt", b"Comment\0\0" + zlib.compress(bytes(2**25)))), Reason.UNREADABLE_IMAGE),
    ],
    ids=["pixels", "text"],
)
def test_images(tmp_path, content, reason):
    (tmp_path / "bomb.png").write_bytes(content)
    with pytest.raises(NotUsable) as found:
        read_image(tmp_path / "bomb.png")
    assert found.value.reason == reason


def test_centroids_nested_without_end(tmp_path):
    (tmp_path / "a_ctd.json").write_text("[" * 100_000)
    with pytest.raises(NotUsable, match="unreadable_centroids"):
        read_centroids(tmp_path / "a_ctd.json")


def test_a_packed_volume_longer_than_its_header_says(tmp_path):
    with gzip.open(tmp_path / "bomb.nii.gz", "wb") as stream:
        for _ in range(64):
            stream.write(bytes(2**20))
    with pytest.raises(NotUsable, match="no NIfTI header"):
        read_nifti(tmp_path / "bomb.nii.gz")


def make_pipe(path):
    os.mkfifo(path)


def link_to(target):
    return lambda path: path.symlink_to(target)


@pytest.mark.parametrize("source", ["dicom", "images"])
@pytest.mark.parametrize("make", [make_pipe, link_to("/dev/zero"), link_to("x.png"), link_to("gone")])
def test_what_is_no_file_is_not_opened(tmp_path, monkeypatch, source, make):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cohort").mkdir()
    make(tmp_path / "cohort" / "x.png")
    (tmp_path / "labels.csv").write_text("file,PatientID,label\nx.png,p,A\n")
    with pytest.raises(CohortError, match="not used: file_missing 1"):
        read_cohort(CohortParams(source=source, folder="cohort", labels="labels.csv", workers=1))


def test_an_empty_number_column_beside_a_filled_one_where_commas_are_decimal(tmp_path, monkeypatch):
    """Numbers with commas in one row, none in the other: the empty cell stays empty."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cohort").mkdir()
    for name in "ab":
        np.save(tmp_path / "cohort" / name, np.zeros(1))
    (tmp_path / "labels.csv").write_text("file;PatientID;label;mm_per_px\na.npy;p;A;0,5\nb.npy;q;B;\n")
    with pytest.raises(CohortError, match="not_image 2"):
        read_cohort(CohortParams(source="images", folder="cohort", labels="labels.csv", workers=1))
