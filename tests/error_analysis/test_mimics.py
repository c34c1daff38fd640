from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from helpers.cohort.reading import read_cohort
from helpers.cohort.truth import read_truth
from helpers.error_analysis.mimics import mimics_of, simulated_mimics
from helpers.phantom import sample_patient
from helpers.phantom.body import SchmorlNode, Spur
from helpers.phantom.spine import Disc, Spine
from helpers.study import CohortParams


@pytest.fixture(scope="module")
def spine() -> Spine:
    """A spine without any degenerative change."""
    drawn = sample_patient(np.random.default_rng(0), patient_id="x", fractures={}).spine
    return Spine({level: bare(vertebra) for level, vertebra in drawn.vertebrae.items()})


def bare(vertebra):
    disc = replace(vertebra.disc, vacuum=False, sclerosis_hu=0.0)
    return replace(vertebra, disc=disc, shape=replace(vertebra.shape, spurs=(), nodes=()))


def changed(spine: Spine, level: str, *, disc: dict | None = None, **shape) -> Spine:
    old = spine.at(level)
    new = replace(old, disc=replace(old.disc, **(disc or {})), shape=replace(old.shape, **shape))
    return Spine({**spine.vertebrae, level: new})


def spur(length_mm: float) -> Spur:
    """A spur that begins two millimetres within the front and stands out from it by its length."""
    return Spur(((0.0, -14.0, 10.0), (0.0, -16.0 - length_mm, 10.0)), (2.0, 0.6), (0.25, 1.0))


def test_a_bare_spine_has_none(spine):
    assert isinstance(spine.at("L1").disc, Disc)
    assert all(mimics_of(spine, level=level) == [] for level in spine.vertebrae)


@pytest.mark.parametrize(("length_mm", "found"), [(1.9, []), (2.1, ["osteophyte"])])
def test_small_osteophytes_do_not_count(spine, length_mm, found):
    assert mimics_of(changed(spine, "L1", spurs=(spur(length_mm),)), level="L1") == found


def test_discs_above_and_below_count_and_others_do_not(spine):
    worn = changed(spine, "L1", disc={"vacuum": True, "sclerosis_hu": 100.0})
    expected = ["sclerotic end plate", "gas in a disc"]
    assert mimics_of(worn, level="L1") == mimics_of(worn, level="L2") == expected
    assert mimics_of(worn, level="T12") == mimics_of(worn, level="L3") == []


def test_a_schmorl_node_is_of_its_own_vertebra(spine):
    pressed = changed(spine, "L2", nodes=(SchmorlNode(True, (0.0, 0.0), 3.0, 2.0),))
    assert mimics_of(pressed, level="L2") == ["Schmorl node"]
    assert mimics_of(pressed, level="L1") == []


@pytest.mark.parametrize("levels", [None, ["T12", "L1", "L2", "L3", "L4"]])
def test_patients_are_those_of_the_cohort(tmp_path, monkeypatch, levels):
    """The spines drawn anew have the heights that the table of truth holds."""
    params = CohortParams(
        folder=str(tmp_path), phantom_images={"A": 2, "B": 1, "C": 1}, phantom_patients=3, phantom_levels=levels
    )
    cohort = read_cohort(params).table.sample(frac=1, random_state=0)
    truth = read_truth(cohort, params=params).table.set_index(cohort.index)
    heights = lambda spine, level: [f"{spine.at(level).shape.heights.anterior_mm:.2f}"]  # noqa: E731
    monkeypatch.setattr("helpers.error_analysis.mimics.mimics_of", heights)
    found = simulated_mimics(cohort, params=params)
    pd.testing.assert_series_equal(found, truth["anterior_height_mm"].map("{:.2f}".format), check_names=False)
