"""Heights and posterior wall of the vertebral body, measured on the image by a rule and not by a trained network.

Both end plates and both walls are edges at which bone ends. Each is found as the path across the body that gathers most
contrast, bending little and lying near the centre: dynamic programming as in Amini et al. 1990 (10.1109/34.57681). The
picture is levelled first by the lower end plate, which breaks less often than the upper one and stands square to the
posterior wall. What the rule sees is rough, and `error_table` says how rough.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter, map_coordinates

from helpers.error_analysis.clustered import patient_codes, ratio_of_sums, resampled_metric
from helpers.error_analysis.wording import with_interval
from helpers.evaluation.baselines import baseline_predictions, linear_model
from helpers.evaluation.comparison import Comparison, compare
from helpers.evaluation.estimates import Bounds, Metric
from helpers.evaluation.metric_table import p_in_words
from helpers.evaluation.metrics import ratio
from helpers.evaluation.predictions import out_of_fold
from helpers.study import EvaluationParams

STEP_MM, REACH_MM = 0.5, 26.0
AXIS_MM = np.arange(-REACH_MM, REACH_MM + STEP_MM, STEP_MM)
SMOOTHING_MM = 0.8
BONE_HU = (-100.0, 700.0)  # gas and metal say nothing of where bone ends
#: From the centre: where plates and walls are sought, and how far across they are followed.
UPPER_MM, LOWER_MM, WALL_MM = (0.0, 22.0), (2.0, 22.0), (9.0, 25.0)
PLATE_HALF_MM, FRONT_HALF_MM, BACK_HALF_MM = 14.0, 8.0, 14.0
#: An edge at this quantile of all contrast is as good as any stronger one; each step aside and each mm away costs.
STRONG, BEND, FARTHER_PER_MM = 0.95, 0.1, 0.02
STEEPEST_RAD = 0.5
#: Outer heights are read so far inside the walls, over so many mm to either side.
INSET_MM, SITE_HALF_MM = 1.7, 1.0
#: Measure → where the simulator's truth of it stands.
TRUE_COLUMNS: Mapping[str, str] = MappingProxyType(
    {
        "anterior_mm": "anterior_height_mm",
        "middle_mm": "middle_height_mm",
        "posterior_mm": "posterior_height_mm",
        "wall_mm": "fragment_mm",
    }
)
MEASURES = (*TRUE_COLUMNS, "depth_mm")
CHUNK = 256  # images that are measured together: each needs 0.2 MB for its patches
WORDS: Mapping[str, str] = MappingProxyType(
    {
        "anterior_mm": "anterior height",
        "middle_mm": "middle height",
        "posterior_mm": "posterior height",
        "wall_mm": "posterior wall behind its line",
    }
)


def measure_bodies(pixels: np.ndarray, *, spacing_mm: float) -> pd.DataFrame:
    """Measure the vertebral body in the centre of sagittal images whose front is on the left.

    Parameters
    ----------
    pixels
        (N, H, W) cached images, int16 HU or uint8 grey; of three planes (N, 3, H, W) the middle one is measured.
    spacing_mm
        Their pixel size.

    Returns
    -------
    N rows with `MEASURES`, mm: three heights, `wall_mm`, how far the posterior wall stands behind its lowest third
    (from 0), and the depth between the walls. NaN where the image has no edge.
    """
    starts = range(0, max(1, len(pixels)), CHUNK)
    parts = [_measured(pixels[start : start + CHUNK], spacing_mm=spacing_mm) for start in starts]
    return pd.concat(parts, ignore_index=True)


def _measured(pixels: np.ndarray, *, spacing_mm: float) -> pd.DataFrame:
    plane = (pixels if pixels.ndim == 3 else pixels[:, 1]).astype(np.float32)
    plane = plane if pixels.dtype == np.uint8 else plane.clip(*BONE_HU)
    level = _patches(plane, spacing_mm=spacing_mm, tilt_rad=np.zeros(len(plane)))
    tilt_rad = _tilt(_plates(level)[1])
    patches = _patches(plane, spacing_mm=spacing_mm, tilt_rad=tilt_rad)
    upper, lower = _plates(patches)
    sideways = patches.transpose(0, 2, 1)
    front = np.median(find_edge(sideways, outward=-1, span_mm=WALL_MM, half_mm=FRONT_HALF_MM), axis=1)
    wall = find_edge(sideways, outward=1, span_mm=WALL_MM, half_mm=BACK_HALF_MM)
    back = np.median(wall[:, _within(BACK_HALF_MM, FRONT_HALF_MM)], axis=1)
    sites = {"anterior_mm": front + INSET_MM, "middle_mm": (front + back) / 2, "posterior_mm": back - INSET_MM}
    measured = {name: _mean_near(lower - upper, places=place) for name, place in sites.items()}
    behind = _mean_near(upper, places=sites["posterior_mm"]), _mean_near(lower, places=sites["posterior_mm"])
    measured |= {"wall_mm": _bulge(wall, upper=behind[0], lower=behind[1]), "depth_mm": back - front}
    table = pd.DataFrame(measured)[list(MEASURES)]
    table.loc[np.ptp(plane, axis=(1, 2)) == 0] = np.nan
    return table


def _patches(plane: np.ndarray, *, spacing_mm: float, tilt_rad: np.ndarray) -> np.ndarray:
    """Squares around the centres of (N, H, W) images, turned by (N,) angles: (N, A, A) over `AXIS_MM` both ways."""
    down, along = np.meshgrid(AXIS_MM, AXIS_MM, indexing="ij")
    center = (plane.shape[-1] - 1) / 2
    patches = np.empty((len(plane), *down.shape), dtype=np.float32)
    for index, (image, angle) in enumerate(zip(plane, tilt_rad, strict=True)):
        rows = down * np.cos(angle) + along * np.sin(angle)
        columns = along * np.cos(angle) - down * np.sin(angle)
        places = [center + rows / spacing_mm, center + columns / spacing_mm]
        patches[index] = map_coordinates(image, places, order=1, mode="nearest")
    return gaussian_filter(patches, SMOOTHING_MM / STEP_MM, axes=(1, 2))


def _plates(patches: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Place of the upper and of the lower end plate over the columns within `PLATE_HALF_MM`."""
    return (
        find_edge(patches, outward=-1, span_mm=UPPER_MM, half_mm=PLATE_HALF_MM),
        find_edge(patches, outward=1, span_mm=LOWER_MM, half_mm=PLATE_HALF_MM),
    )


def _tilt(plate: np.ndarray) -> np.ndarray:
    """Angle of (N, C) end plates, (N,) rad."""
    places = AXIS_MM[np.abs(AXIS_MM) <= PLATE_HALF_MM]
    return np.arctan(plate @ places / (places**2).sum()).clip(-STEEPEST_RAD, STEEPEST_RAD)


def find_edge(patches: np.ndarray, *, outward: int, span_mm: tuple[float, float], half_mm: float) -> np.ndarray:
    """Where grey values fall towards the outside, across the middle of each patch.

    Parameters
    ----------
    patches
        (N, A, A) over `AXIS_MM`; the edge crosses the columns.
    outward
        -1: above the centre, 1: below it.
    span_mm
        How far from the centre it may lie.
    half_mm
        How far to either side it is followed.

    Returns
    -------
    (N, C) places along the rows in mm, 0 is the centre.
    """
    distance = outward * AXIS_MM
    rows = np.flatnonzero((distance >= span_mm[0]) & (distance <= span_mm[1]))
    columns = np.abs(AXIS_MM) <= half_mm
    fall = -outward * np.gradient(patches, STEP_MM, axis=1)[:, rows][:, :, columns]
    strong = np.quantile(fall, STRONG, axis=(1, 2), keepdims=True)
    contrast = np.divide(fall, strong, out=np.zeros_like(fall), where=strong > 0).clip(-1, 1)
    return AXIS_MM[rows][strongest_path(contrast - FARTHER_PER_MM * distance[rows, None])]


def strongest_path(gain: np.ndarray) -> np.ndarray:
    """The row in each column that adds up to most gain, at most a row apart from column to column.

    Parameters
    ----------
    gain
        (N, R, C); each row aside costs `BEND`.

    Returns
    -------
    (N, C) int rows.
    """
    total, steps = gain[:, :, 0], []
    for column in range(1, gain.shape[2]):
        padded = np.pad(total, ((0, 0), (1, 1)), constant_values=-np.inf)
        options = np.stack([padded[:, :-2] - BEND, padded[:, 1:-1], padded[:, 2:] - BEND])
        steps.append(options.argmax(axis=0) - 1)
        total = options.max(axis=0) + gain[:, :, column]
    path = [total.argmax(axis=1)]
    for step in reversed(steps):
        path.append(path[-1] + step[np.arange(len(step)), path[-1]])
    return np.stack(path[::-1], axis=1)


def _within(outer_mm: float, inner_mm: float) -> np.ndarray:
    """Which places of an edge that is followed `outer_mm` to either side lie within `inner_mm`."""
    return np.abs(AXIS_MM[np.abs(AXIS_MM) <= outer_mm]) <= inner_mm


def _mean_near(values: np.ndarray, *, places: np.ndarray) -> np.ndarray:
    """Mean of (N, C) values over the columns of plates near (N,) places: (N,)."""
    columns = AXIS_MM[np.abs(AXIS_MM) <= PLATE_HALF_MM]
    limit = PLATE_HALF_MM - SITE_HALF_MM
    near = np.abs(columns - places.clip(-limit, limit)[:, None]) <= SITE_HALF_MM
    return (values * near).sum(axis=1) / near.sum(axis=1)


def _bulge(wall: np.ndarray, *, upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """How far (N, C) posterior walls stand behind the median of their lowest third, between the (N,) plates."""
    rows = AXIS_MM[np.abs(AXIS_MM) <= BACK_HALF_MM]
    inside = (rows >= upper[:, None]) & (rows <= lower[:, None])
    lowest = inside & (rows >= (lower - (lower - upper) / 3)[:, None])
    base = np.nanmedian(np.where(lowest, wall, np.nan), axis=1)
    return np.where(inside, wall - base[:, None], 0).max(axis=1).clip(min=0)


def error_table(measured: pd.DataFrame, *, truth: pd.DataFrame, params: EvaluationParams) -> pd.DataFrame:
    """How far the measures are from the simulated truth.

    Parameters
    ----------
    measured
        Result of `measure_bodies`.
    truth
        Table of `helpers.cohort.truth.Truth`, in the same order.
    params
        Section `evaluation` of the parameters: replicates, confidence and seed.

    Returns
    -------
    One row per measure, for reading: images measured, mean error and mean absolute error in mm, the median of the
    latter, and Pearson's correlation; intervals by patients resampled.
    """
    rows = []
    for name, column in TRUE_COLUMNS.items():
        known = measured[name].notna().to_numpy()
        if not known.any():
            continue
        found, true = (table[known].to_numpy(dtype=float) for table in (measured[name], truth[column]))
        patients, errors = truth["PatientID"][known], found - true
        bias = ratio_of_sums(errors, np.ones(len(errors)), patients=patients, params=params, bounds=None)
        size = ratio_of_sums(np.abs(errors), np.ones(len(errors)), patients=patients, params=params, bounds=None)
        rows.append(
            {
                "measure": WORDS[name],
                "images": len(errors),
                "mean error, mm": with_interval(bias, decimals=1),
                "mean absolute error, mm": with_interval(size, decimals=1),
                "median absolute error, mm": f"{np.median(np.abs(errors)):.1f}",
                "correlation": with_interval(_correlation(found, true, patients=patients, params=params), decimals=2),
            }
        )
    return pd.DataFrame(rows)


def _correlation(found: np.ndarray, true: np.ndarray, *, patients: pd.Series, params: EvaluationParams) -> Metric:
    codes = patient_codes(patients)
    centred = found - found.mean(), true - true.mean()  # for the sake of precision; the weights centre it anew
    terms = (np.ones(len(found)), *centred, centred[0] ** 2, centred[1] ** 2, centred[0] * centred[1])
    sums = np.stack([np.bincount(codes, weights=term) for term in terms], axis=1)

    def pearson(weights: np.ndarray) -> np.ndarray:
        n, x, y, xx, yy, xy = (weights @ sums).T
        spread = np.sqrt(np.maximum((n * xx - x**2) * (n * yy - y**2), 0))
        return ratio(n * xy - x * y, spread)

    undefined = "all values are the same"
    return resampled_metric(pearson, codes=codes, params=params, undefined=undefined, bounds=Bounds(lower=-1.0))


def compare_measures(
    network: pd.DataFrame, *, readings: Mapping[str, pd.DataFrame], cohort: pd.DataFrame, splits: pd.DataFrame,
    classes: Sequence[str], params: EvaluationParams,
) -> dict[str, Comparison]:  # fmt: skip
    """Does the network know more than some numbers tell? Logistic regression on them in the study's own folds.

    Parameters
    ----------
    network
        The network's answers, table of `out_of_fold`.
    readings
        Name in words → numbers, whose index names rows of `cohort`; rows with a missing number are left out.
    cohort
        sample_id, PatientID, label.
    splits
        sample_id, fold and split.
    classes
        Class keys in reporting order.
    params
        Section `evaluation` of the parameters: replicates, confidence and seed.

    Returns
    -------
    Name of each reading that could be learned from → shares of images that are right by the network and by the numbers,
    and their difference, paired by image, with intervals by patients resampled.
    """
    found = {}
    for name, numbers in readings.items():
        answers = baseline_predictions(
            numbers.dropna(), model=linear_model(), cohort=cohort, splits=splits, classes=classes
        )
        if len(answers):
            found[name] = compare(network, out_of_fold(answers, classes=classes), params=params)
    return found


def comparison_rows(found: Mapping[str, Comparison]) -> pd.DataFrame:
    """Result of `compare_measures` for reading: a row for each reading, with the p value of an exchange of patients."""
    rows = [
        {
            "numbers": name,
            "images": comparison.difference.n_samples,
            "network right": with_interval(comparison.first, decimals=3),
            "numbers right": with_interval(comparison.second, decimals=3),
            "network minus numbers": with_interval(comparison.difference, decimals=3),
            "p": p_in_words(comparison.p_value),
        }
        for name, comparison in found.items()
    ]
    return pd.DataFrame(rows)


def describe_comparisons(found: Mapping[str, Comparison]) -> str:
    """The answer of `compare_measures` in a sentence for each reading; without any, that there is none."""
    if not found:
        return "No image of this cohort could be measured, so the network is compared with no numbers."
    return "\n\n".join(_answer(name, comparison.difference) for name, comparison in found.items())


def _answer(name: str, difference: Metric) -> str:
    words = f"{name[0].upper()}{name[1:]}: the network"
    points = f"{100 * difference.estimate:+.1f} points of {difference.n_samples} images"
    if difference.ci_low is None or difference.ci_high is None:
        return f"{words} cannot be compared with these numbers: {points}, and no interval."
    low, high = 100 * difference.ci_low, 100 * difference.ci_high
    verdict = "knows more than" if low > 0 else "knows less than" if high < 0 else "cannot be told apart from"
    return f"{words} {verdict} these numbers, {points} ({low:+.1f} to {high:+.1f})."
