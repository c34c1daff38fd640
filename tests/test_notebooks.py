"""The contract of the notebooks: what every one of them looks like, checked without running them."""

import ast
import inspect
import re
import sys
import typing
from pathlib import Path

import nbformat
import pytest
from papermill.inspection import inspect_notebook

from helpers.study import Study
from helpers.study.artefacts import ARTEFACTS
from helpers.study.display import show_figure, show_table
from helpers.study.stages import STAGES, Stage

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
MAX_LINES = 15
ALLOWED_PACKAGES = {"helpers", "pandas", "IPython"} | set(sys.stdlib_module_names)
WRITERS = ("write_table", "write_json", "write_text", "new_array", "output")
FORBIDDEN_NODES = (
    ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda, ast.Try, ast.TryStar, ast.While, ast.Global,
)  # fmt: skip


class Notebook:
    """A notebook file with its cells by kind."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.node = nbformat.read(path, as_version=4)
        self.markdown = [cell.source for cell in self.node.cells if cell.cell_type == "markdown"]
        self.code = [cell.source for cell in self.node.cells if cell.cell_type == "code"]

    @property
    def stage(self) -> Stage:
        return next(stage for stage in STAGES if stage.key == self.path.stem)

    @property
    def parameters(self) -> str:
        (source,) = (
            cell.source for cell in self.node.cells
            if cell.cell_type == "code" and "parameters" in cell.metadata.get("tags", [])
        )  # fmt: skip
        return source

    def tree(self) -> ast.Module:
        return ast.parse("\n".join(self.code))

    @property
    def sections(self) -> list[str]:
        return re.findall(r"^## +(.+)$", "\n".join(self.markdown), flags=re.MULTILINE)

    def calls(self) -> list[tuple[ast.Call, object]]:
        """Calls of imported functions, also of imported modules, each with the function."""
        known: dict[str, object] = {}
        exec(self.code[0], known)
        found = []
        for node in ast.walk(self.tree()):
            if isinstance(node, ast.Call) and (called := _resolved(node.func, known)) is not None:
                found.append((node, called))
        return found

    def table_row(self, name: str) -> list[str]:
        """Files named in the row `reads` or `writes`; a pattern stands for its folder."""
        (row,) = re.findall(rf"^\| *{name} *\|(.+)\|$", "\n".join(self.markdown), flags=re.MULTILINE)
        return [re.sub(r"\*.*", "", file) for file in re.findall(r"`([^`]+)`", row)]


def _resolved(expression: ast.expr, known: dict[str, object]) -> object | None:
    """What a name, or an attribute of a module, stands for; None where it is not imported."""
    if isinstance(expression, ast.Name):
        return known.get(expression.id)
    if isinstance(expression, ast.Attribute) and isinstance(expression.value, ast.Name):
        return getattr(known.get(expression.value.id), expression.attr, None)
    return None


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request: pytest.FixtureRequest) -> Notebook:
    return Notebook(request.param)


def test_there_is_one_notebook_for_each_stage():
    assert [path.stem for path in NOTEBOOKS] == [stage.key for stage in STAGES if stage.is_notebook]


def test_format_is_valid_and_cells_keep_unique_ids(notebook):
    nbformat.validate(notebook.node, relax_add_props=False)
    assert (notebook.node.nbformat, notebook.node.nbformat_minor >= 5) == (4, True)
    ids = [cell.id for cell in notebook.node.cells]
    assert len(ids) == len(set(ids))


def test_nothing_of_an_execution_is_kept(notebook):
    for cell in notebook.node.cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
        assert not {"execution", "papermill", "collapsed"} & set(cell.metadata)
    assert "papermill" not in notebook.node.metadata
    assert "widgets" not in notebook.node.metadata


def test_kernel_is_the_one_of_the_environment(notebook):
    assert notebook.node.metadata.kernelspec.name == "python3"


def test_begins_with_a_title_and_a_question(notebook):
    first = notebook.node.cells[0]
    assert first.cell_type == "markdown"
    number = notebook.path.stem[1]
    assert re.match(rf"# {number} · \S", first.source)
    assert "?" in first.source
    assert len(re.findall(r"^# ", "\n".join(notebook.markdown), flags=re.MULTILINE)) == 1


def test_sections_are_numbered_and_the_limits_come_last(notebook):
    *numbered, last = notebook.sections
    assert last == "Limits"
    assert notebook.node.cells[-1].source.startswith("## Limits")
    assert [re.match(r"(\d+) · \S", section).group(1) for section in numbered] == [
        str(number) for number in range(1, len(numbered) + 1)
    ]


def test_sections_that_the_text_names_are_there(notebook):
    named = re.findall(r"\bsections? (\d+)", "\n".join(notebook.markdown), flags=re.IGNORECASE)
    assert all(1 <= int(number) < len(notebook.sections) for number in named)
    for title, number in re.findall(r"[Ss]ection “([^”]+)” of notebook (\d+)", "\n".join(notebook.markdown)):
        (other,) = (Notebook(path) for path in NOTEBOOKS if path.stem.startswith(number))
        assert any(section.endswith(f"· {title}") for section in other.sections)


def test_checks_are_shown_and_stop_the_notebook(notebook):
    assert any("Checks" in section for section in notebook.sections)
    assert re.search(r"raise RuntimeError|require_passed", "\n".join(notebook.code))


def test_imports_parameters_and_run_come_first_in_this_order(notebook):
    imports, parameters, opening, *_ = notebook.code
    assert re.match(r"(import|from) ", imports)
    assert parameters == notebook.parameters
    assert "open_run(" in opening


def test_prose_holds_no_result(notebook):
    """A percentage with decimals is a result, which another run would change; the report prints those itself."""
    prose = [source for source in notebook.markdown if "|---|" not in source]
    assert not re.findall(r"\d+\.\d+\s?%", "\n".join(prose))


def test_figures_and_tables_have_captions(notebook):
    for call, called in notebook.calls():
        if called in (show_figure, show_table):
            given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
            assert len(given.get("caption", "")) > len("''"), ast.unparse(call)


def test_whatever_can_report_its_progress_is_asked_to(notebook):
    for call, called in notebook.calls():
        if "report" in inspect.signature(called).parameters:
            assert "report" in {keyword.arg for keyword in call.keywords}, ast.unparse(call)


def test_every_code_cell_has_words(notebook):
    assert len(notebook.markdown) >= len(notebook.code)
    kinds = [cell.cell_type for cell in notebook.node.cells]
    assert ("code", "code") not in set(zip(kinds, kinds[1:], strict=False))


def test_code_cells_are_short(notebook):
    # the parameters cell has one line for each parameter
    long = [source for source in notebook.code if source != notebook.parameters and source.count("\n") >= MAX_LINES]
    assert not long


def test_code_is_plain_calls(notebook):
    found = [type(node).__name__ for node in ast.walk(notebook.tree()) if isinstance(node, FORBIDDEN_NODES)]
    assert not found
    assert not re.search(r"^\s*[!%]|sys\.path|get_ipython", "\n".join(notebook.code), flags=re.MULTILINE)


def test_imports_stand_in_one_cell_and_come_from_the_helpers(notebook):
    modules = set()
    for node in ast.walk(notebook.tree()):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            modules.add(node.module)
    assert {module.partition(".")[0] for module in modules} <= ALLOWED_PACKAGES
    importing = [source for source in notebook.code if re.search(r"^(import|from) ", source, flags=re.MULTILINE)]
    assert len(importing) == 1


def test_helpers_come_from_rooms_up_to_its_own(notebook):
    index = STAGES.index(notebook.stage)
    rooms = {package for stage in STAGES[: index + 1] for package in stage.packages}
    for node in ast.walk(notebook.tree()):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("helpers."):
            assert node.module.split(".")[1] in rooms


class TestParameters:
    def test_literals_equal_the_defaults_of_the_sections(self, notebook):
        written = {}
        for node in ast.parse(notebook.parameters).body:
            assert isinstance(node, ast.AnnAssign), f"{ast.unparse(node)}: write it as `name: type = literal`"
            written[node.target.id] = ast.literal_eval(node.value)
        defaults = {"run_dir": "runs/default"}
        for section in notebook.stage.sections:
            defaults |= getattr(Study(), section).model_dump()
        assert written == defaults
        assert {name: type(value) for name, value in written.items()} == {
            name: type(value) for name, value in defaults.items()
        }

    def test_papermill_sees_each_with_the_type_of_the_model(self, notebook):
        seen = {name: facts["inferred_type_name"] for name, facts in inspect_notebook(str(notebook.path)).items()}
        fields = {}
        for section in notebook.stage.sections:
            fields |= type(getattr(Study(), section)).model_fields
        assert set(seen) == {"run_dir", *fields}
        for name, field in fields.items():
            nullable = type(None) in typing.get_args(field.annotation)
            assert seen[name].startswith("Optional[") == nullable
            assert seen[name] != "None", f"{name} has no type; write Optional[str], which papermill reads"


class TestArtefacts:
    def test_writes_are_those_of_the_stage(self, notebook):
        own = {artefact.file for artefact in ARTEFACTS.values() if artefact.stage == notebook.stage.key}
        assert sorted(notebook.table_row("writes")) == sorted(own)

    def test_reads_are_written_by_earlier_stages(self, notebook):
        earlier = {artefact.file for artefact in ARTEFACTS.values() if artefact.stage < notebook.stage.key}
        reads = notebook.table_row("reads")
        assert set(reads) <= earlier
        assert reads or notebook.stage is STAGES[0]

    def test_code_reads_and_writes_what_the_table_says(self, notebook):
        reads, writes = set(notebook.table_row("reads")), set(notebook.table_row("writes"))
        for node in ast.walk(notebook.tree()):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
                continue
            if ast.unparse(node.func.value) != "run" or not isinstance(node.args[0], ast.Constant):
                continue
            file = ARTEFACTS[node.args[0].value.partition("/")[0]].file
            # what was written may be read back
            assert file in (writes if node.func.attr in WRITERS else reads | writes)

    def test_opens_its_own_stage(self, notebook):
        assert f'stage="{notebook.stage.key}"' in "\n".join(notebook.code)
