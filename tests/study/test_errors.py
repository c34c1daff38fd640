import ast
import errno
import os
from pathlib import Path

import pytest

import helpers
from helpers.study.errors import REMEDIES, storage_fault

SOURCES = sorted(Path(helpers.__file__).parent.rglob("*.py"))


def own_errors() -> dict[str, set[str]]:
    """Names of the bases of every exception class of this project."""
    classes = {
        node.name: {ast.unparse(base) for base in node.bases}
        for file in SOURCES
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    }
    raised = {"Exception", "ValueError", "RuntimeError", "OSError", "StudyError"}
    while found := {name for name, bases in classes.items() if bases & raised} - raised:
        raised |= found
    return {name: bases for name, bases in classes.items() if name in raised}


def test_every_error_of_this_project_is_told_without_a_traceback():
    errors = own_errors()
    assert len(errors) > 10
    told = {"StudyError"}
    while found := {name for name, bases in errors.items() if bases & told} - told:
        told |= found
    assert set(errors) - told == {"NotUsable"}  # becomes a row of the exclusions


@pytest.mark.parametrize("number", sorted(REMEDIES))
def test_what_a_disk_refuses_is_told_with_place_and_way_out(number):
    told = storage_fault(OSError(number, os.strerror(number), "runs/default/metrics.json"))
    assert told.startswith(f"runs/default/metrics.json: {os.strerror(number)}; {REMEDIES[number]}. ")
    assert told.endswith("the same command goes on from here.")


def test_other_errors_of_the_system_are_faults_of_the_program():
    assert storage_fault(FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), "a")) is None
