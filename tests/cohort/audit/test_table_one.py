import numpy as np
import pandas as pd
import pytest
from tableone import TableOne

from helpers.cohort.audit.table_one import smd_numbers, smd_texts, table_one, table_one_by_class, table_one_by_split


@pytest.fixture
def people():
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "PatientID": [f"p{number}" for number in range(90)],
            "group": np.repeat(["one", "other", "third"], 30),
            "PatientAge": [f"{age:03d}Y" for age in rng.integers(20, 90, 90)],
            "PatientSex": rng.choice(["F", "M"], 90),
            "ConvolutionKernel": rng.choice(list("abc"), 90),
            "KVP": rng.choice([80.0, 100.0, 120.0], 90),
        }
    )


def line(table, variable, level=None):
    rows = table[(table["variable"] == variable) & ((table["level"] == level) if level else True)]
    return rows.iloc[0]


def test_differences_are_those_of_tableone(people):
    ours = table_one(people, groups=["one", "other", "third"])
    data = people.assign(PatientAge=people["PatientAge"].str[:3].astype(float)).drop(columns="PatientID")
    theirs = TableOne(
        data,
        categorical=["PatientSex", "ConvolutionKernel"],
        continuous=["PatientAge", "KVP"],
        groupby="group",
        smd=True,
        missing=False,
    ).tableone
    theirs = theirs.droplevel(0, axis=1)
    pairs = [name for name in theirs if name.startswith("SMD")]
    names = {
        "age (years)": "PatientAge, mean (SD)",
        "sex": "PatientSex, n (%)",
        "kernel": "ConvolutionKernel, n (%)",
        "tube voltage (kV)": "KVP, mean (SD)",
    }
    for variable, name in names.items():
        expected = pd.to_numeric(theirs.loc[name, pairs].iloc[0]).abs().max()
        assert line(ours, variable)["smd"] == pytest.approx(expected, abs=0.001)


def test_known_differences():
    # Means one standard deviation apart; shares of 0.5 and 0.2 (Austin 2009, doi 10.1002/sim.3697, section 2).
    assert smd_numbers(pd.Series([0.0, 2.0]), pd.Series([2**0.5, 2 + 2**0.5])) == pytest.approx(1)
    one, other = pd.Series(list("xxxxxyyyyy")), pd.Series(list("xxyyyyyyyy"))
    assert smd_texts(one, other) == pytest.approx(0.3 / np.sqrt((0.25 + 0.16) / 2))
    assert np.isnan(smd_numbers(pd.Series([1.0, 1.0]), pd.Series([1.0, 1.0])))
    assert np.isnan(smd_texts(pd.Series(["x"]), pd.Series(["x"])))


def test_patients_are_counted_and_missing_values_shown():
    table = pd.DataFrame(
        {
            "PatientID": ["p", "p", "q", "r"],
            "group": ["one", "one", "one", "other"],
            "PatientAge": ["040Y", "040Y", "060Y", None],
            "PatientSex": ["F", "F", None, "M"],
        }
    )
    found = table_one(table, groups=["one", "other"])
    assert line(found, "images")[["one", "other", "all"]].tolist() == ["3", "1", "4"]
    assert line(found, "patients")[["one", "other", "all"]].tolist() == ["2", "1", "3"]
    assert line(found, "age (years)")[["one", "other", "all"]].tolist() == ["50 [45, 55]", "-", "50 [45, 55]"]
    assert line(found, "age (years)", "missing")[["one", "other"]].tolist() == ["0 (0.0%)", "1 (100.0%)"]
    assert line(found, "sex", "F")[["one", "other"]].tolist() == ["1 (50.0%)", "0 (0.0%)"]
    assert line(found, "sex", "missing")["all"] == "1 (33.3%)"


def test_many_levels_become_others(people):
    people["ConvolutionKernel"] = [f"k{number % 12:02d}" for number in range(90)]
    found = table_one(people, groups=["one", "other", "third"])
    kernels = found[found["variable"] == "kernel"]
    assert len(kernels) == 8
    assert kernels["level"].iloc[-1] == "other"
    assert sum(int(cell.split()[0]) for cell in kernels["all"]) == 90


def test_scanner_is_manufacturer_and_model(people):
    people["Manufacturer"], people["ManufacturerModelName"] = "ACME", [None] * 45 + ["Ray"] * 45
    levels = table_one(people, groups=["one"]).query("variable == 'scanner'")["level"]
    assert sorted(levels) == ["ACME", "ACME Ray"]
    people["Manufacturer"] = None
    people["ManufacturerModelName"] = None
    assert "scanner" not in set(table_one(people, groups=["one"])["variable"])


def test_both_directions_of_spacing_are_described(table, make_context):
    found = table_one_by_class(make_context(table.assign(column_spacing_mm=0.4)))
    assert line(found, "spacing between rows (mm)")["all"] == "0.5 [0.5, 0.5]"
    assert line(found, "spacing between columns (mm)")["all"] == "0.4 [0.4, 0.4]"


def test_columns_are_classes_or_splits_in_their_order(table, make_context):
    context = make_context(table)
    by_class = table_one_by_class(context)
    assert list(by_class.columns) == ["variable", "level", "compression", "burst", "normal", "all", "smd"]
    assert line(by_class, "patients")[["compression", "all"]].tolist() == ["25", "75"]
    by_split = table_one_by_split(context)
    assert list(by_split.columns) == ["variable", "level", "train", "validation", "test", "all", "smd"]
    assert line(by_split, "images")["all"] == "75"
