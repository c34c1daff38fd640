import numpy as np
import pandas as pd
import pytest
from scipy import stats

from helpers.cohort.audit.associations import association


@pytest.fixture
def labels():
    return pd.Series(np.repeat(["A", "B", "C"], 40))


def test_numbers_are_tested_by_kruskal_and_wallis(labels):
    values = pd.Series(np.random.default_rng(0).normal(size=120).round(1) + np.repeat([0, 0, 1], 40))
    found = association(values, labels)
    test = stats.kruskal(*(values[labels == key] for key in "ABC"))
    assert found.p_value == pytest.approx(test.pvalue)
    # Tomczak and Tomczak 2014: eta squared of the H statistic, here as a ratio.
    assert found.effect == pytest.approx(np.sqrt((test.statistic - 3 + 1) / (120 - 3)))
    assert found.ci_low < found.effect < found.ci_high


def test_texts_are_tested_by_chi_squared(labels):
    rng = np.random.default_rng(0)
    values = pd.Series(np.where(rng.random(120) < np.repeat([0.2, 0.5, 0.8], 40), "x", "y"))
    found = association(values, labels)
    cells = pd.crosstab(values, labels).to_numpy()
    chi2 = stats.chi2_contingency(cells, correction=False)
    assert found.p_value == pytest.approx(chi2.pvalue)
    # Bergsma 2013, equations 8 to 10.
    phi2 = max(0, chi2.statistic / 120 - (2 - 1) * (3 - 1) / 119)
    rows, columns = 2 - (2 - 1) ** 2 / 119, 3 - (3 - 1) ** 2 / 119
    assert found.effect == pytest.approx(np.sqrt(phi2 / (min(rows, columns) - 1)))
    assert found.effect < stats.contingency.association(cells, method="cramer")


@pytest.mark.parametrize("values", [np.repeat(["x", "y", "z"], 40), np.repeat([1.0, 2.0, 3.0], 40)])
def test_a_column_that_tells_the_class_has_effect_one(values, labels):
    found = association(pd.Series(values), labels)
    assert found.effect == pytest.approx(1, abs=0.01)
    assert found.ci_low > 0.95
    assert found.p_value < 1e-10


@pytest.mark.parametrize("kind", ["numeric", "text"])
def test_chance_alone_has_no_effect_on_average(kind, labels):
    rng = np.random.default_rng(0)
    found = []
    for _ in range(40):
        values = pd.Series(rng.normal(size=120) if kind == "numeric" else rng.choice(list("wxyz"), 120))
        found.append(association(values, labels))
    assert np.median([one.effect for one in found]) < 0.1
    assert np.mean([one.p_value < 0.05 for one in found]) < 0.15
    # Most intervals reach down to nothing: 95 % would, were there no rounding at zero.
    assert np.mean([one.ci_low < 0.05 for one in found]) > 0.85


def test_sparse_cells_are_permuted_instead_of_trusted():
    values, labels = pd.Series(list("aaaabbbbcd")), pd.Series(list("AAAABBBBAB"))
    found = association(values, labels)
    exact = stats.fisher_exact(pd.crosstab(values, labels).to_numpy()).pvalue
    assert found.p_value == pytest.approx(exact, abs=0.02)
    assert association(values, labels) == found


def test_texts_that_hardly_repeat_are_pooled(labels):
    """A serial number per image tells nothing, however many there are."""
    found = association(pd.Series([f"serial {number}" for number in range(120)]), labels)
    assert (found.effect, found.p_value) == (0, 1)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("values", [["x", "y"], ["x", "y", "y"], [1.0, 2.0, 2.0]])
def test_draws_of_one_patient_show_no_association_and_no_warning(values):
    """Of two or three patients many bootstrap draws hold a single one."""
    found = association(pd.Series(values), pd.Series(list("ABB"))[: len(values)])
    assert found.ci_low == 0
    assert 0 <= found.effect <= found.ci_high <= 1


def test_frequent_texts_are_kept_among_rare_ones(labels):
    values = pd.Series([f"serial {number}" for number in range(120)])
    values[:40] = "always A"
    found = association(values, labels)
    assert found.effect > 0.9
    assert found.p_value < 1e-10
