import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.cohort.exclusions import NotUsable, Reason
from helpers.cohort.labels.readers import adjudicate, read_keys, reading_table
from helpers.study import CohortParams

PARAMS = CohortParams(
    class_names={"A": "compression", "B": "burst"}, normal_class=None, label_values={"1": "A"}, readers=["Dr X", "Dr Y"]
)


@pytest.mark.parametrize(
    ("readings", "rule", "label"),
    [
        (["A", "B", "B"], "majority", "B"),
        (["A", None, None], "majority", "A"),
        (["A", "A", None], "unanimous", "A"),
        (["B", "A", "A"], "first", "B"),
        ([None, "A", "B"], "first", "A"),
    ],
)
def test_a_rule_gives_one_label(readings, rule, label):
    assert adjudicate(readings, rule=rule) == label


@pytest.mark.parametrize(
    ("readings", "rule", "reason"),
    [
        (["A", "B"], "majority", Reason.READERS_DISAGREE),
        (["A", "A", "B", "C"], "majority", Reason.READERS_DISAGREE),
        (["A", "A", "B"], "unanimous", Reason.READERS_DISAGREE),
        ([None, None], "majority", Reason.MISSING_LABEL),
        ([None], "first", Reason.MISSING_LABEL),
    ],
)
def test_a_rule_may_leave_no_label(readings, rule, reason):
    with pytest.raises(NotUsable) as found:
        adjudicate(readings, rule=rule)
    assert found.value.reason is reason


def test_disagreement_is_counted_in_words():
    with pytest.raises(NotUsable, match="no majority label among 4 readers: A 2, B 1, C 1"):
        adjudicate(["C", "A", "B", "A"], rule="majority")


@given(readings=st.lists(st.sampled_from("ABC"), min_size=1, max_size=7))
def test_a_majority_does_not_depend_on_the_order_of_readers(readings):
    def outcome(votes):
        try:
            return adjudicate(votes, rule="majority")
        except NotUsable as finding:
            return finding.reason

    found = outcome(readings)
    assert found == outcome(readings[::-1]) == outcome(sorted(readings))
    expected = [key for key in "ABC" if 2 * readings.count(key) > len(readings)]
    assert found == (expected[0] if expected else Reason.READERS_DISAGREE)


def test_readings_are_mapped_and_an_unknown_one_names_its_reader():
    assert read_keys({"Dr X": "1", "Dr Y": None}, params=PARAMS) == ["A", None]
    with pytest.raises(NotUsable, match="reader 2: label 'Z' is not one of A, B") as found:
        read_keys({"Dr X": "A", "Dr Y": "Z"}, params=PARAMS)
    assert found.value.reason is Reason.UNKNOWN_LABEL


def test_the_table_of_readings_names_neither_readers_nor_patients():
    rows = [
        {"file": "a", "PatientID": "Smith", "Dr X": "A", "Dr Y": "B"},
        {"file": "b", "PatientID": "Smith", "Dr X": "B", "Dr Y": None},
        {"file": None, "PatientID": "Jones", "Dr X": "B", "Dr Y": "B"},
        {"file": "c", "PatientID": None, "Dr X": "A", "Dr Y": "A"},
        {"file": "d", "PatientID": None, "Dr X": "A", "Dr Y": "Z"},
    ]
    table = reading_table(rows, params=PARAMS)
    assert table.columns.tolist() == ["group", "reader_1", "reader_2"]
    assert table.to_numpy().tolist() == [[0, "A", "B"], [0, "B", None], [1, "A", "A"]]


def test_without_readers_there_is_no_table():
    assert reading_table([{"file": "a", "PatientID": "1"}], params=CohortParams()).empty
