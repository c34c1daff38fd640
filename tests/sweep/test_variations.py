import pytest

from helpers.study import ParameterError
from helpers.sweep.variations import load_sweep

ROWS = """
name: own
base: params/base.yaml
rows:
  first: {reason: as the base study has it}
  second: {%s}
"""


def test_rows_take_base_common_and_own_changes_in_this_order(project):
    sweep = load_sweep("tiny.yaml")
    reference, weaker = sweep.row("reference").study, sweep.row("weaker").study
    assert (reference.evaluation.n_bootstrap, reference.training.epochs) == (200, 4)
    assert weaker.training.epochs == 1
    assert weaker.model_copy(update={"training": reference.training, "study": reference.study}) == reference
    assert weaker.study.name == "weaker"


def test_rows_are_compared_with_the_first_unless_they_say_otherwise(project):
    sweep = load_sweep("tiny.yaml")
    assert [row.against for row in sweep.rows] == [None, "reference", "reference", "reference", "weaker"]


def test_changes_are_told_in_words_without_the_reason_of_a_leak(write_sweep_file):
    changes = "set: {splits.split_method: image_kfold, splits.intended_leakage: it is the question}"
    sweep = load_sweep(write_sweep_file(ROWS % f"{changes}, reason: optimism of images"))
    assert sweep.reference.changes_in_words == "nothing"
    assert sweep.row("second").changes_in_words == "splits.split_method: image_kfold"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("reason: too many, sett: {}", "rows.second.sett: unknown name; did you mean 'set'"),
        ("set: {training.epochs: 3}", "rows.second.reason: Field required"),
        ("set: {training.epoch: 3}, reason: a misspelt name", "row second: 1 problem.*training.epoch: .*'epochs'"),
        ("set: {training.epochs: no}, reason: a wrong type", "row second: 1 problem.*training.epochs: .*integer"),
        ("set: {trainng.epochs: 3}, reason: a wrong section", "row second: .*did you mean 'training'"),
        ("set: {epochs: 3}, reason: without a section", "row second: epochs: write it as section.name"),
        ("set: {study.name: x}, reason: the name is the row's", "row second: study.name: write it as section.name"),
        ("set: {external.x: 3}, reason: a list is no section", "row second: external.x: write it as section.name"),
        ("reason: nothing is changed here", "rows first and second have the same parameters"),
        ("reason: compared with nobody, against: third", "rows.second.against: 'third' is no other row; rows: first"),
        ("reason: compared with itself, against: second", "rows.second.against: 'second' is no other row"),
    ],
)
def test_problems_name_row_and_field(write_sweep_file, row, message):
    with pytest.raises(ParameterError, match=f"(?s){message}"):
        load_sweep(write_sweep_file(ROWS % row))


def test_problems_of_all_rows_are_listed_at_once(write_sweep_file):
    text = ROWS % "set: {training.epoch: 3}, reason: a misspelt name"
    text += "  third: {set: {training.dropout: 2}, reason: out of its range}\n"
    with pytest.raises(ParameterError, match=r"(?s)row second: .*row third: .*training\.dropout"):
        load_sweep(write_sweep_file(text))


def test_a_sweep_without_its_base_study_says_so(write_sweep_file):
    with pytest.raises(ParameterError, match=r"absent\.yaml: no such parameter file"):
        load_sweep(write_sweep_file((ROWS % "reason: any reason at all").replace("params/base", "absent")))


def test_unknown_row_names_the_known_ones(project):
    with pytest.raises(ParameterError, match="no row 'x'; rows: reference, weaker"):
        load_sweep("tiny.yaml").row("x")
