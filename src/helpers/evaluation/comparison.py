"""Which of two sets of answers on the same images is better: paired by image, resampled and permuted by patient.

The interval of a difference draws whole patients with replacement, and takes both answers of a patient along. The test
exchanges the two answers of whole patients at random: if neither reader is better, every exchange was as likely as what
was seen (Noreen 1989, Computer-Intensive Methods for Testing Hypotheses). The observed arrangement counts as one of
them, so that no p-value is 0 (Phipson & Smyth 2010, 10.2202/1544-6115.1585).

Any two tables of `out_of_fold` can be compared: the network and a baseline, two runs, or two split units of one cohort,
whose difference is then the optimism of the worse split.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pandas as pd
from scipy.stats import rankdata
from statsmodels.stats.multitest import multipletests

from helpers.evaluation.bootstrap import BLOCK_WEIGHTS
from helpers.evaluation.estimates import Bounds, Metric
from helpers.evaluation.metrics import ratio, weighted_auroc
from helpers.evaluation.patient_bootstrap import PatientBootstrap
from helpers.evaluation.predictions import probability_column
from helpers.study.errors import StudyError
from helpers.study.params import EvaluationParams

# Two arrangements this close are equally far from no difference; sums of floats are not exact.
SAME_DIFFERENCE = 1e-9
PERMUTATION_STREAM = 4
SHARED_COLUMNS = ["sample_id", "PatientID", "y_true"]


class ComparisonError(StudyError, ValueError):
    """Two tables cannot be compared; the message says why."""


@dataclass(frozen=True)
class Measure:
    """What is compared.

    Attributes
    ----------
    title
        Words for a table.
    scores
        Table of one reader → (N, M) numbers, each from its own row or from the reader's own ranking.
    value
        ((N,) reference labels, (N, M) scores, weights=(R, N)) → (R,) values.
    bounds
        Range of one reader's value, None if it is no share of images.
    """

    title: str
    scores: Callable[[pd.DataFrame], np.ndarray]
    value: Callable[..., np.ndarray]
    bounds: Bounds | None = None


def _is_right(table: pd.DataFrame) -> np.ndarray:
    return (table["y_true"] == table["y_pred"]).to_numpy(dtype=np.float64)[:, None]


def _probabilities(table: pd.DataFrame) -> pd.DataFrame:
    columns = [name for name in table if str(name).startswith(probability_column(""))]
    if not columns:
        raise ComparisonError("a table without columns p_<class> can only be compared by accuracy or balanced accuracy")
    return table[sorted(columns)]


def _squared_error(table: pd.DataFrame) -> np.ndarray:
    found = _probabilities(table)
    truth = table["y_true"].map(probability_column).to_numpy()[:, None] == found.columns.to_numpy()
    return ((found.to_numpy() - truth) ** 2).sum(axis=1, keepdims=True)


def _ranks(table: pd.DataFrame) -> np.ndarray:
    # Ranks, not probabilities: readers on different scales can then exchange answers.
    return rankdata(_probabilities(table).to_numpy(), axis=0)


def _mean(_: np.ndarray, scores: np.ndarray, *, weights: np.ndarray) -> np.ndarray:
    return ratio(weights @ scores[:, 0], weights.sum(axis=1))


def _mean_of_classes(reference: np.ndarray, scores: np.ndarray, *, weights: np.ndarray) -> np.ndarray:
    members = (reference[:, None] == np.unique(reference)).astype(np.float64)
    return ratio(weights @ (members * scores), weights @ members).mean(axis=1)


def _macro_auroc(reference: np.ndarray, scores: np.ndarray, *, weights: np.ndarray) -> np.ndarray:
    keys = np.unique(reference)
    if len(keys) != scores.shape[1]:
        raise ComparisonError("macro AUROC needs images of every class that has a probability")
    columns = [weighted_auroc(scores[:, code], reference == key, weights=weights) for code, key in enumerate(keys)]
    return np.mean(columns, axis=0)


MEASURES: Mapping[str, Measure] = MappingProxyType(
    {
        "accuracy": Measure("Accuracy", _is_right, _mean, Bounds()),
        "balanced_accuracy": Measure("Balanced accuracy", _is_right, _mean_of_classes, Bounds()),
        "macro_auroc": Measure("Macro AUROC", _ranks, _macro_auroc),
        "brier": Measure("Brier score", _squared_error, _mean),
    }
)
TITLES = MappingProxyType({name: measure.title for name, measure in MEASURES.items()})


@dataclass(frozen=True)
class Comparison:
    """Two readers on the same images.

    Attributes
    ----------
    measure
        Key of `MEASURES`.
    first, second
        Each reader's value on the shared images.
    difference
        First minus second.
    p_value
        Two-sided, of no difference between the readers.
    n_left_out
        Images that only one of the tables holds.
    """

    measure: str
    first: Metric
    second: Metric
    difference: Metric
    p_value: float
    n_left_out: int


def compare(
    first: pd.DataFrame, second: pd.DataFrame, *, measure: str = "accuracy", params: EvaluationParams
) -> Comparison:
    """Compare two readers on the images that both have answered.

    Parameters
    ----------
    first, second
        Tables of `out_of_fold`: one row per sample with `sample_id`, `PatientID`, `y_true`, `y_pred`; for "macro_auroc"
        and "brier" also `p_<class>`.
    measure
        Key of `MEASURES`.
    params
        Replicates (of the bootstrap, and as many exchanges for the test), confidence and seed.

    Raises
    ------
    ComparisonError
        If no image is shared, a table has an image twice, or the tables disagree about a patient or a label.
    """
    tables = _shared(first, second)
    boot = PatientBootstrap.of(tables[0], params=params)
    pair = _Pair.of(tables, measure=MEASURES[measure], boot=boot)
    nobody = np.zeros_like(boot.weights)
    ours, theirs = pair.values(boot.weights, nobody), pair.values(nobody, boot.weights)
    undefined, bounds = "a class is not drawn", MEASURES[measure].bounds
    return Comparison(
        measure=measure,
        first=boot.metric(ours, undefined=undefined, bounds=bounds),
        second=boot.metric(theirs, undefined=undefined, bounds=bounds),
        difference=boot.metric(ours - theirs, undefined=undefined),
        p_value=_exchange_test(pair, observed=ours[0] - theirs[0], boot=boot),
        n_left_out=len(first) + len(second) - 2 * len(tables[0]),
    )


@dataclass(frozen=True)
class _Pair:
    """The rows of the first reader, then those of the second: any choice among them is a weighting of patients.

    Attributes
    ----------
    measure
        What is compared.
    reference, scores
        (2N,) labels and (2N, M) scores.
    unit
        (2N,) codes: the patient for the first reader, P + the patient for the second.
    """

    measure: Measure
    reference: np.ndarray
    scores: np.ndarray
    unit: np.ndarray

    @classmethod
    def of(cls, tables: tuple[pd.DataFrame, pd.DataFrame], *, measure: Measure, boot: PatientBootstrap) -> "_Pair":
        """Stack two tables that hold the same samples in the same order."""
        return cls(
            measure=measure,
            reference=np.tile(tables[0]["y_true"].to_numpy(dtype=str), 2),
            scores=np.concatenate([measure.scores(table) for table in tables]),
            unit=np.concatenate([boot.patient, boot.n_patients + boot.patient]),
        )

    def values(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Value of the measure under (R, P) weights of the first reader's patients and of the second's: (R,)."""
        weights, size = np.hstack([first, second]), max(1, BLOCK_WEIGHTS // len(self.unit))
        blocks = [weights[start : start + size][:, self.unit] for start in range(0, len(weights), size)]
        return np.concatenate([self.measure.value(self.reference, self.scores, weights=block) for block in blocks])


def _exchange_test(pair: _Pair, *, observed: float, boot: PatientBootstrap) -> float:
    """Share of random exchanges of whole patients that part the readers at least as far as observed."""
    rng = np.random.default_rng([boot.params.seed, PERMUTATION_STREAM])
    kept = rng.integers(0, 2, (boot.params.n_bootstrap, boot.n_patients)).astype(np.float64)
    differences = pair.values(kept, 1 - kept) - pair.values(1 - kept, kept)
    as_far = np.abs(differences) >= abs(observed) - SAME_DIFFERENCE
    return float((1 + as_far.sum()) / (1 + len(differences)))


def _shared(first: pd.DataFrame, second: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both tables on the samples that both hold, in one order."""
    for table in (first, second):
        if table["sample_id"].duplicated().any():
            raise ComparisonError("a table to be compared has a sample_id twice; average over folds and seeds first")
    samples = sorted(set(first["sample_id"]) & set(second["sample_id"]))
    if not samples:
        raise ComparisonError("the two tables share no sample_id, so there is nothing to compare")
    tables = tuple(table.set_index("sample_id").loc[samples].reset_index() for table in (first, second))
    if (tables[0][SHARED_COLUMNS].astype(str) != tables[1][SHARED_COLUMNS].astype(str)).any(axis=None):
        raise ComparisonError("the two tables disagree about PatientID or y_true of a sample_id: not the same cohort")
    return tables


def comparison_table(
    model: pd.DataFrame, rivals: Mapping[str, pd.DataFrame], *, measure: str = "accuracy", params: EvaluationParams
) -> pd.DataFrame:
    """Compare one model with several rivals, correcting for the number of comparisons (Holm 1979, jstor 4615733).

    Parameters
    ----------
    model
        Table of `out_of_fold`.
    rivals
        Tables in the same form by their name in words.
    measure, params
        As in `compare`.

    Returns
    -------
    One row per rival: `rival`, `model_value`, `rival_value`, `difference` (model minus rival) with `ci_low` and
    `ci_high`, `p_value`, `p_holm`, `n_samples`, `n_patients`, `n_left_out`, `note`.
    """
    rows = []
    for name, table in rivals.items():
        found = compare(model, table, measure=measure, params=params)
        values = {"model_value": found.first.estimate, "rival_value": found.second.estimate}
        difference = found.difference.to_json_dict()
        row = {"rival": name} | values | {"difference": difference.pop("estimate")} | difference
        rows.append(row | {"p_value": found.p_value, "n_left_out": found.n_left_out})
    columns = ["rival", "model_value", "rival_value", "difference", "ci_low", "ci_high", "p_value", "p_holm"]
    table = pd.DataFrame(rows, columns=[*columns, "n_samples", "n_patients", "n_left_out", "note"])
    corrected = multipletests(table["p_value"], method="holm")[1] if len(table) else []
    return table.assign(p_holm=corrected)
