import re

import pandas as pd
import pytest

from helpers.runs.side import RunMismatch, open_side, require_same_classes
from helpers.study import ArtefactError

CLASSES = {"class_names": {"A": "crush", "B": "burst", "C": "normal"}, "normal_class": "C"}


def test_a_run_is_read_with_one_answer_for_each_sample(two_runs):
    side = open_side(two_runs[0])
    assert side.name == "first"
    assert side.answers["sample_id"].is_unique
    assert len(side.answers) == len(side.cohort)


@pytest.mark.parametrize("name", ["metrics.json", "predictions.parquet", "cohort.parquet"])
def test_a_run_without_a_needed_file_says_which(make_run, name):
    folder = make_run("partial")
    (folder / name).unlink()
    with pytest.raises(ArtefactError, match=re.escape(name)):
        open_side(folder)


def test_predictions_that_do_not_fit_the_parameters_are_refused(make_run):
    folder = make_run("odd")
    table = pd.read_parquet(folder / "predictions.parquet")
    table.drop(columns="logit_C").to_parquet(folder / "predictions.parquet")
    with pytest.raises(RunMismatch, match="logit_C"):
        open_side(folder)


def test_runs_with_other_classes_are_refused(two_runs, make_run):
    other = open_side(make_run("other", cohort=CLASSES))
    with pytest.raises(RunMismatch, match="first has A compression.*other has A crush"):
        require_same_classes(open_side(two_runs[0]), other)
