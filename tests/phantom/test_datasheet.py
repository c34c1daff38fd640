"""DATA.md states what the simulator draws from and what it writes: the statements must be those of the code."""

import importlib
import pkgutil
import re
from dataclasses import fields, is_dataclass
from pathlib import Path

import pandas as pd
import pytest

import helpers.phantom
from helpers.phantom.anatomy import LEVEL_NORMS, TARGET_LEVELS
from helpers.phantom.scanners import FAMILIES

DATASHEET = (Path(__file__).parents[2] / "DATA.md").read_text(encoding="utf-8")
#: A row such as "| `TissueRanges.disc` | 55–115 | HU | source |".
ROW = re.compile(r"^\| `(\w+)\.(\w+)` \| (.+?) \| .+? \| .+? \|$", re.M)
STATED = {(owner, name): cell for owner, name, cell in ROW.findall(DATASHEET)}
MODULES = {
    info.name: importlib.import_module(f"helpers.phantom.{info.name}")
    for info in pkgutil.iter_modules(helpers.phantom.__path__)
}
#: Classes of which every field has a row.
RANGES = {
    name: value
    for module in MODULES.values()
    for name, value in vars(module).items()
    if is_dataclass(value) and (name.endswith("Ranges") or name == "Correlation")
}


def numbers_in(cell):
    """Numbers of a cell; a dash joins low and high, a minus sign is U+2212."""
    return [float(text.replace("−", "-")) for text in re.findall(r"(?<!\w)−?\d+(?:\.\d+)?", cell)]


def flatten(value):
    if isinstance(value, str):
        return []
    if isinstance(value, int | float):
        return [value]
    return [number for part in value for number in flatten(part)]


def in_code(owner, name):
    if owner in RANGES:
        return flatten(getattr(RANGES[owner](), name))
    if owner in MODULES:
        return flatten(getattr(MODULES[owner], name))
    kernels = [kernel for family in FAMILIES for kernel in family.kernels]
    offered = [getattr(item, name) for item in {"ScannerFamily": FAMILIES, "Kernel": kernels}[owner]]
    return [min(flatten(offered)), max(flatten(offered))]


@pytest.mark.parametrize(("owner", "name"), STATED)
def test_stated_values_are_those_of_the_code(owner, name):
    assert numbers_in(STATED[owner, name]) == pytest.approx(in_code(owner, name))


@pytest.mark.parametrize("owner", RANGES)
def test_every_range_is_stated(owner):
    assert {field.name for field in fields(RANGES[owner])} == {name for stated, name in STATED if stated == owner}


def test_level_table_is_that_of_the_code():
    rows = dict(re.findall(r"^\| ([TL]\d+) \| (.+) \|$", DATASHEET, re.M))

    assert tuple(rows) == TARGET_LEVELS
    for level, row in rows.items():
        norm = LEVEL_NORMS[level]
        expected = [*norm.size, norm.anterior_ratio, norm.disc_mm, norm.disc_angle_deg, norm.weight]
        assert numbers_in(row) == pytest.approx(expected), level


def test_truth_table_has_the_stated_columns(small_cohort):
    written = set(pd.read_parquet(small_cohort / "truth.parquet"))
    table = DATASHEET.partition("| truth column |")[2].partition("\n\n")[0]
    stated = re.findall(r"`(\w+)`", "\n".join(line.split("|")[1] for line in table.splitlines()[2:]))

    assert written - set(pd.read_csv(small_cohort / "labels.csv")) <= set(stated) <= written
    assert len(stated) == len(set(stated))


def test_every_source_has_a_reference():
    tables, _, references = DATASHEET.partition("### Sources")
    known = re.findall(r"^\| (.+?) \|", references, re.M)
    cited = set(re.findall(r"\b([A-Z][\w'-]+(?:-[A-Z]\w+)? (?:19|20)\d\d)\b", tables))

    assert cited
    assert [key for key in sorted(cited) if not any(entry.startswith(key) for entry in known)] == []
