"""What a fabricated run answers, with the headings of the real notebooks."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import nbformat
import pytest

from helpers.reporting.answers import Answer, Evidence, answer_questions
from helpers.reporting.markup import Heading, slug
from helpers.reporting.record import read_run
from helpers.reporting.study_card import StudyCard

NOTEBOOKS = sorted((Path(__file__).parents[3] / "notebooks").glob("0*.ipynb"))


def headings_of(path: Path) -> list[Heading]:
    """Headings of a notebook as the report would anchor them."""
    prefix = f"notebook-{path.stem[:2]}"
    cells = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown"]
    titles = [title for source in cells for title in re.findall(r"^## +(.+?)\s*$", source, flags=re.M)]
    return [Heading(2, path.stem, prefix), *(Heading(3, title, f"{prefix}-{slug(title)}") for title in titles)]


@pytest.fixture(scope="session")
def headings() -> tuple[Heading, ...]:
    """Headings of all notebooks."""
    return tuple(heading for path in NOTEBOOKS for heading in headings_of(path))


@pytest.fixture
def answers_of(make_run, headings) -> Callable[..., Mapping[str, Answer]]:
    """answers_of(folder=None, card={}, **sections): answers of a fabricated run."""

    def answer(folder: Path | None = None, *, card: Mapping[str, str] | None = None, **sections):
        record = read_run(folder or make_run(notebooks=0, **sections))
        return answer_questions(Evidence(record, StudyCard(**(card or {})), headings))

    return answer


@pytest.fixture
def real() -> dict:
    """Parameters of a cohort of patients."""
    return {"source": "images", "labels": "labels.csv"}
