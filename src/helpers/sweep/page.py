"""What a sweep leaves beside its rows: the table, the numbers as JSON, and one HTML page."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd

from helpers.reporting.ablation import ablation_table, render_ablation_page
from helpers.study.artefacts import write_atomic, write_json_atomic
from helpers.study.caution import caution
from helpers.study.display import figure_html
from helpers.study.provenance import collect_provenance
from helpers.sweep.comparison import compare_rows
from helpers.sweep.plots import plot_learning_curve, plot_rows
from helpers.sweep.variations import Sweep

TABLE_FILE, JSON_FILE, PAGE_FILE = "sweep.parquet", "sweep.json", "sweep.html"
LEARNING = {"training.train_patients"}


def write_sweep(sweep: Sweep, folder: Path, *, problems: Mapping[str, str], file: str) -> Path:
    """Compare what is trained, and write `sweep.parquet`, `sweep.json` and `sweep.html` into the folder of a sweep.

    Parameters
    ----------
    sweep
        The rows.
    folder
        `runs/<name of the sweep>`.
    problems
        Why a row has no result, by row name.
    file
        The sweep file, for the command that makes this again.

    Returns
    -------
    Path of the page.
    """
    table = compare_rows(sweep, folder, problems=problems)
    write_atomic(folder / TABLE_FILE, lambda stream: table.to_parquet(stream, index=False))
    content = {
        "name": sweep.name,
        "title": sweep.title,
        "reference": sweep.reference.name,
        "evaluation": sweep.reference.study.evaluation.model_dump(),
        "provenance": collect_provenance(sweep.reference.study),
        "changes": {row.name: dict(row.changes) for row in sweep.rows},
        "table": table.astype(object).where(table.notna(), None).to_dict("records"),
    }
    write_json_atomic(folder / JSON_FILE, content)
    html = render_sweep(sweep, table=table, file=file)
    write_atomic(folder / PAGE_FILE, lambda stream: stream.write(html.encode()))
    return folder / PAGE_FILE


def render_sweep(sweep: Sweep, *, table: pd.DataFrame, file: str) -> str:
    """The page of a sweep as text."""
    study = sweep.reference.study
    return render_ablation_page(
        ablation_table(table),
        title=sweep.title,
        paragraphs=list(_paragraphs(sweep)),
        caution=caution(study.cohort),
        figures=list(_figures(sweep, table)),
        commands=f".venv/bin/study sweep {file}",
    )


def learning_rows(sweep: Sweep) -> list[str]:
    """Rows that differ from the first in the number of training patients only, and the first."""
    fewer = [row.name for row in sweep.rows if set(row.changes) == LEARNING]
    return [sweep.reference.name, *fewer] if fewer else []


def _paragraphs(sweep: Sweep) -> Iterator[str]:
    study = sweep.reference.study
    params = study.evaluation
    yield (
        f"Every row is the same study but for what it changes; in the first, images are divided by "
        f"{study.splits.split_method}. Networks are scored on images that they were not trained on; "
        f"{100 * params.confidence:g} % intervals draw whole patients, {params.n_bootstrap} times."
    )
    yield (
        "A difference is taken on the images that both rows have tested. Its interval draws whole patients with both "
        "answers; p comes from exchanging the two answers of whole patients. Intervals cover the choice of patients, "
        f"not the chance in training: {_seeds(study.training.seeds)}."
    )


def _seeds(seeds: list[int]) -> str:
    return "each row was trained with one seed" if len(seeds) == 1 else f"each row averages {len(seeds)} seeds"


def _figures(sweep: Sweep, table: pd.DataFrame) -> Iterator[str]:
    if table["estimate"].notna().any():
        yield figure_html(
            plot_rows(table),
            alt="Balanced accuracy of every row with its interval, and its difference from the row that it is compared "
            "with; the numbers stand in the tables above",
            caption="All rows with a result. An interval that crosses the dashed line on the right leaves open which "
            "of the two rows is better.",
        )
    shown = [name for name in learning_rows(sweep) if table.loc[table["row"] == name, "estimate"].notna().all()]
    if len(shown) > 1:
        yield figure_html(
            plot_learning_curve(table, rows=shown),
            alt="Scores against the number of training patients, with intervals; the numbers stand in the tables above",
            caption="Learning curve: smaller sets of training patients lie within the larger ones, the tested images "
            "are the same. Where the curve still rises at its right end, more patients would help.",
        )
