import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.error_analysis import cached_cohorts, describe_shown, most_disputed

NAMES = {"A": "compression", "C": "normal"}
SCORES = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=30)


def table_of(pairs):
    """Scores of one cohort, called a fracture from one half on."""
    table = pd.DataFrame(pairs, columns=["score", "is_fracture"])
    ids = [f"s{number}" for number in range(len(pairs))]
    return table.assign(
        sample_id=ids, label=table["is_fracture"].map({True: "A", False: "C"}), called=table.score >= 0.5
    )


@given(pairs=SCORES, n=st.integers(1, 30))
def test_no_sample_left_out_is_more_disputed_than_one_shown(pairs, n):
    table = table_of(pairs)
    shown = most_disputed(table, n=n)
    assert len(shown) == min(n, len(table))
    assert shown["score"].is_monotonic_decreasing
    distances = sorted((abs(score - is_fracture) for score, is_fracture in pairs), reverse=True)
    of_shown = (shown["score"] - shown["is_fracture"]).abs().sort_values(ascending=False)
    assert of_shown.tolist() == pytest.approx(distances[:n])


def test_words_say_whether_some_are_left_out():
    table = table_of([(0.9, True), (0.6, False), (0.1, False)])
    everything = describe_shown(table, n_samples=3, class_names=NAMES)
    assert everything == (
        "all 3 samples, the highest score first; 2 of them are called a fracture (A compression, C normal)"
    )
    some = describe_shown(most_disputed(table, n=2), n_samples=3, class_names={"C": "normal"})
    assert some.startswith("the 2 of 3 samples whose score and label disagree most, ")


def test_labels_without_a_name_need_no_key():
    table = table_of([(0.9, True)]).assign(label="fracture")
    assert describe_shown(table, n_samples=1, class_names=NAMES).endswith("called a fracture")


class Stored:
    """Two external cohorts as a run gives them back; rows of the index are not in the order of the images."""

    index = pd.DataFrame({"cohort": ["x", "x", "y"], "sample_id": ["s1", "s0", "s0"], "row": [1, 0, 0]})
    people = pd.DataFrame({"cohort": ["y", "x", "x"], "sample_id": ["s0", "s0", "s1"], "PatientID": ["q", "p0", "p1"]})

    def read_table(self, name):
        return {"external_index": self.index, "external": self.people}[name]

    def read_array(self, name):
        return np.full((2, 4, 4), name == "external_images/x.npy")


def test_cached_images_come_with_their_patients_in_order():
    found = cached_cohorts(["x"], run=Stored())
    images, patients = found["x"]
    assert images.all()
    assert patients.tolist() == ["p0", "p1"]
    assert cached_cohorts([], run=None) == {}
