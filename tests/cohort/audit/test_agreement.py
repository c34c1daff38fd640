import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score

from helpers.cohort.audit import patients
from helpers.cohort.audit.agreement import agreement_table, check_agreement
from helpers.study import CohortParams


@pytest.fixture
def context(table, make_context):
    """context(columns of readings, groups=..., classes=...) -> what the check is given."""

    def make(columns, *, groups=None, classes="ABC"):
        readings = pd.DataFrame({f"reader_{n}": column for n, column in enumerate(columns, start=1)}, dtype=object)
        readings.insert(0, "group", np.arange(len(readings)) if groups is None else groups)
        params = CohortParams(class_names={key: key for key in classes}, normal_class=None)
        return make_context(table, params=params, fields={"readings": readings})

    return make


def row(table, statistic):
    return table[table["statistic"] == statistic].iloc[0]


def test_cohens_kappa_of_a_known_table(context):
    """Two readers, 50 images: 20 both A, 5 A and B, 10 B and A, 15 both B; kappa is 0.4."""
    one = ["A"] * 25 + ["B"] * 25
    other = ["A"] * 20 + ["B"] * 5 + ["A"] * 10 + ["B"] * 15
    found = agreement_table(context([one, other]))
    kappa = row(found, "Cohen's kappa")
    assert kappa["estimate"] == pytest.approx(0.4)
    assert (kappa["readers"], kappa["n_images"]) == ("1 and 2", 50)
    # Large-sample standard error of kappa (Fleiss, Cohen and Everitt 1969) is 0.127 here.
    assert kappa["ci_low"] == pytest.approx(0.4 - 1.96 * 0.127, abs=0.05)
    assert kappa["ci_high"] == pytest.approx(0.4 + 1.96 * 0.127, abs=0.05)
    assert row(found, "percent agreement")["estimate"] == pytest.approx(70)


def test_fleiss_kappa_of_the_published_example(context, monkeypatch):
    """Fourteen raters, ten subjects, five categories (Fleiss 1971, as tabulated by Wikipedia): kappa is 0.210."""
    counts = [
        [0, 0, 0, 0, 14],
        [0, 2, 6, 4, 2],
        [0, 0, 3, 5, 6],
        [0, 3, 9, 2, 0],
        [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0],
        [3, 2, 6, 3, 0],
        [2, 5, 3, 2, 2],
        [6, 5, 2, 1, 0],
        [0, 2, 2, 3, 7],
    ]
    subjects = [[key for key, count in zip("ABCDE", line, strict=True) for _ in range(count)] for line in counts]
    monkeypatch.setattr(patients, "MAX_DRAWS", 100)  # 14 raters are 91 pairs
    found = agreement_table(context(zip(*subjects, strict=True), classes="ABCDE"))
    assert row(found, "Fleiss' kappa")["estimate"] == pytest.approx(0.210, abs=5e-4)


def test_krippendorffs_alpha_of_the_published_example(context):
    """Four observers, twelve units, gaps (Krippendorff 2011, Computing alpha-reliability): nominal alpha is 0.743."""
    lines = ["123321412...", "1233224125.3", ".3332342251.", "12332441251."]
    columns = [[None if cell == "." else "_ABCDE"[int(cell)] for cell in line] for line in lines]
    alpha = row(agreement_table(context(columns, classes="ABCDE")), "Krippendorff's alpha")
    assert alpha["estimate"] == pytest.approx(0.743, abs=5e-4)
    assert alpha["n_images"] == 11


def test_pairs_are_those_that_both_read(context):
    rng = np.random.default_rng(0)
    one, other = rng.choice(list("ABC"), 60).astype(object), rng.choice(list("ABC"), 60).astype(object)
    other[::3] = one[::3]
    one[5], other[7] = None, None
    kappa = row(agreement_table(context([one, other])), "Cohen's kappa")
    kept = [place for place in range(60) if place not in (5, 7)]
    assert kappa["estimate"] == pytest.approx(cohen_kappa_score(one[kept].tolist(), other[kept].tolist()))
    assert kappa["n_images"] == 58


def test_patients_are_drawn_not_images(context):
    """Four equal images of each patient carry the evidence of one: the interval is as wide as without copies."""
    rng = np.random.default_rng(1)
    one = rng.choice(list("AB"), 40)
    other = np.where(rng.random(40) < 0.8, one, "C")
    few = row(agreement_table(context([one, other])), "percent agreement")
    many = agreement_table(context([np.repeat(one, 4), np.repeat(other, 4)], groups=np.repeat(np.arange(40), 4)))
    many = row(many, "percent agreement")
    assert (many["n_images"], many["n_groups"]) == (160, 40)
    assert many[["ci_low", "ci_high"]].tolist() == pytest.approx(few[["ci_low", "ci_high"]].tolist())


def test_what_is_not_defined_is_none(context):
    found = agreement_table(context([["A"] * 5, ["A"] * 5]))
    assert found[found["statistic"] != "percent agreement"]["estimate"].isna().all()
    assert row(found, "percent agreement")["estimate"] == 100
    never = agreement_table(context([["A", None], [None, "B"]]))
    assert never["estimate"].isna().all()
    assert never["n_images"].tolist() == [0] * 4


def test_verdicts(context, table, make_context):
    labels = list("ABCABCABC") * 4
    good, poor = labels[:-1] + ["A"], labels[::-1]
    assert check_agreement(context([labels, good])).status == "pass"
    verdict = check_agreement(context([labels, poor]))
    assert verdict.status == "warn"
    assert verdict.found == sum(one != other for one, other in zip(labels, poor, strict=True))
    assert check_agreement(context([["A"] * 3, ["A"] * 3])).status == "warn"
    one_label = check_agreement(make_context(table))
    assert one_label.status == "untested"
    assert "not known" in one_label.detail
