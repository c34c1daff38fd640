import csv

import numpy as np
import pytest

from helpers.cohort.exclusions import CohortError, Reason
from helpers.cohort.reading import load_pixels, read_cohort
from helpers.cohort.sources.rsna import NORMAL_SLICES, Rsna, evenly_spaced
from helpers.study import CohortParams

PLAIN = {"fracture": "fracture", "normal": "no fracture"}


def write_table(path, rows):
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(dict.fromkeys(column for row in rows for column in row)))
        writer.writeheader()
        writer.writerows(rows)


def study(uid, overall, **levels):
    return {"StudyInstanceUID": uid, "patient_overall": overall} | {f"C{n}": 0 for n in range(1, 8)} | levels


def box(uid, number, *, x=2.0, y=3.0, width=4.0, height=5.0):
    return {"StudyInstanceUID": uid, "x": x, "y": y, "width": width, "height": height, "slice_number": number}


@pytest.fixture
def write_rsna(folder, write_ct):
    """write_rsna(studies, boxes, slices={uid: numbers}) writes the folder of the challenge, without any Modality."""

    def write(studies, boxes, *, slices):
        write_table(folder / "train.csv", studies)
        write_table(folder / "train_bounding_boxes.csv", boxes)
        for uid, numbers in slices.items():
            for number in numbers:
                path = folder / "train_images" / uid / f"{number}.dcm"
                write_ct(path, Modality=None, PatientID=uid, StudyInstanceUID=uid, SeriesInstanceUID=f"{uid}.1")

    return write


@pytest.fixture
def params():
    return CohortParams(
        source="rsna", folder="cohort", class_names=PLAIN, normal_class="normal", pseudonymise=False, workers=1
    )


@pytest.fixture
def two_studies(write_rsna):
    """Study 1.1 has a fracture of C2 on slices 4 and 5 of 20, study 1.2 none on its 30."""
    boxes = [box("1.1", 4), box("1.1", 5, x=0.5, width=2), box("1.1", 5, x=3, y=4, width=6, height=6)]
    write_rsna([study("1.1", 1, C2=1), study("1.2", 0)], boxes, slices={"1.1": range(1, 21), "1.2": range(1, 31)})


def test_slices_with_a_box_are_fractures_and_some_of_a_normal_study_are_normal(two_studies, params):
    table = read_cohort(params).table
    assert table["label"].value_counts().to_dict() == {"normal": NORMAL_SLICES, "fracture": 2}
    fractures = table[table["label"] == "fracture"].sort_values("source")
    assert fractures["source"].to_list() == ["train_images/1.1/4.dcm", "train_images/1.1/5.dcm"]
    assert fractures[["center_row_px", "center_col_px"]].to_numpy().tolist() == [[5.5, 4.0], [7.0, 6.0]]
    assert (fractures["level"].to_list(), table["PatientID"].nunique()) == (["C2", "C2"], 2)
    normal = table[table["label"] == "normal"]
    assert set(normal["source"]) == {f"train_images/1.2/{n}.dcm" for n in (3, 7, 11, 16, 20, 24, 28)}
    assert normal[["center_row_px", "center_col_px"]].drop_duplicates().to_numpy().tolist() == [[5.5, 4.5]]
    assert table["StudyInstanceUID"].notna().all()


def test_every_slice_is_accounted_for(two_studies, params, folder):
    (folder / "readme.txt").write_text("text")
    cohort = read_cohort(params)
    reasons = cohort.exclusions["reason"].value_counts().to_dict()
    # One of the boxes on slice 5 is smaller than the other.
    assert reasons == {Reason.SLICE_NOT_SAMPLED: 50 - 2 - NORMAL_SLICES, Reason.DUPLICATE_ROW: 1, Reason.NOT_DICOM: 1}
    detail = cohort.exclusions.set_index("reason")["detail"][Reason.DUPLICATE_ROW]
    assert detail == "train_bounding_boxes.csv row 3: a larger box of the same slice is in row 4"


def test_pixels_can_be_read_again(two_studies, params):
    cohort = read_cohort(params)
    sample = cohort.table.to_dict("records")[0]
    assert load_pixels(sample, source=cohort.source).shape == (12, 10)


def test_classes_follow_the_parameters(two_studies, params):
    update = {"class_names": {"F": "fracture", "C": "intact"}, "label_values": {"fracture": "F", "normal": "C"}}
    assert set(read_cohort(params.model_copy(update=update)).table["label"]) == {"F", "C"}
    unmapped = update | {"label_values": {"fracture": "F"}}
    with pytest.raises(CohortError, match=r"no sample of class C .*unknown_label 1"):
        read_cohort(params.model_copy(update=unmapped))


def test_the_level_is_told_where_there_is_one(write_rsna, params):
    studies = [study("1.1", 1, C2=1, C5=1), study("1.2", 0)]
    write_rsna(studies, [box("1.1", 1)], slices={"1.1": [1], "1.2": [1]})
    assert read_cohort(params).table["level"].isna().all()


def test_single_slices_have_no_neighbouring_planes(two_studies, params):
    with pytest.raises(CohortError, match="not_a_volume 9"):
        read_cohort(params.model_copy(update={"n_planes": 3}))


GOOD = [study("1.8", 1, C1=1), study("1.9", 0)]
DEFECTS = {
    "fracture without box": ([study("1.1", 1)], [], Reason.NO_BOX),
    "box in a normal study": ([study("1.1", 0)], [box("1.1", 1)], Reason.LABEL_CONFLICT),
    "two rows that differ": ([study("1.1", 0), study("1.1", 1)], [], Reason.LABEL_CONFLICT),
    "repeated row": ([study("1.1", 0), study("1.1", 0)], [], Reason.DUPLICATE_ROW),
    "no label": ([study("1.1", "")], [], Reason.MISSING_LABEL),
    "unknown label": ([study("1.1", 2)], [], Reason.UNKNOWN_LABEL),
    "no images": ([study("1.7", 0)], [], Reason.FILE_MISSING),
    "study that leads out": ([study("../1.1", 0)], [], Reason.FILE_MISSING),
    "study without name": ([study("", 0)], [], Reason.FILE_MISSING),
    "box of an unknown study": ([], [box("1.7", 1)], Reason.MISSING_LABEL),
    "box on a missing slice": ([study("1.1", 1)], [box("1.1", 99)], Reason.FILE_MISSING),
    "box without a number": ([study("1.1", 1)], [box("1.1", 1, x="left")], Reason.BAD_NUMBER),
    "box without slice": ([study("1.1", 1)], [box("1.1", "")], Reason.BAD_NUMBER),
    "box between slices": ([study("1.1", 1)], [box("1.1", 1.5)], Reason.BAD_NUMBER),
    "box without area": ([study("1.1", 1)], [box("1.1", 1, width=0)], Reason.BAD_BOX),
    "box outside the slice": ([study("1.1", 1)], [box("1.1", 1, width=500)], Reason.BOX_OUTSIDE_IMAGE),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defect_of_the_tables_is_told_and_costs_nothing_else(write_rsna, params, defect):
    studies, boxes, reason = DEFECTS[defect]
    write_rsna([*GOOD, *studies], [box("1.8", 1), *boxes], slices={uid: [1, 2] for uid in ("1.1", "1.8", "1.9")})
    cohort = read_cohort(params)
    told = cohort.exclusions[~cohort.exclusions["reason"].isin([Reason.SLICE_NOT_SAMPLED, Reason.UNLABELLED_FILE])]
    assert set(told["reason"]) == {reason}
    assert told["detail"].str.contains("row").all()
    good = cohort.table["source"].str.contains("1[.][89]", regex=True)
    assert good.sum() == 3


def test_slices_of_a_study_without_a_row_are_unlabelled(write_rsna, params):
    write_rsna(GOOD, [box("1.8", 1)], slices={"1.1": [1], "1.8": [1], "1.9": [1]})
    told = read_cohort(params).exclusions.set_index("source")["reason"]
    assert told.to_dict() == {"train_images/1.1/1.dcm": Reason.UNLABELLED_FILE}


def test_a_table_that_lacks_a_column_is_refused(write_rsna, params, folder):
    write_rsna([{"StudyInstanceUID": "1", "overall": 0}], [box("1", 1)], slices={})
    with pytest.raises(CohortError, match=r"train\.csv: no column 'patient_overall' \(nearest: 'overall'\)"):
        Rsna(folder, None, params).labelled()


@pytest.mark.parametrize(("length", "count"), [(300, 7), (8, 7), (7, 7), (3, 7), (0, 7)])
def test_slices_are_evenly_spaced_and_leave_out_the_ends(length, count):
    chosen = evenly_spaced(range(length), count=count)
    assert len(chosen) == len(set(chosen)) == min(length, count)
    if length > 2 * count:
        assert np.ptp(np.diff(chosen)) <= 1
        assert chosen[0] + 1 == pytest.approx(length - chosen[-1], abs=1)
