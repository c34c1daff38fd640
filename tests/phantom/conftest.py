"""A small simulated cohort, built once for all tests of this package, and a patient as the writers need one."""

from types import SimpleNamespace

import pytest

from helpers.phantom import PhantomSpec, simulate_cohort


@pytest.fixture(scope="session")
def small_spec():
    return PhantomSpec(images={"A": 10, "B": 10, "C": 8}, patients=13, seed=7)


@pytest.fixture(scope="session")
def small_cohort(small_spec, tmp_path_factory):
    return simulate_cohort(small_spec, tmp_path_factory.mktemp("phantom"), workers=1)


@pytest.fixture(scope="session")
def patient():
    settings = SimpleNamespace(
        manufacturer="SIM Aurora",
        model="Meridian 64",
        kernel="B30",
        kvp=120,
        exposure_mas=210,
        window=(400, 1600),
    )
    return SimpleNamespace(patient_id="SIM0042", age=61, sex="F", acquisition=settings)
