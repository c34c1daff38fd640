"""A small simulated cohort, built once for all tests of this package."""

import pytest

from helpers.phantom import PhantomSpec, simulate_cohort


@pytest.fixture(scope="session")
def small_spec():
    return PhantomSpec(images={"A": 10, "B": 10, "C": 8}, patients=13, seed=7)


@pytest.fixture(scope="session")
def small_cohort(small_spec, tmp_path_factory):
    return simulate_cohort(small_spec, tmp_path_factory.mktemp("phantom"), workers=1)
