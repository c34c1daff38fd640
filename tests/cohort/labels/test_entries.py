import pytest

from helpers.cohort.exclusions import NotUsable, Reason
from helpers.cohort.labels.entries import Entry, class_key, parse_entry, without_conflicts
from helpers.cohort.labels.labels_table import STUDY_COLUMNS
from helpers.cohort.picture import View, series_key
from helpers.study import CohortParams

PARAMS = CohortParams(class_names={"A": "compression", "B": "burst"}, normal_class=None)


def parse(exists=lambda name: True, **cells):
    row = dict.fromkeys(STUDY_COLUMNS) | {"file": "a.png", "PatientID": "1"} | cells
    return parse_entry(row, line=2, label="A", exists=exists)


def entry(line=2, label="A", patient="1", source="a.png", box=None, level=None, **place):
    return Entry(line=line, view=View(source, **place), patient=patient, label=label, box=box, level=level)


def test_a_good_row_becomes_an_entry():
    found = parse(level="L1", x0="1", y0="2", x1="3.5", y1="4", mm_per_px="0.4", slice_index="7", site="north")
    assert (found.line, found.patient, found.label, found.level) == (2, "1", "A", "L1")
    assert found.box == (1, 2, 3.5, 4)
    assert (found.mm_per_px, found.view.slice_index, found.facts) == (0.4, 7, {"site": "north"})


def test_heights_are_numbers_or_refused():
    assert parse(anterior_ratio="0.75", posterior_ratio="1").facts == {"anterior_ratio": 0.75, "posterior_ratio": 1.0}
    with pytest.raises(NotUsable, match="bad_number: middle_ratio 'low' is not a number"):
        parse(middle_ratio="low")


@pytest.mark.parametrize(
    ("columns", "unit"),
    [
        (("center_x_mm", "center_y_mm", "center_z_mm"), "mm"),
        (("center_column", "center_row", "center_slice"), "voxel"),
    ],
)
def test_a_centre_in_space_has_its_unit(columns, unit):
    found = parse(**dict(zip(columns, ("1", "-2", "3.5"), strict=True)))
    assert (found.view.center, found.view.center_unit) == ((1, -2, 3.5), unit)
    with pytest.raises(NotUsable, match=f"bad_number: some of {columns[0]}"):
        parse(**{columns[0]: "1"})


def test_a_series_is_named_without_its_uid():
    found = parse(SeriesInstanceUID="1.2.3")
    assert found.view.series == series_key("1.2.3")
    assert "1.2.3" not in found.key


def test_windows_paths_and_folders_are_understood():
    assert parse(file=".\\series\\").view.source == "series"


@pytest.mark.parametrize(
    ("cells", "reason", "words"),
    [
        ({"file": None}, Reason.FILE_MISSING, "no file is named"),
        ({"file": "../a.png"}, Reason.PATH_ESCAPES_FOLDER, "leads out"),
        ({"file": "series/../../x.png"}, Reason.PATH_ESCAPES_FOLDER, "leads out"),
        ({"file": "/etc/hosts"}, Reason.PATH_ESCAPES_FOLDER, "leads out"),
        ({"file": "C:\\a.png"}, Reason.PATH_ESCAPES_FOLDER, "leads out"),
        ({"mm_per_px": "0,4"}, Reason.BAD_NUMBER, "mm_per_px '0,4' is not a number; write a decimal point$"),
        ({"x0": "left"}, Reason.BAD_NUMBER, "x0 'left' is not a number$"),
        ({"mm_per_px": "-1"}, Reason.BAD_NUMBER, "not positive"),
        ({"mm_per_px": "inf"}, Reason.BAD_NUMBER, "not a number"),
        ({"slice_index": "1.5"}, Reason.BAD_NUMBER, "whole number"),
        ({"x0": "1"}, Reason.BAD_BOX, "some of"),
        ({"x0": "5", "y0": "1", "x1": "5", "y1": "9"}, Reason.BAD_BOX, "no area"),
    ],
)
def test_a_bad_cell_has_its_reason(cells, reason, words):
    with pytest.raises(NotUsable, match=words) as found:
        parse(**cells)
    assert found.value.reason is reason


@pytest.mark.parametrize("error", [OSError("name too long"), ValueError("embedded null byte")])
def test_a_name_that_no_file_can_have_does_not_exist(error):
    def exists(name):
        raise error

    with pytest.raises(NotUsable, match="does not exist"):
        parse(exists=exists)


@pytest.mark.parametrize(
    ("label", "key"),
    [("A", "A"), ("b", "B"), ("1", "B"), ("1.0", "B"), ("2.0", "A"), ("Burst", "B"), ("compression", "A")],
)
def test_a_label_is_mapped_or_is_the_key_or_name_of_a_class(label, key):
    params = PARAMS.model_copy(update={"label_values": {"1": "B", "2.0": "A"}})
    assert class_key(label, params) == key


def test_what_the_parameters_map_goes_before_the_names_of_classes():
    assert class_key("burst", PARAMS.model_copy(update={"label_values": {"burst": "A"}})) == "A"


@pytest.mark.parametrize(
    ("label", "reason"), [(None, Reason.MISSING_LABEL), ("Z", Reason.UNKNOWN_LABEL), ("1.5", Reason.UNKNOWN_LABEL)]
)
def test_a_label_that_is_no_class_is_refused(label, reason):
    with pytest.raises(NotUsable) as found:
        class_key(label, PARAMS)
    assert found.value.reason is reason


def test_a_repeated_row_is_used_once():
    kept, dropped = without_conflicts([entry(), entry(line=3)])
    assert [item.line for item in kept] == [2]
    assert [(item.reason, item.detail) for item in dropped] == [(Reason.DUPLICATE_ROW, "row 3: repeats row 2")]


def test_an_image_with_two_labels_is_not_used_at_all():
    kept, dropped = without_conflicts([entry(), entry(line=3, label="B"), entry(line=4)])
    assert kept == []
    assert [item.reason for item in dropped] == [Reason.LABEL_CONFLICT] * 3


def test_two_boxes_of_one_image_may_differ_in_label():
    kept, dropped = without_conflicts([entry(box=(0, 0, 5, 5)), entry(line=3, label="B", box=(0, 0, 5, 9))])
    assert len(kept) == 2
    assert dropped == []


@pytest.mark.parametrize("labels", ["AA", "AB"])
@pytest.mark.parametrize(("is_series", "what"), [(True, "series"), (False, "image")])
def test_vertebrae_without_a_place_are_no_conflict_of_labels(labels, is_series, what):
    rows = [
        entry(line=line, label=label, level=level)
        for line, label, level in zip((2, 3), labels, ("L1", "L2"), strict=True)
    ]
    kept, dropped = without_conflicts(rows, is_series=lambda source: is_series)
    assert kept == []
    assert [item.reason for item in dropped] == [Reason.NO_CENTER] * 2
    assert dropped[1].detail == f"row 3: several vertebrae of one {what} cannot be told apart (rows 2, 3)"


def test_a_series_of_several_labels_lacks_places():
    rows = [entry(source="series"), entry(source="series", line=3, label="B"), entry(), entry(line=5, label="B")]
    _, dropped = without_conflicts(rows, is_series="series".__eq__)
    assert [item.reason for item in dropped] == [Reason.NO_CENTER] * 2 + [Reason.LABEL_CONFLICT] * 2


@pytest.mark.parametrize(
    "place",
    [{"level": "L1"}, {"slice_index": 4}, {"center": (1, 2, 3), "center_unit": "mm"}, {"box": (0, 0, 5, 5)}],
)
def test_one_vertebra_of_a_series_with_two_labels_is_a_conflict(place):
    rows = [entry(**place), entry(line=3, label="B", **place)]
    assert [item.reason for item in without_conflicts(rows, is_series=bool)[1]] == [Reason.LABEL_CONFLICT] * 2


def test_a_series_that_is_named_twice_alike_is_used_once():
    kept, dropped = without_conflicts([entry(level="L1"), entry(line=3, level="l1")], is_series=bool)
    assert ([item.line for item in kept], [item.reason for item in dropped]) == ([2], [Reason.DUPLICATE_ROW])


def test_a_file_of_two_patients_is_not_used():
    others = [entry(box=(1, 0, 5, 5), patient="2"), entry(source="b.png"), entry(box=(0, 0, 5, 5))]
    kept, dropped = without_conflicts(others)
    assert [item.view.source for item in kept] == ["b.png"]
    assert [item.reason for item in dropped] == [Reason.PATIENT_CONFLICT] * 2


def test_series_of_two_patients_may_lie_in_one_folder():
    one, other = (
        Entry(line=line, view=View("export", series=series_key(uid)), patient=patient, label="A")
        for line, uid, patient in ((2, "1.2.3", "1"), (3, "1.2.4", "2"))
    )
    assert without_conflicts([one, other]) == ([one, other], [])
    same = Entry(line=4, view=one.view, patient="2", label="A")
    assert [item.reason for item in without_conflicts([one, same])[1]] == [Reason.PATIENT_CONFLICT] * 2
