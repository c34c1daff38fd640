"""Named defects of labels tables, each planted in a clean cohort and read as a user would read it."""

import openpyxl
import pandas as pd
import pytest

from helpers.cohort import read_cohort
from helpers.cohort.exclusions import CohortError, Reason
from helpers.study import CohortParams

BAD = 4  # the place of the row that is spoilt: an A in p3


def changed(**cells):
    return lambda rows: [row | cells if place == BAD else row for place, row in enumerate(rows)]


def read_by(*votes):
    """Two readers who agree on every row but one."""

    def plant(rows):
        read = [row | {"r1": row["label"], "r2": row["label"]} for row in rows]
        return [
            row | dict(zip(("r1", "r2"), votes, strict=True)) if place == BAD else row for place, row in enumerate(read)
        ]

    return plant


BOX = {"x0": "1", "y0": "1", "x1": "5", "y1": "5"}

ROW_DEFECTS = {
    "no file is named": (changed(file=""), Reason.FILE_MISSING),
    "the file does not exist": (changed(file="gone.dcm"), Reason.FILE_MISSING),
    "a name longer than any file": (changed(file="x" * 5000), Reason.FILE_MISSING),
    "a path out of the folder": (changed(file="../labels.csv"), Reason.PATH_ESCAPES_FOLDER),
    "an absolute path": (changed(file="/etc/hosts"), Reason.PATH_ESCAPES_FOLDER),
    "a drive letter": (changed(file="D:\\p4\\image.dcm"), Reason.PATH_ESCAPES_FOLDER),
    "an empty label": (changed(label=" "), Reason.MISSING_LABEL),
    "a label of no class": (changed(label="A?"), Reason.UNKNOWN_LABEL),
    "an error of the spreadsheet": (changed(label="#N/A"), Reason.UNKNOWN_LABEL),
    "a decimal comma": (changed(mm_per_px="0,4"), Reason.BAD_NUMBER),
    "a size of nothing": (changed(mm_per_px="0"), Reason.BAD_NUMBER),
    "half a plane": (changed(slice_index="1.5"), Reason.BAD_NUMBER),
    "half a centre": (changed(center_x_mm="3"), Reason.BAD_NUMBER),
    "half a box": (changed(x0="1", x1="5"), Reason.BAD_BOX),
    "a box turned round": (changed(**BOX | {"x0": "7"}), Reason.BAD_BOX),
    "a box beyond the image": (changed(**BOX | {"x1": "700"}), Reason.BOX_OUTSIDE_IMAGE),
    "a row twice": (lambda rows: [*rows, rows[BAD]], Reason.DUPLICATE_ROW),
    "an image with two labels": (lambda rows: [*rows, rows[BAD] | {"label": "C"}], Reason.LABEL_CONFLICT),
    "a file of two patients": (
        lambda rows: [*rows, rows[BAD] | BOX | {"PatientID": "other"}],
        Reason.PATIENT_CONFLICT,
    ),
    "readers who disagree": (read_by("A", "B"), Reason.READERS_DISAGREE),
    "readers who say nothing": (read_by("", ""), Reason.MISSING_LABEL),
    "a reader's label of no class": (read_by("B", "b?"), Reason.UNKNOWN_LABEL),
}


@pytest.fixture
def params():
    return CohortParams(source="dicom", folder="cohort", labels="labels.csv", workers=1)


@pytest.mark.parametrize("name", ROW_DEFECTS)
def test_a_defect_of_a_row_has_its_reason_and_harms_no_other(clean_cohort, write_labels, params, name):
    plant, reason = ROW_DEFECTS[name]
    write_labels(plant(clean_cohort))
    if name.startswith(("readers", "a reader")):
        params = params.model_copy(update={"readers": ["r1", "r2"], "adjudication": "unanimous"})
    cohort = read_cohort(params)
    reasons = set(cohort.exclusions["reason"])
    assert reason in reasons
    # What the row would have named is left over, nothing else.
    assert reasons <= {reason, Reason.UNLABELLED_FILE}
    assert {clean_cohort[place]["file"] for place in range(9) if place != BAD} <= set(cohort.table["source"])


def as_text(content, encoding="utf-8"):
    return lambda rows, folder: (folder / "labels.csv").write_bytes(content.encode(encoding))


def table_of(rows, *, delimiter=",", end="\n"):
    return end.join(delimiter.join(cells) for cells in [rows[0].keys(), *(row.values() for row in rows)])


def as_workbook(*lines, name="labels.xlsx"):
    def plant(rows, folder):
        book = openpyxl.Workbook()
        for line in lines:
            book.active.append(line)
        book.save(folder / name)

    return plant


TABLE_DEFECTS = {
    "no table": (lambda rows, folder: None, "labels.csv", "no such labels table"),
    "an empty file": (as_text(""), "labels.csv", "names no column"),
    "a header only": (as_text("file,PatientID,label\n"), "labels.csv", "header but no row"),
    "blank rows only": (as_text("file,label\n,\n\n , \n"), "labels.csv", "header but no row"),
    "two columns of one name": (as_text("file,label,label \na,A,B\n"), "labels.csv", "two columns are called 'label'"),
    "no column of labels": (as_text("file,Label\na,A\n"), "labels.csv", "no column 'label'.*nearest: 'Label'"),
    "a comma within a cell": (as_text("file,label\na,A\nb,B,C\n"), "labels.csv", "row 3 has more cells"),
    "a quote that never ends": (as_text('file,label\n"a,A\nb,B\n'), "labels.csv", "not readable as a table"),
    "another encoding": (as_text("file,label\n\u00fc,A\n", "latin-1"), "labels.csv", "not UTF-8"),
    "a picture": (lambda rows, folder: (folder / "labels.csv").write_bytes(b"\x89PNG\r\n"), "labels.csv", "not UTF-8"),
    "an old workbook": (
        lambda rows, folder: (folder / "labels.xls").write_bytes(b"\xd0\xcf"),
        "labels.xls",
        "save it as",
    ),
    "a damaged workbook": (
        lambda rows, folder: (folder / "labels.xlsx").write_bytes(b"PK\x03\x04"),
        "labels.xlsx",
        "not readable as a table",
    ),
    "a title in a CSV file": (as_text("My patients\nfile,label\na,A\n"), "labels.csv", "without a title above"),
    "an empty sheet": (as_workbook(), "labels.xlsx", "not readable as a table"),
    "a title above the header": (
        as_workbook(["My patients"], ["file", "label"], ["a", "A"]),
        "labels.xlsx",
        "without a title above",
    ),
    "a formula never calculated": (
        as_workbook(["file", "label"], ["a", "=CHAR(65)"]),
        "labels.xlsx",
        "cell B2 is a formula",
    ),
    "a damaged parquet file": (
        lambda rows, folder: (folder / "labels.parquet").write_bytes(b"PAR1"),
        "labels.parquet",
        "not readable as a table",
    ),
    "no label is left": (as_text("file,label\np0/image.dcm,Z\n"), "labels.csv", "no usable sample.*unknown_label 1"),
}


@pytest.mark.parametrize("name", TABLE_DEFECTS)
def test_a_table_that_cannot_be_used_says_why(clean_cohort, tmp_path, params, name):
    plant, labels, words = TABLE_DEFECTS[name]
    (tmp_path / "labels.csv").unlink()
    plant(clean_cohort, tmp_path)
    with pytest.raises(CohortError, match=words) as found:
        read_cohort(params.model_copy(update={"labels": labels}))
    assert str(found.value).startswith(labels)


def write_merged(rows, folder):
    """A workbook in which the patient of two rows stands in one merged cell."""
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(list(rows[0]))
    for row in rows:
        sheet.append(list(row.values()))
    sheet["B3"].value = None
    sheet["B2"].value = "MRN0"
    sheet.merge_cells("B2:B3")
    book.save(folder / "labels.xlsx")


def numbered(rows):
    return pd.DataFrame(rows).assign(label=[float("ABC".index(row["label"])) for row in rows])


HABITS = {
    "semicolons": (as_text, lambda rows: table_of(rows, delimiter=";"), "utf-8"),
    "tabs and Windows line ends": (as_text, lambda rows: table_of(rows, delimiter="\t", end="\r\n"), "utf-8"),
    "a byte order mark": (as_text, table_of, "utf-8-sig"),
    "UTF-16": (as_text, table_of, "utf-16"),
    "the hint of a spreadsheet": (as_text, lambda rows: "sep=;\n" + table_of(rows, delimiter=";"), "utf-8"),
    "blank rows and spaces": (as_text, lambda rows: table_of(rows, delimiter=" ,\u00a0", end="\n,,\n\n"), "utf-8"),
}


@pytest.mark.parametrize("name", HABITS)
def test_habits_of_spreadsheets_lose_nothing(clean_cohort, tmp_path, params, name):
    write, make, encoding = HABITS[name]
    write(make(clean_cohort), encoding)(clean_cohort, tmp_path)
    cohort = read_cohort(params)
    assert len(cohort.table) == 9
    assert cohort.exclusions.empty
    assert cohort.table["label"].value_counts().to_dict() == {"A": 3, "B": 3, "C": 3}


def test_a_merged_cell_gives_its_patient_to_all_rows(clean_cohort, tmp_path, params):
    write_merged(clean_cohort, tmp_path)
    (tmp_path / "labels.csv").unlink()
    cohort = read_cohort(params.model_copy(update={"labels": "labels.xlsx"}))
    assert len(cohort.table) == 9
    assert cohort.table["PatientID"].nunique() == 8


@pytest.mark.parametrize("suffix", [".xlsx", ".parquet"])
def test_whole_numbers_stay_whole(clean_cohort, tmp_path, params, suffix):
    frame = numbered(clean_cohort)
    (tmp_path / "labels.csv").unlink()
    path = tmp_path / f"labels{suffix}"
    frame.to_excel(path, index=False) if suffix == ".xlsx" else frame.to_parquet(path)
    mapped = {"labels": path.name, "label_values": {"0": "A", "1": "B", "2": "C"}}
    assert len(read_cohort(params.model_copy(update=mapped)).table) == 9


def test_there_are_enough_defects():
    assert len(ROW_DEFECTS) + len(TABLE_DEFECTS) >= 30
