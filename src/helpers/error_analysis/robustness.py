"""How much may an image change before the study fails? Held-out images, changed step by step, read anew."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.special import softmax

from helpers.error_analysis.held_out import HeldOut
from helpers.error_analysis.perturbations import PERTURBATIONS, perturbed
from helpers.error_analysis.saliency import Report
from helpers.evaluation.bootstrap import ClusteredSample
from helpers.evaluation.estimates import Metric, Support, metric_from_replicates
from helpers.evaluation.metrics import COUNT_METRICS
from helpers.evaluation.predictions import probability_column
from helpers.evaluation.resampling import Resampling, count_metric
from helpers.study import EvaluationParams

UNCHANGED = "unchanged"
MEASURE = COUNT_METRICS["balanced_accuracy"]
#: A fall that would be noticed.
NOTABLE_DROP = 0.05
SEED = 0


def pick_balanced(held_out: HeldOut, *, n: int) -> list[str]:
    """Tested samples to try, the classes alike and of as many patients as there are; at most `n`, drawn at random.

    Parameters
    ----------
    held_out
        The tested samples.
    n
        Samples in all; fewer where a class has not enough.
    """
    table = held_out.samples.table.merge(held_out.tested[["sample_id"]], on="sample_id")
    table = table.sample(frac=1, random_state=SEED)
    table["turn"] = table.groupby(["label", "PatientID"]).cumcount()
    table = table.sort_values("turn", kind="stable")
    return table.groupby("label").head(n // len(held_out.samples.classes))["sample_id"].tolist()


def stress(sample_ids: Sequence[str], *, held_out: HeldOut, report: Report | None = None) -> pd.DataFrame:
    """Predict changed images, each with a network that had it in its test part.

    Parameters
    ----------
    sample_ids
        Tested samples.
    held_out
        The networks and what they read.
    report
        Called as ``report(done, total)`` with numbers of images read.

    Returns
    -------
    One row per sample and severity: sample_id, PatientID, y_true, y_pred, p_<class>, change, severity (0: unchanged).
    """
    samples, parts = held_out.samples, []
    steps = [(UNCHANGED, 0.0, None)] + [(p.name, s, p.change) for p in PERTURBATIONS for s in p.severities]
    for network, places in held_out.groups(sample_ids):
        rows = samples.rows([sample_ids[place] for place in places])
        pixels = np.asarray(samples.images[rows])
        known = samples.table.iloc[rows][["sample_id", "PatientID", "label"]].rename(columns={"label": "y_true"})
        for name, severity, change in steps:
            given = pixels
            if change is not None:
                given = perturbed(
                    pixels, change=change, severity=severity, window=held_out.window,
                    spacing_mm=held_out.transform.spacing_mm,
                )  # fmt: skip
            answers = _answers(held_out.logits(network, given), classes=samples.classes, index=known.index)
            parts.append(pd.concat([known, answers], axis=1).assign(change=name, severity=float(severity)))
            if report is not None:
                report(sum(map(len, parts)), len(sample_ids) * len(steps))
    return pd.concat(parts, ignore_index=True)


def _answers(logits: np.ndarray, *, classes: Sequence[str], index: pd.Index) -> pd.DataFrame:
    columns = [probability_column(key) for key in classes]
    table = pd.DataFrame(softmax(logits.astype(float), axis=1), columns=columns, index=index)
    return table.assign(y_pred=np.asarray(classes)[logits.argmax(axis=1)])


def robustness_table(stressed: pd.DataFrame, *, classes: Sequence[str], params: EvaluationParams) -> pd.DataFrame:
    """Balanced accuracy at each severity and what it lost against the same images unchanged.

    Parameters
    ----------
    stressed
        Result of `stress`.
    classes
        Class keys in order.
    params
        Section `evaluation` of the parameters: replicates, confidence and seed.

    Returns
    -------
    One row per change and severity, severity 0 (unchanged) first of each: change, unit, severity, estimate, ci_low,
    ci_high; lost, lost_low, lost_high in the same replicates. Intervals are NaN where there is none.
    """
    resampled = {
        key: _resampling(part, classes=classes, params=params) for key, part in stressed.groupby(["change", "severity"])
    }
    reference = resampled[UNCHANGED, 0.0]
    rows = []
    for kind in PERTURBATIONS:
        for severity in (0.0, *kind.severities):
            found = resampled[kind.name, float(severity)] if severity else reference
            value, lost = count_metric(found, MEASURE), _lost(found, reference=reference)
            numbers = (value.estimate, value.ci_low, value.ci_high, lost.estimate, lost.ci_low, lost.ci_high)
            rows.append((kind.name, kind.unit, float(severity), *numbers))
    names = ["change", "unit", "severity", "estimate", "ci_low", "ci_high", "lost", "lost_low", "lost_high"]
    return pd.DataFrame(rows, columns=names).astype(dict.fromkeys(names[2:], float))


def _resampling(part: pd.DataFrame, *, classes: Sequence[str], params: EvaluationParams) -> Resampling:
    sample = ClusteredSample.from_frame(part.sort_values("sample_id"), classes=classes)
    rng = np.random.default_rng(params.seed)
    return Resampling.draw(sample, n_replicates=params.n_bootstrap, confidence=params.confidence, rng=rng)


def _lost(found: Resampling, *, reference: Resampling) -> Metric:
    """Fall of balanced accuracy; both have the same patients drawn in every replicate."""
    before, after = (MEASURE.formula(resampling.sample.confusion) for resampling in (reference, found))
    support = Support(len(found.sample.reference), found.sample.n_patients, int(found.class_patients.min()))
    return metric_from_replicates(
        float(before - after),
        MEASURE.formula(reference.confusion) - MEASURE.formula(found.confusion),
        support=support,
        confidence=found.confidence,
        undefined=MEASURE.undefined,
        bounds=None,
    )


def breaking_points(table: pd.DataFrame) -> pd.DataFrame:
    """From which severity on balanced accuracy is 5 points lower, between the severities tried as on a straight line.

    Parameters
    ----------
    table
        Result of `robustness_table`.

    Returns
    -------
    One row per change, for reading.
    """
    rows = []
    for (name, unit), part in table.groupby(["change", "unit"], sort=False):
        worst = part.iloc[-1]
        rows.append(
            {
                "change": name,
                "unit": unit,
                "5 points lost at": _crossing(part),
                "strongest tried": f"{worst['severity']:g}",
                "points lost there": _points(worst),
            }
        )
    return pd.DataFrame(rows)


def _points(row: pd.Series) -> str:
    if np.isnan(row["lost"]):
        return "–"
    lost = f"{100 * row['lost']:.1f}"
    return (
        lost if np.isnan(row["lost_low"]) else f"{lost} ({100 * row['lost_low']:.1f} to {100 * row['lost_high']:.1f})"
    )


def _crossing(part: pd.DataFrame) -> str:
    """First severity at which the loss is notable; the mildest tried, where a scale does not begin at 0."""
    severity, lost = part["severity"].to_numpy(), part["lost"].to_numpy()
    beyond = np.flatnonzero(lost >= NOTABLE_DROP)
    if not len(beyond):
        return "not reached"
    last = beyond[0]
    if last == 1 and severity[1] > severity[-1]:
        return f"already at {severity[1]:g}"
    share = (NOTABLE_DROP - lost[last - 1]) / (lost[last] - lost[last - 1])
    return f"{severity[last - 1] + share * (severity[last] - severity[last - 1]):.2g}"
