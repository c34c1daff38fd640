"""The table of a sweep as a reader meets it, in the report of a study and on the sweep's own page."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import pandera.errors
from markupsafe import Markup

from helpers.evaluation.metrics import metric_title
from helpers.reporting.pages import own_source, page_environment
from helpers.reporting.record import ReportError
from helpers.reporting.wording import p_in_words, signed_with_interval, with_interval
from helpers.study.paths import project_file, short_path
from helpers.study.schemas import SWEEP

DASH = "–"


@dataclass(frozen=True)
class AblationRow:
    """One row in words; `scores` and `differences` have one text for each metric, `confusion` one for each class."""

    name: str
    changes: str
    reason: str
    problem: str
    train_patients: str
    scores: tuple[str, ...]
    against: str
    differences: tuple[str, ...]
    note: str
    confusion: tuple[str, ...]


@dataclass(frozen=True)
class AblationTable:
    """All rows, with the titles of the metrics and the classes that any row has answers of."""

    metrics: tuple[str, ...]
    classes: tuple[str, ...]
    rows: tuple[AblationRow, ...]

    @property
    def compared(self) -> tuple[AblationRow, ...]:
        """Rows that are held against another one."""
        return tuple(row for row in self.rows if row.against and not row.problem)

    @property
    def answered(self) -> tuple[AblationRow, ...]:
        """Rows with answers."""
        return tuple(row for row in self.rows if row.confusion)


def read_ablation(path: str) -> AblationTable:
    """Read the `sweep.parquet` that a study names as its ablation.

    Raises
    ------
    ReportError
        If it is missing, damaged, or of another version.
    """
    file = project_file(path)
    if not file.is_file():
        raise ReportError(f"study.ablation: {short_path(file)} is missing: `.venv/bin/study sweep` writes it")
    try:
        return ablation_table(SWEEP.validate(pd.read_parquet(file)))
    except (OSError, ValueError, pandera.errors.SchemaError) as error:
        raise ReportError(
            f"study.ablation: {short_path(file)} cannot be read ({error}): run the sweep again"
        ) from error


def ablation_table(table: pd.DataFrame) -> AblationTable:
    """Put a table under `helpers.study.schemas.SWEEP` into words.

    Scores read "0.887 (0.857–0.914)", differences "+0.036 (+0.010 to +0.062), p = 0.004", p after Holm.
    """
    metrics = tuple(table["metric"].unique())
    groups = table.groupby("row", sort=False)
    answers = next(filter(None, table["confusion"]), "{}")
    return AblationTable(
        metrics=tuple(map(metric_title, metrics)),
        classes=tuple(json.loads(answers)),
        rows=tuple(_row(group) for _, group in groups),
    )


def _row(group: pd.DataFrame) -> AblationRow:
    facts = group.iloc[0]
    lines = list(group.itertuples())
    return AblationRow(
        name=facts["row"],
        changes=facts["changes"],
        reason=facts["reason"],
        problem=facts["problem"],
        train_patients=DASH if math.isnan(facts["train_patients"]) else f"{facts['train_patients']:.0f}",
        scores=tuple(_score(line) for line in lines),
        against=facts["against"],
        differences=tuple(_difference(line) for line in lines),
        note="; ".join(dict.fromkeys(note for note in group["note"] if note)),
        confusion=tuple(" / ".join(map(str, counts)) for counts in json.loads(facts["confusion"] or "{}").values()),
    )


def _score(line) -> str:
    if math.isnan(line.estimate):
        return DASH
    return with_interval(line.estimate, low=line.ci_low, high=line.ci_high)


def _difference(line) -> str:
    if math.isnan(line.difference):
        return DASH
    difference = signed_with_interval(line.difference, low=line.difference_low, high=line.difference_high)
    return f"{difference}, {p_in_words(line.p_holm)}"


def render_ablation_page(
    table: AblationTable, *, title: str, paragraphs: Sequence[str], caution: str, figures: Sequence[str], commands: str
) -> str:
    """The page of a sweep: one HTML file that asks no other machine for anything.

    Parameters
    ----------
    table
        All rows.
    title
        Heading.
    paragraphs
        What was compared and how, in sentences.
    caution
        What must be said of simulated images; empty for others.
    figures
        HTML of figures, as `helpers.study.display.figure_html` gives it.
    commands
        Shell commands that make the page again.
    """
    environment = page_environment()
    return environment.get_template("sweep.html.j2").render(
        title=title,
        css=own_source(environment, "report.css"),
        table=table,
        paragraphs=paragraphs,
        caution=caution,
        figures=[Markup(figure) for figure in figures],  # noqa: S704 (escaped when it was made)
        commands=commands,
    )
