"""The page of licences is that of the packages that are pinned."""

import importlib.util
import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
ROW = re.compile(r"^\| (\**)([^ *]+)\** \| ([^|]+) \| [^|]+ \|$", re.MULTILINE)


@pytest.fixture(scope="module")
def licences():
    spec = importlib.util.spec_from_file_location("licences", REPOSITORY / "benchmarks" / "licences.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def rows() -> list[tuple[str, str, str]]:
    _, *found = ROW.findall((REPOSITORY / "docs" / "licences.md").read_text(encoding="utf-8"))
    return found


def test_every_pinned_package_is_listed(licences, rows):
    """Made again by `.venv/bin/python benchmarks/licences.py` after `make lock`."""
    assert {name: versions for _, name, versions in rows} == licences.pinned()


def test_what_the_project_asks_for_itself_is_bold(licences, rows):
    assert {name.lower() for bold, name, _ in rows if bold} == licences.direct_dependencies()
