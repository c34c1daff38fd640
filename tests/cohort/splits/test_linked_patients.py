import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.cohort.splits.linked_patients import linked_patients


def make_table(patients, **columns):
    return pd.DataFrame({"sample_id": [f"S{row}" for row in range(len(patients))], "PatientID": patients, **columns})


def test_without_links_everybody_stands_alone():
    table = make_table(["b", "a", "b"])
    assert linked_patients(table).tolist() == ["b", "a", "b"]


@pytest.mark.parametrize("column", ["StudyInstanceUID", "SeriesInstanceUID", "header_patient"])
def test_a_shared_study_series_or_header_name_links_and_a_missing_one_does_not(column):
    table = make_table(["d", "c", "b", "a"], **{column: ["U1", "U1", None, None]})
    assert linked_patients(table).tolist() == ["c", "c", "b", "a"]


def test_links_chain_over_studies_and_copies():
    table = make_table(["p", "q", "r", "s", "s"], StudyInstanceUID=["U1", "U1", "U2", "U3", "U4"])
    copies = pd.DataFrame({"sample_a": ["S4", "S1"], "sample_b": ["S2", "S2"]})
    assert set(linked_patients(table, copies=copies)) == {"p"}


def test_copies_of_another_cohort_link_nothing():
    copies = pd.DataFrame({"sample_a": ["S0"], "sample_b": ["X9"]})
    assert linked_patients(make_table(["p", "q"]), copies=copies).tolist() == ["p", "q"]


def test_the_index_of_the_table_is_kept():
    table = make_table(["p", "q", "p"]).iloc[::-1]
    assert linked_patients(table).to_dict() == {2: "p", 1: "q", 0: "p"}


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), min_size=1, max_size=15), st.data())
def test_groups_are_those_of_repeated_merging(rows, data):
    table = make_table([f"P{patient}" for patient, _ in rows], StudyInstanceUID=[f"U{study}" for _, study in rows])
    sample = st.sampled_from(table["sample_id"].tolist())
    pairs = data.draw(st.lists(st.tuples(sample, sample), max_size=5))
    groups = [set(table.index[table["sample_id"].isin(pair)]) for pair in pairs]
    for column in ("PatientID", "StudyInstanceUID"):
        groups += [set(rows_of) for rows_of in table.groupby(column).groups.values()]
    expected = {row: {row} for row in table.index}
    for _ in rows:
        for group in groups:
            merged = set().union(*(expected[row] for row in group))
            expected |= dict.fromkeys(merged, merged)
    found = linked_patients(table, copies=pd.DataFrame(pairs, columns=["sample_a", "sample_b"]))
    for row in table.index:
        assert set(found.index[found == found[row]]) == expected[row]
        assert found[row] == min(table.loc[list(expected[row]), "PatientID"])
