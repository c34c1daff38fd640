import numpy as np
import pytest

from helpers.cohort.audit import metadata_model
from helpers.cohort.audit.confounds import (
    ACQUISITION_COLUMNS,
    acquisition_columns,
    check_confounds,
    check_demographics,
    confound_table,
    metadata_table,
)
from helpers.study import CohortParams


@pytest.fixture(autouse=True)
def _small_forest(monkeypatch):
    monkeypatch.setattr(metadata_model, "TREES", 20)


@pytest.fixture
def scanned(table):
    """The faultless cohort, acquired on scanners that do not go with the classes."""
    rng = np.random.default_rng(0)
    return table.assign(
        Manufacturer=rng.choice(["ACME", "Umbrella"], len(table)),
        KVP=rng.choice([100.0, 120.0], len(table)),
        SliceThickness=rng.normal(1.5, 0.2, len(table)).round(2),
        PatientAge=[f"{age:03d}Y" for age in rng.integers(20, 90, len(table))],
        PatientSex=rng.choice(["F", "M"], len(table)),
    )


def test_columns_that_vary_are_tested(scanned):
    columns = acquisition_columns(scanned.assign(ConvolutionKernel="B60", site=None))
    assert {"Manufacturer", "KVP", "SliceThickness"} <= set(columns)
    assert not {"PatientAge", "PatientSex", "StudyInstanceUID", "ConvolutionKernel", "site"} & set(columns)


def test_a_clean_cohort_is_not_accused(scanned, make_context):
    context = make_context(scanned)
    assert check_confounds(context).status == "pass"
    assert check_demographics(context).status == "pass"
    assert (confound_table(context)["p_holm"] > 0.05).all()


def test_a_scanner_per_class_fails(scanned, make_context):
    scanned["Manufacturer"] = scanned["label"].map({"A": "ACME", "B": "Umbrella", "C": "Initech"})
    context = make_context(scanned)
    verdict = check_confounds(context)
    assert (verdict.status, verdict.found) == ("fail", 1)
    assert "manufacturer 1.00" in verdict.detail
    first = confound_table(context).iloc[0]
    assert (first["column"], first["kind"]) == ("Manufacturer", "text")
    models = metadata_table(context).set_index("model")
    assert models.loc["acquisition", "ci_low"] > 0.9
    assert models.loc["demographics", "ci_low"] < 0.55


def test_a_value_that_one_class_lacks_is_found(scanned, make_context):
    scanned.loc[scanned["label"] == "B", "KVP"] = np.nan
    context = make_context(scanned)
    assert check_confounds(context).status != "pass"
    first = confound_table(context).iloc[0]
    assert (first["column"], first["kind"], first["n_missing"]) == ("KVP", "missing", 25)
    assert "tube voltage (kV), missing or not, " in check_confounds(context).detail


def test_a_milder_link_warns(scanned, make_context):
    scanned["SliceThickness"] += 0.15 * (scanned["label"] == "A")
    verdict = check_confounds(make_context(scanned))
    assert verdict.status == "warn"
    assert "slice thickness (mm)" in verdict.detail


def test_age_that_tells_the_class_warns(scanned, make_context):
    scanned["PatientAge"] = scanned["label"].map({"A": "080Y", "B": "030Y", "C": "050Y"})
    context = make_context(scanned)
    verdict = check_demographics(context)
    assert verdict.status == "warn"
    assert "A model that sees age (years) and sex only" in verdict.detail
    assert "Associated with the class: age (years) " in verdict.detail
    assert check_confounds(context).status == "pass"


def test_images_of_one_patient_are_not_independent(scanned, make_context):
    """Ten copies of every image are no more evidence than one."""
    scanned.loc[scanned.index[:40], "KVP"] = 100.0
    many = scanned.loc[scanned.index.repeat(10)].assign(sample_id=[f"T{number:04d}" for number in range(750)])
    one, ten = (confound_table(make_context(table)) for table in (scanned, many))
    assert one.equals(ten)


def test_one_column_that_tells_the_class_fails_without_a_model(scanned, make_context):
    scanned["Manufacturer"] = scanned["label"].map({"A": "ACME", "B": "Umbrella", "C": "Initech"})
    few = scanned.head(18)  # six patients of each class
    context = make_context(few, n_folds=2)
    assert metadata_table(context).empty
    verdict = check_confounds(context)
    assert (verdict.status, verdict.found) == ("fail", 1)
    assert "could not be fitted: too few patients" in verdict.detail


def test_few_patients_without_a_link_are_untested(scanned, make_context):
    context = make_context(scanned.head(18), n_folds=2)
    for check in (check_confounds, check_demographics):
        assert check(context).status == "untested"
        assert check(context).detail.startswith("Too few patients: a model needs 10 of each class")


def test_rsna_places_samples_by_class(scanned, make_context):
    params = CohortParams(source="rsna")
    verdict = check_confounds(make_context(scanned, params=params))
    assert verdict.status == "warn"
    assert "Fractures are centred on their box and normal slices on the image" in verdict.detail
    scanned["Manufacturer"] = scanned["label"].map({"A": "ACME", "B": "Umbrella", "C": "Initech"})
    assert check_confounds(make_context(scanned, params=params)).status == "fail"


def test_constant_columns_test_nothing(table, make_context):
    context = make_context(table.assign(PatientSex="F", KVP=120.0))
    for check in (check_confounds, check_demographics):
        assert check(context).status == "untested"
        assert check(context).detail.startswith("Constant")


def test_nothing_known_is_nothing_told(table, make_context):
    bare = table.drop(columns=[*ACQUISITION_COLUMNS, "PatientAge", "PatientSex"], errors="ignore")
    context = make_context(bare)
    assert confound_table(context).empty
    assert metadata_table(context).empty
    for check in (check_confounds, check_demographics):
        assert check(context).status == "untested"
        assert check(context).detail.startswith("Unknown")
