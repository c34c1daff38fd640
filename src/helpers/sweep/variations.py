"""The file of a sweep: a base study, what all rows change, and what each row changes beside that."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Optional, Self

from pydantic import Field, model_validator

from helpers.reporting.appendix import readable
from helpers.study import ParameterError, Study, load_study
from helpers.study.parameter_files import read_parameter_file, validate
from helpers.study.params import NAME_PATTERN, Section

Changes = dict[str, Any]
LEAKAGE_REASON = "splits.intended_leakage"  # why a leak is wanted; it changes no number


class Variation(Section):
    """What one row changes, and why anybody should want to know."""

    set: Changes = Field({}, description="section.name -> value, such as training.weights: none")
    reason: str = Field(min_length=10, description="what the row asks, in words")
    against: Optional[str] = Field(None, description="row that it is compared with; by default the first")


class SweepFile(Section):
    """A whole sweep file."""

    name: str = Field(pattern=NAME_PATTERN, description="names the folder runs/<name>")
    title: str = Field("Ablations", description="heading of the page")
    base: str = Field(description="parameter file that all rows start from")
    set: Changes = Field({}, description="what all rows change")
    rows: dict[Annotated[str, Field(pattern=NAME_PATTERN)], Variation] = Field(min_length=2)

    @model_validator(mode="after")
    def _compared_with_rows(self) -> Self:
        for name, row in self.rows.items():
            if row.against is not None and (row.against not in self.rows or row.against == name):
                others = ", ".join(other for other in self.rows if other != name)
                raise ValueError(f"rows.{name}.against: {row.against!r} is no other row; rows: {others}")
        return self


@dataclass(frozen=True)
class Row:
    """One variant.

    Attributes
    ----------
    name, reason
        As in the file.
    against
        Name of the row that it is compared with; None for the first.
    changes
        What it changes beside what all rows do, by `section.name`.
    study
        Its parameters; the study is called as the row.
    """

    name: str
    reason: str
    against: Optional[str]
    changes: Mapping[str, Any]
    study: Study

    @property
    def changes_in_words(self) -> str:
        """For tables: "training.weights: none"."""
        words = (f"{name}: {readable(value)}" for name, value in self.changes.items() if name != LEAKAGE_REASON)
        return ", ".join(words) or "nothing"


@dataclass(frozen=True)
class Sweep:
    """All variants of a study; the first is the reference."""

    name: str
    title: str
    rows: tuple[Row, ...]

    @property
    def reference(self) -> Row:
        """The first row."""
        return self.rows[0]

    def row(self, name: str) -> Row:
        """The row called `name`.

        Raises
        ------
        ParameterError
            If there is none.
        """
        for row in self.rows:
            if row.name == name:
                return row
        raise ParameterError(f"no row {name!r}; rows: {', '.join(row.name for row in self.rows)}")


def load_sweep(path: str) -> Sweep:
    """Read and validate a sweep file, and the parameters of every row.

    Raises
    ------
    ParameterError
        If the file or its base study cannot be used, any row has a value that is unknown, of the wrong type or out of
        range, or two rows are the same study. The problems of all rows are listed at once.
    """
    file = validate(SweepFile, read_parameter_file(path), origin=path)
    base = load_study(file.base).model_dump()
    rows, problems = [], []
    for name, variation in file.rows.items():
        try:
            study = _vary(base, file.set | variation.set, origin=f"{path}: row {name}", name=name)
        except ParameterError as error:
            problems.append(str(error))
            continue
        against = variation.against or next(iter(file.rows))
        rows.append(Row(name, variation.reason, None if against == name else against, variation.set, study))
    if problems:
        raise ParameterError("\n".join(problems))
    _check_different(rows, origin=path)
    return Sweep(file.name, file.title, tuple(rows))


def _vary(base: Mapping[str, Any], changes: Changes, *, origin: str, name: str) -> Study:
    content = copy.deepcopy(dict(base))
    for place, value in changes.items():
        section, _, field = place.partition(".")
        values = content.setdefault(section, {})
        if not field or section == "study" or not isinstance(values, dict):
            raise ParameterError(f"{origin}: {place}: write it as section.name, for example training.epochs")
        values[field] = value
    content["study"] = {"name": name, "title": f"{content['study']['title']}: {name}"}
    return validate(Study, content, origin=origin)


def _check_different(rows: list[Row], *, origin: str) -> None:
    seen: dict[str, str] = {}
    for row in rows:
        parameters = row.study.model_dump_json(exclude={"study"})
        if parameters in seen:
            raise ParameterError(f"{origin}: rows {seen[parameters]} and {row.name} have the same parameters; keep one")
        seen[parameters] = row.name
