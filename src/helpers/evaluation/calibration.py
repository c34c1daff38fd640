"""Calibration: of all answers that are given with a probability of 90 %, nine in ten should be right.

Asked of the probability of the answer given, and of each class's own probability. Every number is one of the held-out
images; `helpers.evaluation.temperature` gives the same images after temperature scaling.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pandas as pd
from scipy.special import logit
from statsmodels.genmod.families import Binomial
from statsmodels.genmod.generalized_linear_model import GLM

from helpers.evaluation.estimates import Metric
from helpers.evaluation.metrics import ratio
from helpers.evaluation.patient_bootstrap import PatientBootstrap
from helpers.evaluation.predictions import probability_column
from helpers.evaluation.tables import interval_in_words
from helpers.study.params import EvaluationParams

N_BINS = 10
# Probabilities are kept this far from 0 and 1 where a logarithm is taken.
LEAST_PROBABILITY = 1e-7
CLUSTER_ROBUST = "Wald, errors clustered by patient"
AS_TRAINED, SCALED = "as trained", "after scaling"
ANSWER, ALL_CLASSES = "answer given", "all classes"
SIMULATION_STREAM = 5
TITLES: Mapping[str, str] = MappingProxyType(
    {
        "log_loss": "Log loss",
        "brier": "Brier score",
        "calibration_error": "Expected calibration error",
        "debiased_error": "Calibration error without its bias (root mean square)",
        "mean_error": "Mean probability minus share",
        "intercept": "Calibration intercept (0 is right)",
        "slope": "Calibration slope (1 is right)",
    }
)


@dataclass(frozen=True)
class Forecast:
    """Probabilities of one event, and whether it happened.

    Attributes
    ----------
    probability
        (N,) in [0, 1].
    happened
        (N,) 0 or 1.
    bins
        (N,) codes of bins with about as many images each; equal probabilities share a bin.
    """

    probability: np.ndarray
    happened: np.ndarray
    bins: np.ndarray

    @classmethod
    def of(cls, probability: np.ndarray, happened: np.ndarray) -> "Forecast":
        """Cut the probabilities at their quantiles."""
        edges = np.quantile(probability, np.arange(1, N_BINS) / N_BINS)
        bins = np.unique(np.searchsorted(edges, probability, side="left"), return_inverse=True)[1]
        return cls(probability, happened.astype(np.float64), bins)

    @property
    def excess(self) -> np.ndarray:
        """(N,) probability minus outcome."""
        return self.probability - self.happened

    @property
    def members(self) -> np.ndarray:
        """(N, B) 1 where an image lies in a bin."""
        return (self.bins[:, None] == np.arange(self.bins.max() + 1)).astype(np.float64)


def forecasts(samples: pd.DataFrame, *, classes: Sequence[str]) -> dict[str, Forecast]:
    """The answer given, then each class, as forecasts.

    Parameters
    ----------
    samples
        Table of `out_of_fold`.
    classes
        Class keys in reporting order.
    """
    found = samples[[probability_column(key) for key in classes]].to_numpy()
    right = (samples["y_true"] == samples["y_pred"]).to_numpy()
    by_class = {
        key: Forecast.of(found[:, code], (samples["y_true"] == key).to_numpy()) for code, key in enumerate(classes)
    }
    return {ANSWER: Forecast.of(found.max(axis=1), right)} | by_class


def calibration_metrics(
    samples: pd.DataFrame, *, classes: Sequence[str], params: EvaluationParams
) -> dict[str, dict[str, Metric]]:
    """Log loss and Brier score over all classes; calibration of the answer given and of each class.

    Parameters
    ----------
    samples, classes
        As in `forecasts`.
    params
        Replicates, confidence and seed.

    Returns
    -------
    Metrics by name (see `TITLES`), under `ALL_CLASSES`, `ANSWER` and each class key. `ALL_CLASSES` also holds the
    class-wise calibration error, the mean over classes (Kull 2019, arXiv 1910.12656).
    """
    boot = PatientBootstrap.of(samples, params=params)
    asked = forecasts(samples, classes=classes)
    by_forecast = {name: _forecast_metrics(forecast, boot=boot) for name, forecast in asked.items()}
    found = samples[[probability_column(key) for key in classes]].to_numpy()
    happened = samples["y_true"].to_numpy(dtype=str)[:, None] == np.asarray(list(classes), dtype=str)
    of_truth = found[happened].clip(LEAST_PROBABILITY)
    class_errors = np.mean([by_forecast[key]["calibration_error"].estimate for key in classes])
    overall = {
        "log_loss": boot.mean(-np.log(of_truth)),
        "brier": boot.mean(((found - happened) ** 2).sum(axis=1)),
        "calibration_error": _bare(class_errors, boot=boot, note="mean over classes; no interval, as for each class"),
    }
    return {ALL_CLASSES: overall} | by_forecast


def _forecast_metrics(forecast: Forecast, *, boot: PatientBootstrap) -> dict[str, Metric]:
    return {
        "calibration_error": expected_calibration_error(forecast, boot=boot),
        "debiased_error": debiased_error(forecast, boot=boot),
        "mean_error": boot.mean(forecast.excess),
        **recalibration(forecast, boot=boot),
    }


def expected_calibration_error(forecast: Forecast, *, boot: PatientBootstrap) -> Metric:
    """Mean distance between probability and share over bins with as many images each (Naeini 2015).

    It is above 0 also where every probability is right, because shares scatter. The note says how large it would then
    be, from outcomes drawn with these very probabilities (Bröcker & Smith 2007, 10.1175/WAF993.1).
    """
    rng = np.random.default_rng([boot.params.seed, SIMULATION_STREAM])
    shape = (boot.params.n_bootstrap, len(forecast.probability))
    drawn = (rng.random(shape) < forecast.probability).astype(np.float64)
    of_perfect = np.abs((forecast.probability - drawn) @ forecast.members).sum(axis=1) / shape[1]
    value = np.abs(forecast.excess @ forecast.members).sum() / shape[1]
    limit = np.quantile(of_perfect, boot.params.confidence)
    verdict = "more than chance" if value > limit else "no more than chance"
    note = f"{verdict}: true probabilities would give {of_perfect.mean():.3f}, and rarely above {limit:.3f}"
    return _bare(value, boot=boot, note=note)


def debiased_error(forecast: Forecast, *, boot: PatientBootstrap) -> Metric:
    """Root mean square distance between probability and share, without what scatter adds to it.

    As Kumar 2019 (arXiv 1909.10155) takes the variance of a bin's share off its squared error; here by leaving out all
    products of two images of one patient, so that it stays right where images of a patient are alike.
    """
    members = forecast.members
    sums, counts = boot.per_patient(members * forecast.excess[:, None]), boot.per_patient(members)
    products, pairs = (values.sum(axis=0) ** 2 - (values**2).sum(axis=0) for values in (sums, counts))
    size = members.sum(axis=0) * (pairs > 0)
    squared = ratio((np.nan_to_num(ratio(products, pairs)) * size).sum(), size.sum())
    note = "no interval: an estimate near 0 has none that can be trusted"
    return _bare(np.sqrt(max(squared, 0.0)), boot=boot, note=note)


def _bare(value: float, *, boot: PatientBootstrap, note: str) -> Metric:
    n_samples = len(np.unique(boot.sample))
    return Metric(float(value), None, None, None, n_samples, boot.n_patients, note=note)


def recalibration(forecast: Forecast, *, boot: PatientBootstrap) -> dict[str, Metric]:
    """Intercept and slope of the outcome's log odds over those of the probability (Van Calster 2019).

    The intercept is that of a line of slope 1: above 0, probabilities are too low on average. A slope under 1 says that
    they are too extreme, one above 1 that they are too timid. 10.1186/s12916-019-1466-7.
    """
    log_odds = logit(forecast.probability.clip(LEAST_PROBABILITY, 1 - LEAST_PROBABILITY))
    reason = _why_no_line(log_odds, forecast.happened, n_patients=boot.n_patients)
    if reason:
        undefined = _bare(np.nan, boot=boot, note=f"undefined: {reason}")
        return {"intercept": undefined, "slope": undefined}
    constant = np.ones((len(log_odds), 1))
    shifted = _logistic(forecast.happened, constant, offset=log_odds, boot=boot)
    line = _logistic(forecast.happened, np.column_stack([constant, log_odds]), offset=0 * log_odds, boot=boot)
    return {"intercept": shifted, "slope": line}


def _why_no_line(log_odds: np.ndarray, happened: np.ndarray, *, n_patients: int) -> str | None:
    yes, no = log_odds[happened == 1], log_odds[happened == 0]
    if not len(yes) or not len(no):
        return "the event always or never happened"
    if yes.min() >= no.max() or yes.max() <= no.min():
        return "a threshold separates the outcomes perfectly"
    return "a single patient" if n_patients < 2 else None


def _logistic(happened: np.ndarray, design: np.ndarray, *, offset: np.ndarray, boot: PatientBootstrap) -> Metric:
    """The last coefficient of a logistic regression, with an interval that counts patients."""
    model = GLM(happened, design, family=Binomial(), offset=offset)
    fit = model.fit(cov_type="cluster", cov_kwds={"groups": boot.patient}, use_t=True)
    low, high = fit.conf_int(alpha=1 - boot.params.confidence)[-1]
    n_samples = len(np.unique(boot.sample))
    return Metric(float(fit.params[-1]), float(low), float(high), CLUSTER_ROBUST, n_samples, boot.n_patients)


def reliability(samples: pd.DataFrame, *, classes: Sequence[str], params: EvaluationParams) -> pd.DataFrame:
    """Mean probability and observed share in each bin, with intervals by patient.

    Parameters
    ----------
    samples, classes, params
        As in `calibration_metrics`.

    Returns
    -------
    `of` (`ANSWER` or a class key), `bin`, `mean_probability`, `share`, `ci_low`, `ci_high`, `n_samples`, `n_patients`.
    """
    boot = PatientBootstrap.of(samples, params=params)
    rows = []
    for name, forecast in forecasts(samples, classes=classes).items():
        for place in range(forecast.bins.max() + 1):
            inside = forecast.bins == place
            share = boot.share(forecast.happened == 1, rows=inside)
            counts = (share.n_samples, share.n_patients)
            mean = forecast.probability[inside].mean()
            rows.append((name, place, mean, share.estimate, share.ci_low, share.ci_high, *counts))
    columns = ["of", "bin", "mean_probability", "share", "ci_low", "ci_high", "n_samples", "n_patients"]
    return pd.DataFrame(rows, columns=columns)


def bins_side_by_side(bins: Mapping[str, pd.DataFrame], *, decimals: int = 2) -> pd.DataFrame:
    """Tables of `reliability` as text, one pair of columns for each: mean probability, and share with interval."""
    columns = {}
    for name, found in bins.items():
        indexed = found.rename(columns={"share": "estimate"}).set_index(["of", "bin"])
        words = [interval_in_words(row, decimals=decimals) for row in indexed.itertuples()]
        columns[f"{name}: probability"] = indexed["mean_probability"]
        columns[f"{name}: share"] = pd.Series(words, index=indexed.index)
    return pd.concat(columns, axis="columns").reset_index().drop(columns="bin")


def brier_decomposition(samples: pd.DataFrame, *, classes: Sequence[str]) -> pd.DataFrame:
    """Split each class's Brier score into what is wrong, what is known and what was to be known (Murphy 1973).

    Brier = reliability - resolution + uncertainty + within bins. Reliability is the squared distance between
    probability and share; resolution that between a bin's share and the overall one; uncertainty that of the share
    alone. The last term is what binning hides (Stephenson 2008, 10.1175/2007WAF2006116.1).

    Returns
    -------
    `class`, `brier`, `reliability`, `resolution`, `uncertainty`, `within_bins`, and a last row with the sums, of which
    `brier` is the Brier score over all classes.
    """
    by_class = {key: forecast for key, forecast in forecasts(samples, classes=classes).items() if key != ANSWER}
    table = pd.DataFrame([{"class": key, **_murphy(forecast)} for key, forecast in by_class.items()])
    return pd.concat([table, pd.DataFrame([{"class": ALL_CLASSES, **table.drop(columns="class").sum()}])])


def _murphy(forecast: Forecast) -> dict[str, float]:
    size = forecast.members.sum(axis=0)
    mean, share = (values @ forecast.members / size for values in (forecast.probability, forecast.happened))
    overall, size = forecast.happened.mean(), size / size.sum()
    parts = {
        "brier": (forecast.excess**2).mean(),
        "reliability": (size * (mean - share) ** 2).sum(),
        "resolution": (size * (share - overall) ** 2).sum(),
        "uncertainty": overall * (1 - overall),
    }
    hidden = parts["brier"] - parts["reliability"] + parts["resolution"] - parts["uncertainty"]
    return {name: float(value) for name, value in parts.items()} | {"within_bins": float(hidden)}
