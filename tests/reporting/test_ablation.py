import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup

from helpers.reporting import ReportError, build_report
from helpers.reporting.ablation import ablation_table, read_ablation
from helpers.study.schemas import SWEEP

REFERENCE = {
    "row": "reference", "reason": "as it is", "changes": "nothing", "problem": "", "train_patients": 198.0,
    "metric": "accuracy", "estimate": 0.887, "ci_low": 0.857, "ci_high": 0.914, "n_samples": 698, "n_patients": 350,
    "against": "", "difference": np.nan, "difference_low": np.nan, "difference_high": np.nan, "p_value": np.nan,
    "p_holm": np.nan, "n_compared": 0, "note": "", "confusion": '{"A; b": [9, 1], "C": [0, 12]}',
}  # fmt: skip
WORSE = REFERENCE | {
    "row": "random", "changes": "training.weights: none", "estimate": 0.5, "against": "reference", "difference": -0.387,
    "difference_low": -0.42, "difference_high": -0.35, "p_value": 0.0005, "p_holm": 0.0005, "n_compared": 698,
}  # fmt: skip
FAILED = REFERENCE | {
    "row": "imagenet", "problem": "no internet", "against": "reference", "train_patients": np.nan, "estimate": np.nan,
    "ci_low": np.nan, "ci_high": np.nan, "n_samples": 0, "n_patients": 0, "confusion": "",
}  # fmt: skip


@pytest.fixture
def table() -> pd.DataFrame:
    return SWEEP.validate(pd.DataFrame([REFERENCE, WORSE, FAILED]))


def test_numbers_are_written_with_their_intervals(table):
    shown = ablation_table(table)
    reference, worse, failed = shown.rows
    assert shown.metrics == ("Accuracy",)
    assert (reference.train_patients, reference.scores) == ("198", ("0.887 (0.857–0.914)",))
    assert worse.differences == ("−0.387 (−0.420 to −0.350), p < 0.001",)
    assert (failed.train_patients, failed.scores, failed.differences) == ("–", ("–",), ("–",))
    assert [row.name for row in shown.compared] == ["random"]
    assert shown.classes == ("A; b", "C")
    assert reference.confusion == ("9 / 1", "0 / 12")
    assert [row.name for row in shown.answered] == ["reference", "random"]


def test_what_has_no_interval_says_so_and_a_larger_p_is_written_out(table):
    changed = table.assign(ci_low=np.nan, difference_low=np.nan, p_holm=0.0312)
    row = ablation_table(changed).rows[1]
    assert row.scores == ("0.500 (no interval)",)
    assert row.differences == ("−0.387 (no interval), p = 0.031",)


def test_a_report_shows_the_table_that_its_study_names(make_run, table, tmp_path):
    file = tmp_path / "sweep.parquet"
    table.to_parquet(file)
    run = make_run(study={"name": "fabricated", "ablation": str(file)})
    page = BeautifulSoup(build_report(run).read_text(encoding="utf-8"), "html.parser")
    section = page.find("section", attrs={"aria-labelledby": "ablations"})
    assert page.find("a", href="#ablations") is not None
    assert "0.887 (0.857–0.914)" in " ".join(section.get_text().split())
    matrices = section.find_all("table")[1]
    assert [cell.get_text() for cell in matrices.tbody.tr.find_all(["th", "td"])] == ["reference", "9 / 1", "0 / 12"]
    assert "No result. no internet" in " ".join(section.get_text().split())


def test_a_report_of_a_study_that_names_none_has_no_such_section(complete_report):
    assert 'id="ablations"' not in complete_report.read_text(encoding="utf-8")


@pytest.mark.parametrize(("content", "message"), [(None, "is missing"), (b"PAR1 torn", "cannot be read")])
def test_a_table_that_is_missing_or_damaged_is_named(tmp_path, content, message):
    file = tmp_path / "sweep.parquet"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ReportError, match=f"study.ablation: .*{message}"):
        read_ablation(str(file))


def test_a_table_of_another_version_is_refused(tmp_path, table):
    file = tmp_path / "sweep.parquet"
    table.drop(columns="p_holm").to_parquet(file)
    with pytest.raises(ReportError, match="cannot be read"):
        read_ablation(str(file))
