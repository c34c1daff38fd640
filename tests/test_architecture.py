"""Who may import what, checked by import-linter, and by rules that its contracts cannot say."""

import ast
from pathlib import Path

import pytest
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

SOURCE = Path(__file__).parents[1] / "src" / "helpers"
MODULES = sorted(SOURCE.rglob("*.py"))


class Imports(ast.NodeVisitor):
    """Collects the modules that are imported anywhere, also inside functions, but not for type checkers only."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def visit_If(self, node: ast.If) -> None:
        if "TYPE_CHECKING" not in ast.unparse(node.test):
            self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> None:
        self.names |= {alias.name for alias in node.names}

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        self.names.add(node.module or "")


def imported(path: Path) -> set[str]:
    """Top-level packages that a module imports."""
    imports = Imports()
    imports.visit(ast.parse(path.read_text(encoding="utf-8")))
    return {name.partition(".")[0] for name in imports.names}


def test_import_contracts_hold(monkeypatch, capsys):
    monkeypatch.chdir(SOURCE.parents[1])
    status = lint_imports(cache_dir=None)
    assert status == EXIT_STATUS_SUCCESS, capsys.readouterr().out


@pytest.mark.parametrize(
    ("packages", "rooms", "modules"),
    [
        ({"matplotlib", "seaborn"}, None, {"plots"}),
        ({"pydicom", "highdicom"}, {"cohort", "phantom"}, None),
        ({"torch", "torchvision", "captum"}, {"training", "error_analysis"}, None),
    ],
    ids=["plots", "dicom", "torch"],
)
def test_heavy_packages_stay_in_their_rooms(packages, rooms, modules):
    strangers = [
        path.relative_to(SOURCE).as_posix()
        for path in MODULES
        if packages & imported(path)
        and not (rooms and path.relative_to(SOURCE).parts[0] in rooms)
        and not (modules and path.stem in modules)
    ]
    assert not strangers


def test_modules_have_domain_names():
    assert not {"utils", "util", "common", "misc", "helper", "tools"} & {path.stem for path in MODULES}


def test_every_module_says_what_it_is_for():
    assert all(ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) for path in MODULES)


def test_every_module_has_a_test_file_of_the_same_name():
    tests = SOURCE.parents[1] / "tests"
    expected = [path.relative_to(SOURCE) for path in MODULES if path.stem != "__init__"]
    missing = [path.as_posix() for path in expected if not (tests / path.parent / f"test_{path.name}").is_file()]
    assert not missing
