"""In which parameters two runs differ, and in what they were computed with."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from helpers.reporting.appendix import readable
from helpers.reporting.discretion import discreet_study
from helpers.reporting.record import RunRecord

# Two runs always have two names, and the report gives them two titles.
NAMES = frozenset({"study.name", "study.title"})
# When it was recorded differs always; seeds are parameters.
NOT_ENVIRONMENT = ("recorded", "seeds")
ABSENT = "–"


@dataclass(frozen=True)
class Difference:
    """A value that two runs do not share, in words."""

    name: str
    first: str
    second: str


def parameter_differences(first: RunRecord, second: RunRecord) -> tuple[Difference, ...]:
    """Parameters with different values, without names of readers and folders (see `helpers.reporting.discretion`)."""
    values = (discreet_study(record.study.model_dump()) for record in (first, second))
    return tuple(found for found in _differences(*values) if found.name not in NAMES)


def environment_differences(first: RunRecord, second: RunRecord) -> tuple[Difference, ...]:
    """Commit, versions and machine where `provenance.json` differs."""
    facts = (
        {name: value for name, value in record.provenance.items() if name not in NOT_ENVIRONMENT}
        for record in (first, second)
    )
    return tuple(_differences(*facts))


def _differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[Difference]:
    ours, theirs = dict(_flat(first)), dict(_flat(second))
    for name in {**ours, **theirs}:
        values = [ABSENT if name not in side else readable(side[name]) for side in (ours, theirs)]
        if values[0] != values[1]:
            yield Difference(name, *values)


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
