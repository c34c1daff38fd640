"""How many patients a future study needs for an interval of a given half width.

Cohorts of other sizes are drawn from the patients of this run, each with all its images, so that images stay as alike
within a patient as they are here. Half the central range of a metric over such cohorts is the half width to expect.
This run is itself a sample: how far its spread between patients could be wrong, and with it every half width, is found
by drawing its own patients anew.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from helpers.evaluation.metric_table import plain_rows
from helpers.evaluation.metrics import ratio
from helpers.evaluation.patient_bootstrap import PatientBootstrap
from helpers.study.params import EvaluationParams

SIZES = (50, 100, 200, 350, 500, 1000, 2000)
HALF_WIDTH = 0.03
N_COHORTS = 4000
METHOD = f"central range over {N_COHORTS} cohorts drawn from these patients; its own range by drawing the patients anew"
# A spread below this is none, with rounding noise.
SAME_SPREAD = 1e-12
STREAM = 6


@dataclass(frozen=True)
class PatientKinds:
    """Patients with as many right answers among as many images are of one kind: drawing kinds is drawing patients.

    Attributes
    ----------
    right, images
        (Q,) of each kind.
    share
        (Q,) of the patients, adding up to 1.
    n_patients
        Patients that were counted.
    """

    right: np.ndarray
    images: np.ndarray
    share: np.ndarray
    n_patients: int

    @classmethod
    def of(cls, samples: pd.DataFrame, *, rows: np.ndarray, params: EvaluationParams) -> "PatientKinds":
        """Count the patients of `out_of_fold` by their right answers and images among `rows`, (N,) boolean."""
        boot = PatientBootstrap.of(samples, params=params)
        right = (samples["y_true"] == samples["y_pred"]).to_numpy()
        counts = boot.per_patient(np.column_stack([right & rows, rows]))
        kinds, n_each = np.unique(counts, axis=0, return_counts=True)
        return cls(kinds[:, 0], kinds[:, 1], n_each / n_each.sum(), int(n_each.sum()))

    @property
    def vary(self) -> bool:
        """Whether the share of right answers differs between patients."""
        return bool(self._standard_error(self.share[None])[0] > SAME_SPREAD)

    def half_width(self, n_patients: int, *, confidence: float, rng: np.random.Generator) -> float:
        """Half the central range of the share of right answers over `N_COHORTS` cohorts of some size."""
        drawn = rng.multinomial(n_patients, self.share, size=N_COHORTS)
        tail = (1 - confidence) / 2
        low, high = np.nanquantile(ratio(drawn @ self.right, drawn @ self.images), [tail, 1 - tail])
        return float(high - low) / 2

    def relative_spreads(self, n_replicates: int, *, rng: np.random.Generator) -> np.ndarray:
        """Standard error of the share if this run's patients were drawn anew, over that of this run: (R,).

        That of a ratio of sums over patients (Cochran 1977, Sampling Techniques, chapter 6).
        """
        drawn = rng.multinomial(self.n_patients, self.share, size=n_replicates) / self.n_patients
        spreads = self._standard_error(np.concatenate([self.share[None], drawn]))
        return ratio(spreads[1:], spreads[0])

    def _standard_error(self, share: np.ndarray) -> np.ndarray:
        images = share @ self.images
        expected = ratio(share @ self.right, images)[:, None] * self.images
        return ratio(np.sqrt((share * (self.right - expected) ** 2).sum(axis=1)), images)


def half_width_curves(
    samples: pd.DataFrame, *, classes: Sequence[str], params: EvaluationParams, sizes: Sequence[int] = SIZES
) -> pd.DataFrame:
    """Half width of the interval of accuracy and of each class's sensitivity, by number of patients.

    Parameters
    ----------
    samples
        Table of `out_of_fold`.
    classes
        Class keys in reporting order.
    params
        Confidence and seed.
    sizes
        Numbers of patients, with the class mix and images per patient of this run.

    Returns
    -------
    `measure` ("accuracy" or "sensitivity of <class>"), `n_patients`, `half_width`, `low` and `high`: the range of half
    widths that this run leaves open, at the same confidence. A measure without images, or without an error, is left
    out: how it scatters between patients is not known.
    """
    rng = np.random.default_rng([params.seed, STREAM])
    truth = samples["y_true"].to_numpy(dtype=str)
    measures = {"accuracy": np.ones(len(truth), dtype=bool)} | {
        f"sensitivity of {key}": truth == key for key in classes
    }
    tail = (1 - params.confidence) / 2
    parts = []
    for measure, rows in measures.items():
        kinds = PatientKinds.of(samples, rows=rows, params=params)
        if not kinds.vary:
            continue
        widths = np.array([kinds.half_width(size, confidence=params.confidence, rng=rng) for size in sizes])
        low, high = np.nanquantile(kinds.relative_spreads(params.n_bootstrap, rng=rng), [tail, 1 - tail])
        columns = {"half_width": widths, "low": low * widths, "high": high * widths}
        parts.append(pd.DataFrame({"measure": measure, "n_patients": list(sizes), **columns}))
    columns = ["measure", "n_patients", "half_width", "low", "high"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def patients_needed(curves: pd.DataFrame, *, half_width: float = HALF_WIDTH) -> pd.DataFrame:
    """Smallest number of patients at which an interval is as narrow as wished.

    Between sizes the half width is taken to shrink as a power of the number of patients.

    Parameters
    ----------
    curves
        Table of `half_width_curves`.
    half_width
        In the unit of the metric: 0.03 is three points.

    Returns
    -------
    `measure`, `n_patients`, `low`, `high`; missing where even the largest size does not reach it.
    """
    rows = []
    for measure, curve in curves.groupby("measure", sort=False):
        found = {
            name: _crossing(curve["n_patients"], curve[column], level=half_width)
            for name, column in (("n_patients", "half_width"), ("low", "low"), ("high", "high"))
        }
        rows.append({"measure": measure, **found})
    dtypes: Mapping[str, str] = dict.fromkeys(("n_patients", "low", "high"), "Int64")
    return pd.DataFrame(rows, columns=["measure", "n_patients", "low", "high"]).astype(dtypes)


def sample_size_json(needed: pd.DataFrame) -> dict[str, Any]:
    """Content of metrics.json for a table of `patients_needed`."""
    return {"half_width": HALF_WIDTH, "method": METHOD, "patients": plain_rows(needed)}


def _crossing(sizes: pd.Series, widths: pd.Series, *, level: float) -> int | None:
    """Number of patients at which a falling curve reaches a level."""
    sizes, widths = sizes.to_numpy(dtype=np.float64), np.minimum.accumulate(widths.to_numpy(dtype=np.float64))
    if widths[-1] > level:
        return None
    if widths[0] <= level:
        return int(sizes[0])
    log_size = np.interp(-np.log(level), -np.log(np.maximum(widths, 1e-12)), np.log(sizes))
    return int(np.ceil(np.exp(log_size)))
