"""The package's docstring lists its modules in order; each may import only those before it."""

import ast
import re
from pathlib import Path

import pytest

import helpers.phantom

FOLDER = Path(helpers.phantom.__file__).parent
ORDER = [name for name in re.findall(r"`(\w+)`", helpers.phantom.__doc__) if (FOLDER / f"{name}.py").is_file()]


def imported(name):
    """Modules of the package that a module imports, anywhere in it."""
    tree = ast.parse((FOLDER / f"{name}.py").read_text(encoding="utf-8"))
    origins = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return {origin.removeprefix("helpers.phantom.") for origin in origins if origin.startswith("helpers.phantom")}


def test_every_module_has_its_place():
    assert sorted(ORDER) == sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "__init__")


@pytest.mark.parametrize("name", ORDER)
def test_a_module_builds_only_on_those_before_it(name):
    assert imported(name) <= set(ORDER[: ORDER.index(name)])
