"""Boxes, steps and folds of the study flow."""

import pytest

from helpers.reporting.flow import study_flow
from helpers.reporting.record import read_run


def step(name, *, samples, excluded=None):
    return {"step": name, "n_files": 16, "n_samples": samples, "n_patients": None, "excluded": excluded or {}}


def count(fold, split, *, label, n_samples):
    return {"fold": fold, "label": label, "split": split, "n_samples": n_samples, "n_patients": 1}


@pytest.fixture
def flow_of(make_run, change_json):
    """flow_of(flow, counts, **sections): the flow of a run with this audit."""

    def made(*, flow, counts=(), **sections):
        folder = make_run(notebooks=0, **sections)
        change_json(folder / "audit.json", lambda audit: audit.update(flow=list(flow), counts=list(counts)))
        return study_flow(read_run(folder))

    return made


def test_boxes_are_the_ends_and_the_steps_that_leave_something_out(flow_of):
    steps = [
        step("files", samples=None),
        step("labelled", samples=9, excluded={"unlabelled_file": 1}),
        step("in order", samples=9),
        step("used", samples=9),
    ]
    flow = flow_of(flow=steps)
    assert [box.title for box in flow.boxes] == ["files", "labelled", "used"]
    assert [box.counts for box in flow.boxes] == [("16 files",), ("16 files", "9 images"), ("16 files", "9 images")]
    assert [box.excluded for box in flow.boxes] == [(), ("unlabelled file: 1",), ()]
    assert [found["step"] for found in flow.steps] == ["files", "labelled", "in order", "used"]


def test_folds_add_up_classes_and_shares_add_up_to_one(flow_of):
    counts = [
        count(1, "test", label="A", n_samples=2),
        count(0, "train", label="A", n_samples=5),
        count(0, "train", label="B", n_samples=1),
        count(0, "test", label="B", n_samples=2),
    ]
    first, second = flow_of(flow=[step("used", samples=8)], counts=counts).folds
    assert (first.number, first.images) == (0, {"train": 6, "validation": 0, "test": 2})
    assert second.images["test"] == 2
    assert sum(map(first.share, first.images)) == pytest.approx(1)


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("patient_kfold", "Divided by patient"),
        ("image_holdout", "Divided by image"),
        ("predefined", "as the labels say"),
    ],
)
def test_the_rule_of_division_is_that_of_the_parameters(flow_of, method, words):
    assert words in flow_of(flow=[step("used", samples=1)], splits={"split_method": method}).rule


def test_no_audit_no_flow(make_run):
    folder = make_run(notebooks=0)
    (folder / "audit.json").unlink()
    assert study_flow(read_run(folder)) is None
