"""A few inputs of the fuzzing benchmark for each entrance, and those that were crashes once."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

PATH = Path(__file__).parents[2] / "benchmarks" / "fuzzing.py"
INPUTS = 40


@pytest.fixture(scope="module")
def fuzzing():
    spec = importlib.util.spec_from_file_location("fuzzing", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


ENTRANCES = ("dicom", "image", "nifti", "centroids", "csv", "xlsx", "parquet", "zip", "yaml")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ENTRANCES)
def test_damaged_files_are_read_or_refused(fuzzing, tmp_path, name):
    entrance, tally = fuzzing.ENTRANCES[name], fuzzing.Tally()
    for number, path in fuzzing.inputs(entrance, tmp_path, seed=1, numbers=range(INPUTS)):
        fuzzing.try_one(entrance, path, tally, number=number)
    assert tally.crashes == []
    assert tally.inputs == INPUTS
    assert tally.refused > 0


def test_every_entrance_is_tested(fuzzing):
    assert set(fuzzing.ENTRANCES) == set(ENTRANCES)


@pytest.mark.parametrize("name", ENTRANCES)
def test_the_file_that_is_changed_is_faultless(fuzzing, tmp_path, name):
    entrance = fuzzing.ENTRANCES[name]
    for file, content in entrance.files(tmp_path).items():
        path = tmp_path / f"again_{file}" if name != "zip" else tmp_path / "apart" / file
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        entrance.read(path)


def test_an_input_is_known_by_its_seed_and_number(fuzzing, tmp_path):
    entrance = fuzzing.ENTRANCES["csv"]
    contents = [
        [path.read_bytes() for _, path in fuzzing.inputs(entrance, tmp_path, seed=seed, numbers=[5])]
        for seed in (0, 0, 1)
    ]
    assert contents[0] == contents[1] != contents[2]


def test_crashes_of_every_kind_are_counted(fuzzing, tmp_path):
    def fail(path):
        raise KeyError(path.name)

    tally = fuzzing.Tally()
    entrance = fuzzing.Entrance(dict, fail, lambda content, rng: content)
    fuzzing.try_one(entrance, tmp_path, tally, number=7)
    assert tally.crashes == [(7, f"KeyError: {str(tmp_path.name)!r}")]


@pytest.mark.parametrize("name", ["mutate_bytes", "mutate_text"])
def test_changes_change_something(fuzzing, name):
    content = b"file,label\na.dcm,A\n" * 5
    changed = [getattr(fuzzing, name)(content, np.random.default_rng(seed)) for seed in range(20)]
    assert sum(item != content for item in changed) >= 18
