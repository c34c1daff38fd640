"""What a report leaves out of the parameters that it shows: names of readers, and where files lie on somebody's disk.

A column of a labels table may be called after a person, and a path may hold a user's name. Both stay in the run folder.
"""

import ast
from collections.abc import Mapping
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

PATHS = ("folder", "labels", "weights", "card")


def discreet(name: str, value: Any) -> Any:
    """A parameter's value as it may be shown; most are shown as they are.

    Parameters
    ----------
    name
        Of the parameter, for example ``readers``.
    value
        Plain value, as YAML holds it.
    """
    if name == "readers":
        return [f"reader_{number}" for number, _ in enumerate(value, start=1)]
    if name in PATHS and isinstance(value, str):
        return _without_folders(value)
    if name == "external":
        return [discreet_section(cohort) for cohort in value]
    return value


def discreet_section(values: Mapping[str, Any]) -> dict[str, Any]:
    """All parameters of a section."""
    return {name: discreet(name, value) for name, value in values.items()}


def discreet_study(study: Mapping[str, Any]) -> dict[str, Any]:
    """A whole parameter file, section by section; `external` is a list."""
    return {
        name: discreet_section(section) if isinstance(section, Mapping) else discreet(name, section)
        for name, section in study.items()
    }


def discreet_code(source: str) -> str:
    """A parameters cell with the values of `discreet`; other code is returned as it is.

    Parameters
    ----------
    source
        Assignments of literals, as papermill injects them.
    """
    lines = source.splitlines()
    for node in reversed(ast.parse(source).body):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name, value = node.targets[0].id, ast.literal_eval(node.value)
            if discreet(name, value) != value:
                lines[node.lineno - 1 : node.end_lineno] = [f"{name} = {discreet(name, value)!r}"]
    return "\n".join(lines)


def _without_folders(path: str) -> str:
    """An absolute path without the folders that lead to it; a relative one as it is."""
    if path.startswith(("/", "~")):
        return f"…/{PurePosixPath(path).name}"
    windows = PureWindowsPath(path)
    return f"…/{windows.name}" if windows.drive or windows.root else path
