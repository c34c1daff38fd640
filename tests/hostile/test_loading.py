"""What is read is data: nothing in the source can run what stands in a file."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "helpers"
FORBIDDEN = frozenset(
    {
        *("eval", "exec", "compile", "__import__", "input"),
        *(
            "pickle.load",
            "pickle.loads",
            "pickle.Unpickler",
            "marshal.loads",
            "shelve.open",
            "joblib.load",
            "dill.load",
        ),
        *("pd.read_pickle", "yaml.unsafe_load", "yaml.full_load", "yaml.unsafe_load_all", "os.system", "os.popen"),
    }
)
UNPACKING = ("extractall", "extract", "unpack_archive")


def calls(source: str) -> list[tuple[str, dict[str, str]]]:
    """Name and keywords of every call, as they are written."""
    found = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return [(ast.unparse(call.func), {word.arg: ast.unparse(word.value) for word in call.keywords}) for call in found]


def problem(name: str, keywords: dict[str, str]) -> bool:
    """Whether a call can run what it reads, or write where an archive says."""
    return (
        name in FORBIDDEN
        or (name == "torch.load" and keywords.get("weights_only") != "True")
        or (name == "np.load" and keywords.get("allow_pickle", "False") != "False")
        or (name == "yaml.load" and keywords.get("Loader") != "_Loader")
        or keywords.get("shell", "False") != "False"
        or name.rpartition(".")[2] in UNPACKING
    )


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_no_call_runs_what_it_reads(path):
    assert [call for call in calls(path.read_text(encoding="utf-8")) if problem(*call)] == []


@pytest.mark.parametrize(
    "source",
    [
        "eval(x)",
        "pickle.load(f)",
        "torch.load(f)",
        "torch.load(f, weights_only=False)",
        "np.load(f, allow_pickle=True)",
        "yaml.load(t, Loader=yaml.Loader)",
        "subprocess.run(c, shell=True)",
        "archive.extractall(folder)",
    ],
)
def test_the_check_sees_what_it_should(source):
    assert [call for call in calls(source) if problem(*call)]
