"""Runs in a terminal of 80 columns."""

from collections.abc import Callable, Iterable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from helpers.reporting.appendix import moment
from helpers.reporting.wording import counted
from helpers.runs import phrases
from helpers.runs.comparison import ComparedMetric, RunComparison
from helpers.runs.listing import ListedRun
from helpers.runs.numbers import in_words
from helpers.runs.pairing import NEITHER, ONLY_FIRST, ONLY_SECOND
from helpers.runs.settings import Difference
from helpers.runs.verification import EXACT, OUTSIDE, WITHIN, Verification

MAX_ROWS = 12
UNKNOWN = "–"
DAY = 10  # letters of an ISO date


def print_runs(runs: Sequence[ListedRun], console: Console) -> None:
    """One line for each run: name, day, state, cohort with images and patients, accuracy in percent with interval."""
    if not runs:
        console.print("There is no run yet: `.venv/bin/study run params/default.yaml` makes the first.", markup=False)
        return
    table = _table("run", "finished", "state", "cohort", ">images\n(patients)", ">held-out\naccuracy, %", gap=1)
    for run in runs:
        day = UNKNOWN if run.finished is None else run.finished[:DAY]
        size = UNKNOWN if run.n_samples is None else f"{run.n_samples} ({run.n_patients})"
        table.add_row(run.name, day, run.state, run.source or UNKNOWN, size, _percent(run.accuracy))
    console.print(table)


def _percent(accuracy: dict | None) -> str:
    if accuracy is None or accuracy["estimate"] is None:
        return UNKNOWN
    estimate = f"{100 * accuracy['estimate']:.1f}"
    if accuracy["ci_low"] is None:
        return estimate
    return f"{estimate} ({100 * accuracy['ci_low']:.1f}–{100 * accuracy['ci_high']:.1f})"


def print_comparison(found: RunComparison, console: Console) -> None:
    """What two runs do not share, in the order in which it came about."""
    say = _paragraphs(console)
    for side in (found.first, found.second):
        say(f"{side.name}: recorded {moment(side.record.provenance.get('recorded'))}")
    _heading("Cohorts", console)
    say(" ".join(phrases.cohorts_in_words(found)))
    _print_differences(found.parameters, console, title="Parameters that differ", found=found)
    _print_differences(found.environment, console, title="Environment that differs", found=found)
    _print_metrics(found, console)
    if found.n_tested:
        _print_answers(found, console)
    _heading("Notebooks", console)
    for notebook in found.notebooks:
        say(f"{notebook.stage}: {phrases.notebook_in_words(notebook)}")


def _print_differences(rows: Sequence[Difference], console: Console, *, title: str, found: RunComparison) -> None:
    _heading(title, console)
    if not rows:
        console.print("none")
        return
    table = _table("", found.first.name, found.second.name)
    for row in rows:
        table.add_row(row.name, row.first, row.second)
    console.print(table)


def _print_metrics(found: RunComparison, console: Console) -> None:
    _heading("Metrics", console)
    shown = [row for row in found.metrics if row.is_main]
    table = _metric_table(shown, found) if found.n_tested else _unpaired_table(shown, found)
    console.print(table)
    say = _paragraphs(console)
    say(phrases.how_compared(found))
    say(f"{counted(len(found.metrics) - len(shown), 'more metric')}: --html FILE shows all, with both intervals.")


def _metric_table(rows: Iterable[ComparedMetric], found: RunComparison) -> Table:
    table = _table("", f">{found.first.name}", f">{found.second.name}", ">difference (interval)")
    for row in rows:
        table.add_row(
            row.label(found.first.class_names),
            _estimate(row.first),
            _estimate(row.second),
            phrases.difference(row.difference),
        )
    return table


def _unpaired_table(rows: Iterable[ComparedMetric], found: RunComparison) -> Table:
    table = _table("", f">{found.first.name}", f">{found.second.name}")
    for row in rows:
        table.add_row(row.label(found.first.class_names), phrases.value(row.first), phrases.value(row.second))
    return table


def _estimate(metric: dict | None) -> str:
    return UNKNOWN if metric is None or metric["estimate"] is None else f"{metric['estimate']:.3f}"


def _print_answers(found: RunComparison, console: Console) -> None:
    _heading("Answers that changed", console)
    say = _paragraphs(console)
    say(phrases.answers_in_words(found))
    if found.answers.empty:
        return
    right = {ONLY_FIRST: found.first.name, ONLY_SECOND: found.second.name, NEITHER: "neither"}
    table = _table("sample", "patient", "reference", found.first.name, found.second.name, "right")
    for row in found.answers.head(MAX_ROWS).itertuples():
        table.add_row(row.sample_id, row.PatientID, row.y_true, row.first, row.second, right[row.right])
    console.print(table)
    if len(found.answers) > MAX_ROWS:
        say(f"{len(found.answers) - MAX_ROWS} more are not shown; --html FILE shows them with their images.")


def print_verification(found: Verification, console: Console, *, against: str | None) -> None:
    """What still holds of a run, and how near it is to released numbers."""
    say = _paragraphs(console)
    if found.deviations:
        say(f"{len(found.deviations)} of {counted(found.n_values, 'value')} do not follow from the predictions:")
        table = _table("in metrics.json", ">it says", ">predictions give")
        for row in found.deviations[:MAX_ROWS]:
            table.add_row(in_words(row.place), str(row.found), str(row.expected))
        console.print(table)
    else:
        say(f"{counted(found.n_values, 'value')} of metrics.json follow from the predictions.")
    _print_files(found, console)
    if against is not None:
        _print_agreements(found, console, against=against)
    say(f"{found.name}: {'verified' if found.holds else 'NOT verified'}")


def _print_files(found: Verification, console: Console) -> None:
    say = _paragraphs(console)
    if not found.n_files:
        say("No hashes of files were recorded: the notebooks were not run by `study run`.")
    elif found.changed_files:
        say(f"{len(found.changed_files)} of {found.n_files} files are not as their stage wrote them, or missing:")
        hidden = len(found.changed_files) - MAX_ROWS
        for name in (*found.changed_files[:MAX_ROWS], *([f"and {hidden} more"] if hidden > 0 else [])):
            say(f"  {name}")
    else:
        say(f"{counted(found.n_files, 'file')} have the hashes that were recorded when their stages ended.")


def _print_agreements(found: Verification, console: Console, *, against: str) -> None:
    say = _paragraphs(console)
    say(f"{found.n_equal} of {found.n_released} values are exactly those of {against}.")
    verdicts = [row.verdict for row in found.agreements]
    counts = ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in (EXACT, WITHIN, OUTSIDE))
    say(
        f"{counted(len(verdicts), 'main metric')}: {counts}. The tolerance is a quarter of the width of the released "
        "interval; the distance is that of the estimate or of a limit."
    )
    farthest = [row for row in found.agreements if row.verdict != EXACT][:MAX_ROWS]
    if not farthest:
        return
    table = _table("farthest apart", ">this run", ">released", ">distance", ">tolerance", "")
    for row in farthest:
        numbers = ("–" if value is None else f"{value:.3f}" for value in (row.found, row.released))
        table.add_row(in_words(row.place), *numbers, f"{row.distance:.4f}", f"{row.tolerance:.4f}", row.verdict)
    console.print(table)


def _table(*columns: str, gap: int = 2) -> Table:
    """A table without frame; columns that begin with > hold numbers and are aligned to the right."""
    # the box itself puts one space between columns
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, gap - 1, 0, 0))
    for name in columns:
        table.add_column(name.removeprefix(">"), justify="right" if name.startswith(">") else "left", overflow="fold")
    return table


def _heading(text: str, console: Console) -> None:
    console.print(f"\n{text}", style="bold", markup=False)


def _paragraphs(console: Console) -> Callable[[str], None]:
    """Print text as it is, without reading brackets in it as markup."""
    return lambda text: console.print(text, markup=False)
