"""Reading a parameter file: YAML without its traps, every problem reported at once, each with a way out."""

import difflib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import ValidationError

from helpers.study.params import ParameterError, Section, Study
from helpers.study.paths import project_file

# Far more than any study needs; PyYAML reads about a tenth of a mebibyte in a second.
MAX_PARAMETER_BYTES = 2**18
SHOWN_LENGTH = 200

Model = TypeVar("Model", bound=Section)


class _Loader(yaml.SafeLoader):
    """A SafeLoader without three surprises.

    PyYAML keeps the last of two equal keys without a word; here that is an error. It reads 0123 in base 8 and 1:30 in
    base 60; here both stay the text that was written, so that a label or patient number keeps its zeros. Aliases are
    refused: ten lines of them can stand for more text than fits into memory.
    """

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()
            line = event.start_mark.line + 1
            raise ParameterError(f"line {line}: aliases such as *{event.anchor} are not read; write the value out")
        return super().compose_node(parent, index)


def _unique_mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict:
    seen: set[str] = set()
    for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
        if key.value in seen:
            raise ParameterError(f"line {key.start_mark.line + 1}: {key.value!r} is given twice; keep one")
        seen.add(key.value)
    return loader.construct_mapping(node, deep=True)


_INTEGER_TAG = "tag:yaml.org,2002:int"
_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _unique_mapping)
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != _INTEGER_TAG]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(_INTEGER_TAG, re.compile(r"^[-+]?(0|[1-9][0-9]*)$"), list("-+0123456789"))


def _read_yaml(text: str, *, origin: str) -> Any:
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 (a SafeLoader)
    except ParameterError as error:
        raise ParameterError(f"{origin}: {error}") from error
    except RecursionError as error:
        raise ParameterError(f"{origin}: not readable as YAML: nested too deeply") from error
    # values that look like dates or numbers and are none raise what Python's own types raise
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, LookupError, OverflowError) as error:
        raise ParameterError(f"{origin}: not readable as YAML: {error}") from error


def load_study(path: str | Path, *, overrides: Sequence[str] = ()) -> Study:
    """Read and validate a parameter file.

    Parameters
    ----------
    path
        YAML file with the sections of `Study`; a relative path is taken from the project folder.
    overrides
        Assignments such as ``training.epochs=3``; the value is read as YAML.

    Raises
    ------
    ParameterError
        If the file is missing, is not YAML, or any value is unknown, of the wrong type or out of range.
        All problems are listed at once.
    """
    content = read_parameter_file(path)
    for assignment in overrides:
        _override(content, assignment)
    return validate(Study, content, origin=str(path))


def read_parameter_file(path: str | Path) -> dict[str, Any]:
    """Read a YAML file of named sections, without asking yet what may stand in them.

    Raises
    ------
    ParameterError
        If the file is missing, or is not YAML with names at its outermost level.
    """
    content = _read_yaml(_parameter_text(path), origin=str(path)) or {}
    if not isinstance(content, dict):
        raise ParameterError(f"{path}: expected sections such as `training:`, got {type(content).__name__}")
    # a section whose lines are all commented out is read as null
    return {name: {} if values is None else values for name, values in content.items()}


def _parameter_text(path: str | Path) -> str:
    try:
        file = project_file(path)
        if not file.is_file():
            raise ParameterError(f"{path}: no such parameter file; see params/ for examples")
        if file.stat().st_size > MAX_PARAMETER_BYTES:
            raise ParameterError(f"{path}: {file.stat().st_size} bytes are too many for a parameter file")
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ParameterError(f"{path}: not UTF-8 text; save the file in UTF-8") from error
    except OSError as error:
        raise ParameterError(f"{path}: cannot be read: {error.strerror}") from error


def _override(content: dict, assignment: str) -> None:
    match = re.fullmatch(r"(\w+)\.(\w+)=(.*)", assignment, flags=re.DOTALL)
    if match is None:
        raise ParameterError(f"--set {assignment}: write it as section.name=value, for example training.epochs=3")
    section, name, text = match.groups()
    values = content.get(section)
    value = _read_yaml(text, origin=f"--set {assignment}")
    content[section] = {**(values if isinstance(values, dict) else {}), name: value}


def validate(model: type[Model], values: Mapping[str, Any], *, origin: str) -> Model:
    """Build a section or a whole study from plain values, or list every problem in one `ParameterError`."""
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        problems = "\n".join(f"  - {_explain(model, problem)}" for problem in error.errors())
        raise ParameterError(f"{origin}: {error.error_count()} problem(s)\n{problems}") from error


def read_parameters(model: type[Model], namespace: Mapping[str, Any]) -> Model:
    """Validate the notebook's own `parameters` cell: the variables of `namespace` that `model` names."""
    values = {name: namespace[name] for name in model.model_fields if name in namespace}
    return validate(model, values, origin="parameters cell")


def _explain(model: type[Section], problem: Mapping[str, Any]) -> str:
    got, location = problem["input"], problem["loc"]
    if location[-1:] == ("[key]",):  # pydantic writes a key of the wrong type as it likes
        location = (*location[:-2], repr(got))
    # `external` is a plain list for its readers, whatever model holds it
    where = ".".join(str(part) for part in location).replace("external.external.", "external.")
    if problem["type"] == "extra_forbidden":
        return f"{where}: unknown name{_nearest(model, problem['loc'])}"
    message = problem["msg"].removeprefix("Value error, ")
    prefix = f"{where}: {message}" if where else message
    if problem["type"] in ("value_error", "missing"):
        return prefix
    return f"{prefix}, got {_shown(got)}{_yaml_trap(problem['type'], got)}"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN_LENGTH else f"{text[:SHOWN_LENGTH]}…"


def _nearest(model: type[Section], location: Sequence) -> str:
    for part in location[:-1]:
        if part not in model.model_fields:  # the place in a list, or the key of a mapping
            continue
        annotation = model.model_fields[part].annotation
        annotation = (get_args(annotation) or (annotation,))[-1]  # list[Section], dict[str, Section] -> Section
        if not (isinstance(annotation, type) and issubclass(annotation, Section)):
            return ""
        model = annotation
    names = list(model.model_fields)
    close = difflib.get_close_matches(str(location[-1]), names, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; valid names: {', '.join(names)}"


def _yaml_trap(kind: str, got: Any) -> str:
    number = re.fullmatch(r"([-+]?\d+)(\.\d*)?e([-+]?)(\d+)", got, flags=re.I) if isinstance(got, str) else None
    if kind == "float_type" and number:
        whole, fraction, sign, exponent = number.groups()
        return f" (YAML reads it as text: write {whole}{fraction or '.0'}e{sign or '+'}{exponent})"
    if kind == "int_type" and isinstance(got, str) and re.fullmatch(r"[-+]?0\d+", got):
        return " (text, for its leading zero: write the number without)"
    if kind == "string_type" and isinstance(got, bool):
        return " (YAML reads yes, no, on and off as true or false: put the word in quotes)"
    if kind == "string_type" and isinstance(got, (int, float)):
        return " (put the number in quotes)"
    return ""
