"""The end of the report: parameters, provenance, times, and how to run the study again."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import yaml

from helpers.reporting.discretion import discreet, discreet_study
from helpers.reporting.record import RunRecord
from helpers.study.artefacts import PARAMS_FILE
from helpers.study.params import Section
from helpers.study.progress import duration
from helpers.study.stages import STAGES


@dataclass(frozen=True)
class Row:
    """One line of a table: name, value, and a remark."""

    name: str
    value: str
    remark: str = ""


@dataclass(frozen=True)
class Group:
    """Rows under a common title."""

    title: str
    rows: tuple[Row, ...]


def parameter_groups(record: RunRecord) -> tuple[Group, ...]:
    """Every parameter of the run, by section, with what it means; of external cohorts what differs from the default."""
    study = record.study
    sections = {name: getattr(study, name) for name in type(study).model_fields if name != "external"}
    groups = [Group(name, tuple(_parameters(section))) for name, section in sections.items()]
    for cohort in study.external.external:
        default = {name: field.default for name, field in type(cohort).model_fields.items()}
        rows = tuple(row for row in _parameters(cohort) if getattr(cohort, row.name) != default[row.name])
        groups.append(Group(f"external cohort {cohort.name}", rows))
    return tuple(groups)


def _parameters(section: Section) -> Iterator[Row]:
    for name, field in type(section).model_fields.items():
        yield Row(name, readable(discreet(name, getattr(section, name))), field.description or "")


def readable(value: Any) -> str:
    """A parameter or recorded fact as people write it."""
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {readable(item)}" for key, item in value.items()) or "none"
    if isinstance(value, (list, tuple)):
        return ", ".join(readable(item) for item in value) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def provenance_groups(record: RunRecord) -> tuple[Group, ...]:
    """Code and seeds as they were recorded; empty where nothing was."""
    facts = record.provenance
    if not facts:
        return ()
    code = [
        Row("recorded", moment(facts.get("recorded"))),
        Row("commit", _commit(facts.get("git") or {})),
        Row("SHA-256 of requirements.lock", readable(facts.get("requirements_lock_sha256"))),
    ]
    return (Group("code", tuple(code)), *_recorded_groups(facts, "seeds"))


def environment_groups(record: RunRecord) -> tuple[Group, ...]:
    """Machine, Python and package versions as they were recorded; empty where nothing was."""
    facts = record.provenance
    if not facts:
        return ()
    language = Group("language", (Row("Python", readable(facts.get("python"))),))
    return (*_recorded_groups(facts, "machine"), language, *_recorded_groups(facts, "packages"))


def _recorded_groups(facts: Mapping[str, Any], title: str) -> tuple[Group, ...]:
    rows = tuple(Row(name.replace("_", " "), readable(value)) for name, value in (facts.get(title) or {}).items())
    return (Group(title, rows),) if rows else ()


def _commit(git: Mapping[str, Any]) -> str:
    commit = git.get("commit")
    if not commit:
        return "not recorded"
    return f"{commit}, with changes that were not committed" if git.get("uncommitted_changes") else commit


def moment(text: str | None) -> str:
    """An ISO time as date and time in UTC, to the minute."""
    if not text:
        return "not recorded"
    return datetime.fromisoformat(text).astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def stage_rows(record: RunRecord) -> tuple[Row, ...]:
    """Time that each finished stage took, and when it ended."""
    return tuple(
        Row(stage.title, duration(record.stages[stage.key].seconds), moment(record.stages[stage.key].finished))
        for stage in STAGES
        if stage.is_notebook and stage.key in record.stages
    )


def rerun_commands(record: RunRecord) -> str:
    """Shell commands that repeat the run in a clone of the project."""
    name = record.study.study.name
    commit = (record.provenance.get("git") or {}).get("commit")
    commands = {f"git checkout {commit}": "the code of this run"} if commit else {}
    commands |= {
        f"make study PARAMS=runs/{name}/{PARAMS_FILE}": "what is not up to date, then this report",
        f'make study PARAMS=runs/{name}/{PARAMS_FILE} ARGS="--force"': "everything, from the first file on",
        f".venv/bin/study status {name}": "which stages are up to date",
        f".venv/bin/study report {name}": "this report alone",
    }
    return "\n".join(f"# {purpose}\n{command}" for command, purpose in commands.items())


def parameter_file(record: RunRecord) -> str:
    """The resolved parameter file, but for what `discreet` leaves out."""
    return yaml.safe_dump(discreet_study(record.study.model_dump()), sort_keys=False, allow_unicode=True)
