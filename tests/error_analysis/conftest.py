"""A simulated cohort with truth, small enough for every test."""

import pytest

from helpers.cohort.reading import read_cohort
from helpers.cohort.truth import Truth, read_truth
from helpers.study import CohortParams


@pytest.fixture(scope="session")
def simulated(tmp_path_factory):
    """Cohort table of 18 images of 9 patients, and its truth."""
    params = CohortParams(
        folder=str(tmp_path_factory.mktemp("data")),
        phantom_images={"A": 6, "B": 6, "C": 6},
        phantom_patients=9,
        phantom_seed=1,
    )
    cohort = read_cohort(params).table
    return cohort, read_truth(cohort, params=params)


@pytest.fixture
def truth(simulated) -> Truth:
    return simulated[1]
