"""Does saliency hit the fracture? Grad-CAM maps against masks of the target, which only simulated images have.

A share of a map means little alone: the target lies in the middle of every crop, so a map that ignores the image can
still cover it. Each share is therefore set beside two maps that know nothing of the image: an even one, whose share is
that of the area, and the average of all maps. Pointing game: Zhang et al. 2018, 10.1007/s11263-017-1059-x.
"""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from scipy.ndimage import distance_transform_edt

from helpers.cohort.truth import Truth
from helpers.error_analysis.pictures import cut_centre
from helpers.error_analysis.saliency import SaliencyMaps
from helpers.error_analysis.wording import with_interval
from helpers.evaluation.bootstrap import patient_weights
from helpers.evaluation.estimates import Metric, Support, metric_from_replicates
from helpers.evaluation.metrics import ratio
from helpers.preprocessing.masks import cut_mask
from helpers.study import EvaluationParams, PreprocessingParams

BODY, FRACTURE = "vertebral body", "fractured structure"
#: What breaks in each simulated class, by the names of the masks.
FRACTURED = {"A": ("endplates",), "B": ("posterior_wall", "fragment"), "C": ()}
#: A peak counts as a hit this far beside a structure: thin ones are narrower than a map can point.
REACH_MM = 3.0

Masks = Mapping[str, np.ndarray]


def target_masks(
    sample_ids: Iterable[str], *, truth: Truth, image_index: pd.DataFrame, params: PreprocessingParams, size: int
) -> dict[str, np.ndarray]:
    """Masks of the target body and of what is broken in it, in the pixels of the crops.

    Parameters
    ----------
    sample_ids
        N samples.
    truth
        Truth of the cohort.
    image_index
        Where the cached squares lie on their images.
    params
        Section `preprocessing` of the parameters.
    size
        Side of the crop in pixels.

    Returns
    -------
    (N, size, size) bool for `BODY` and for `FRACTURE`; empty where nothing is broken or the plane misses it.
    """
    places = image_index.set_index("sample_id")
    classes = truth.table.set_index("sample_id")["simulated_label"]
    sample_ids = list(sample_ids)
    regions = {name: np.zeros((len(sample_ids), size, size), dtype=bool) for name in (BODY, FRACTURE)}
    for index, sample in enumerate(sample_ids):
        masks = truth.masks(sample)
        broken = [masks[name] for name in FRACTURED[classes[sample]]]
        drawn = {BODY: masks["body"], FRACTURE: np.any(broken, axis=0) if broken else np.zeros_like(masks["body"])}
        for name, mask in drawn.items():
            square = cut_mask(mask, place=places.loc[sample], size=params.image_size)
            regions[name][index] = cut_centre(square, size=size)
    return regions


def localise(maps: SaliencyMaps, *, masks: Masks, truth: Truth, spacing_mm: float) -> pd.DataFrame:
    """How much of each map lies within each region.

    Parameters
    ----------
    maps
        N maps of (S, S) pixels.
    masks
        (N, S, S) bool by region, see `target_masks`.
    truth
        Truth of the cohort; gives patient and label.
    spacing_mm
        Pixel size of the crops.

    Returns
    -------
    One row per map and region that the crop shows, without maps that are zero everywhere: sample_id, PatientID, label,
    is_error, region; `map_share` of the map's mass within the region, `area_share` of the crop and `average_share` of
    the average map; `hit`, whether the peak lies within `REACH_MM` of the region, and `hit_area_share`, the share of
    the crop that counts as a hit.
    """
    mass = maps.maps.sum((1, 2), dtype=np.float64)
    pointing = mass > 0
    shares = maps.maps / np.where(pointing, mass, 1)[:, None, None]
    average = shares[pointing].mean(0) if pointing.any() else np.zeros(maps.maps.shape[1:])
    peaks = maps.maps.reshape(len(maps.maps), -1).argmax(1) if len(maps.maps) else []
    known = maps.table[["sample_id", "target"]].merge(truth.table[["sample_id", "PatientID", "label"]], on="sample_id")
    known["is_error"] = known.pop("target") != known["label"]
    parts = []
    for region, inside in masks.items():
        near = np.array([_within_reach(mask, spacing_mm=spacing_mm) for mask in inside]).reshape(inside.shape)
        measures = {
            "region": region,
            "map_share": (shares * inside).sum((1, 2)),
            "area_share": inside.mean((1, 2)),
            "average_share": (average * inside).sum((1, 2)),
            "hit": [bool(reached.flat[peak]) for reached, peak in zip(near, peaks, strict=True)],
            "hit_area_share": near.mean((1, 2)),
        }
        parts.append(known.assign(**measures)[pointing & inside.any((1, 2))])
    return pd.concat(parts, ignore_index=True)


def _within_reach(mask: np.ndarray, *, spacing_mm: float) -> np.ndarray:
    """The mask widened by `REACH_MM`; an empty one stays empty."""
    return distance_transform_edt(~mask) * spacing_mm <= REACH_MM if mask.any() else mask


def localisation_table(
    found: pd.DataFrame, *, class_names: Mapping[str, str], params: EvaluationParams
) -> pd.DataFrame:
    """Mean shares by reference class and region, with intervals for which patients are resampled.

    Parameters
    ----------
    found
        Result of `localise`.
    class_names
        Class key → name, in reporting order.
    params
        Section `evaluation` of the parameters: replicates, confidence and seed.

    Returns
    -------
    Table for reading; “× area” and “× average map” divide the mean share of the maps by that of an even map and of the
    average map: 1 is no better than a map that does not know the image.
    """
    rows = []
    for region in (BODY, FRACTURE):
        for key, name in class_names.items():
            part = found[(found["label"] == key) & (found["region"] == region)]
            if len(part):
                rows.append({"class": f"{key} {name}", "region": region, **_summary(part, params=params)})
    return pd.DataFrame(rows)


def _summary(part: pd.DataFrame, *, params: EvaluationParams) -> dict[str, str | int | float]:
    ones = np.ones(len(part))
    percent = ratio_of_sums(100 * part["map_share"], ones, patients=part["PatientID"], params=params)
    over_area = ratio_of_sums(part["map_share"], part["area_share"], patients=part["PatientID"], params=params)
    over_average = ratio_of_sums(part["map_share"], part["average_share"], patients=part["PatientID"], params=params)
    hits = ratio_of_sums(part["hit"], ones, patients=part["PatientID"], params=params)
    return {
        "images": percent.n_samples,
        "patients": percent.n_patients,
        "% of the map": with_interval(percent, decimals=1),
        "% of the area": f"{100 * part['area_share'].mean():.1f}",
        "× area": with_interval(over_area, decimals=2),
        "× average map": with_interval(over_average, decimals=2),
        f"peak within {REACH_MM:g} mm": with_interval(hits, decimals=2),
        "by chance": part["hit_area_share"].mean(),
    }


def ratio_of_sums(top: np.ndarray, bottom: np.ndarray, *, patients: Iterable[str], params: EvaluationParams) -> Metric:
    """Sum of `top` over sum of `bottom`, (N,) each, with the patient-clustered bootstrap's interval."""
    codes = np.unique(np.asarray(patients, dtype=str), return_inverse=True)[1]
    n_patients = codes.max() + 1
    sums = np.stack([np.bincount(codes, weights=np.asarray(values, dtype=float)) for values in (top, bottom)])
    rng = np.random.default_rng(params.seed)
    weights = patient_weights(n_patients, n_replicates=params.n_bootstrap, rng=rng)
    return metric_from_replicates(
        float(ratio(*sums.sum(1))),
        ratio(*(weights @ sums.T).T),
        support=Support(n_samples=len(codes), n_patients=n_patients, n_limiting=n_patients),
        confidence=params.confidence,
        undefined="the region has no area",
    )


def pick_typical(found: pd.DataFrame, *, n: int) -> list[str]:
    """Samples to look at: of each class in turn those whose map covers the body about as much as the median map."""
    of_body = found[found["region"] == BODY]
    shares = of_body.groupby("label")["map_share"]
    order = of_body.assign(distance=(of_body["map_share"] - shares.transform("median")).abs())
    order = order.sort_values(["distance", "sample_id"])
    order["place"] = order.groupby("label").cumcount()
    return order.sort_values(["place", "label"], kind="stable")["sample_id"].head(n).tolist()
