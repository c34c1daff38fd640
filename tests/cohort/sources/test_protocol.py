"""Every kind of source keeps the protocol that the reading of a cohort relies on."""

import inspect
import pickle

import pytest

from helpers.cohort.exclusions import Reason
from helpers.cohort.sources import KINDS
from helpers.cohort.sources.protocol import Source
from helpers.study import CohortParams

METHODS = [name for name, member in vars(Source).items() if inspect.isfunction(member) and not name.startswith("_")]


@pytest.fixture(params=KINDS)
def source(request, tmp_path):
    params = CohortParams(source=request.param, labels="labels.csv")
    return KINDS[request.param](tmp_path, tmp_path / "labels.csv", params=params)


def test_methods_are_there_with_the_same_arguments(source):
    assert METHODS == ["files", "labelled", "read", "unnamed"]
    for name in METHODS:
        expected = list(inspect.signature(getattr(Source, name)).parameters)[1:]
        assert list(inspect.signature(getattr(source, name)).parameters) == expected


def test_attributes_say_where_files_lie_and_what_is_missing_without_a_scale(source, tmp_path):
    assert source.folder == tmp_path
    assert source.labels == tmp_path / "labels.csv"
    assert source.no_spacing in Reason
    assert source.params.source in KINDS


def test_it_can_be_sent_to_another_process(source):
    assert pickle.loads(pickle.dumps(source)) == source


def test_a_folder_without_files_has_none(source):
    assert source.files() == []
