"""Does saliency hit the fracture? LayerCAM maps against masks of the target, which only simulated images have.

A share of a map means little alone: the target lies in the middle of every crop, so a map that ignores the image can
still cover it. Each share is therefore set beside two maps that know nothing of the image: an even one, whose share is
that of the area, and the average of the maps of the class. Pointing game: Zhang et al. 2018, 10.1007/s11263-017-1059-x.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.ndimage import distance_transform_edt, map_coordinates

from helpers.cohort.truth import Truth
from helpers.error_analysis.clustered import patient_codes, ratio_of_sums, resampled_metric
from helpers.error_analysis.pictures import cut_centre
from helpers.error_analysis.saliency import SaliencyMaps, cell_centres
from helpers.error_analysis.wording import with_interval
from helpers.evaluation.estimates import Bounds, Metric
from helpers.evaluation.metrics import ratio
from helpers.preprocessing.masks import cut_mask
from helpers.study import EvaluationParams, PreprocessingParams

BODY, FRACTURE, CANAL = "vertebral body", "structures that break", "canal"
#: Region → name of its mask; `FRACTURE` is put together from those of `FRACTURED`.
STRUCTURES = {BODY: "body", CANAL: "canal", "end plates": "endplates", "posterior wall": "posterior_wall"}
REGIONS = (BODY, FRACTURE, *list(STRUCTURES)[1:])
#: What breaks in each simulated class, by the names of the masks; which of its two end plates, the masks do not tell.
FRACTURED = {"A": ("endplates",), "B": ("endplates", "posterior_wall", "fragment"), "C": ()}
#: A peak counts as a hit this far beside a structure: thin ones are narrower than a map can point.
REACH_MM = 3.0
#: Maps that lie in a region this many times as much as the average map of their class notably follow the image.
NOTABLE_EXCESS = 1.05

Masks = Mapping[str, np.ndarray]


def target_masks(
    sample_ids: Iterable[str], *, truth: Truth, image_index: pd.DataFrame, params: PreprocessingParams, size: int
) -> dict[str, np.ndarray]:
    """Masks of the target body, of what is broken in it, and of its other structures, in the pixels of the crops.

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
    (N, size, size) bool for each of `REGIONS`; empty where nothing is broken or the plane misses it.
    """
    places = image_index.set_index("sample_id")
    classes = truth.table.set_index("sample_id")["simulated_label"]
    sample_ids = list(sample_ids)
    regions = {name: np.zeros((len(sample_ids), size, size), dtype=bool) for name in REGIONS}
    for index, sample in enumerate(sample_ids):
        masks = truth.masks(sample)
        broken = [masks[name] for name in FRACTURED[classes[sample]]]
        drawn = {region: masks[name] for region, name in STRUCTURES.items()}
        drawn[FRACTURE] = np.any(broken, axis=0) if broken else np.zeros_like(masks["body"])
        for name, mask in drawn.items():
            square = cut_mask(mask, place=places.loc[sample], size=params.image_size)
            regions[name][index] = cut_centre(square, size=size)
    return regions


def localise(maps: SaliencyMaps, *, masks: Masks, truth: Truth, spacing_mm: float) -> pd.DataFrame:
    """How much of each map lies within each region, and whether its peak hits it; of right predictions alone.

    A map explains the predicted class and a mask shows what the reference class breaks: where the two differ, a map
    beside the mask may be right for what it explains.

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
    One row per right prediction and region that the crop shows, without maps that are zero everywhere: sample_id,
    PatientID, label, region; `row` of the map among the N; `map_share` of the map's mass within the region and
    `area_share` of the crop; `hit`, whether the peak lies within `REACH_MM` of the region, `hit_by_chance`, the share
    of the cells whose centre does, and `hit_by_average`, whether the peak of the class's average map does.
    """
    known = maps.table[["sample_id", "target"]].merge(truth.table[["sample_id", "PatientID", "label"]], on="sample_id")
    mass = maps.cells.sum((1, 2))
    kept = np.flatnonzero((known["target"] == known["label"]) & (mass > 0))
    known = known.loc[kept, ["sample_id", "PatientID", "label"]].assign(row=kept)
    cells = maps.cells[kept] / mass[kept, None, None]
    average = _class_means(cells, labels=known["label"])
    shares = map_shares(maps.maps[kept])
    parts = []
    for region, drawn in masks.items():
        inside = drawn[kept]
        near = [_cells_near(mask, n_cells=cells.shape[-1], spacing_mm=spacing_mm) for mask in inside]
        measures = {
            "region": region,
            "map_share": (shares * inside).sum((1, 2)),
            "area_share": inside.mean((1, 2)),
            "hit": _at_peaks(near, cells),
            "hit_by_chance": [reached.mean() for reached in near],
            "hit_by_average": _at_peaks(near, average),
        }
        parts.append(known.assign(**measures)[inside.any((1, 2))])
    return pd.concat(parts, ignore_index=True)


def map_shares(maps: np.ndarray) -> np.ndarray:
    """Each of (N, S, S) maps divided by its mass."""
    return maps / maps.sum((1, 2), keepdims=True, dtype=np.float64).astype(np.float32)


def _class_means(values: np.ndarray, *, labels: pd.Series) -> np.ndarray:
    """For each of the N values the mean of all that have its label."""
    means = np.zeros_like(values)
    for label in labels.unique():
        means[labels == label] = values[labels == label].mean(0)
    return means


def _cells_near(mask: np.ndarray, *, n_cells: int, spacing_mm: float) -> np.ndarray:
    """(n_cells, n_cells) bool: the cells whose centre lies within `REACH_MM` of a mask; none of an empty one."""
    if not mask.any():
        return np.zeros((n_cells, n_cells), dtype=bool)
    centres = cell_centres(n_cells, size=len(mask))
    distance = map_coordinates(distance_transform_edt(~mask), np.meshgrid(centres, centres, indexing="ij"), order=1)
    return distance * spacing_mm <= REACH_MM


def _at_peaks(near: Sequence[np.ndarray], cells: np.ndarray) -> list[bool]:
    """Whether the strongest of each (G, G) cells is one of those that are near."""
    return [bool(reached.flat[values.argmax()]) for reached, values in zip(near, cells, strict=True)]


@dataclass(frozen=True)
class Localisation:
    """How the maps of one class lie towards one region.

    Parameters
    ----------
    name
        Key and name of the class.
    region
        One of `REGIONS`.
    percent
        Mean share of the maps within the region, in percent.
    area
        Mean share of the crop that it covers.
    over_area, over_average
        The mean share of the maps divided by that of an even map, and by that of the average map of other patients who
        are rightly called the same.
    hits
        Share of the peaks within `REACH_MM` of the region.
    hit_by_chance, hit_by_average
        The same of the centre of any cell, and of the peak of the class's average map.
    """

    name: str
    region: str
    percent: Metric
    area: float
    over_area: Metric
    over_average: Metric
    hits: Metric
    hit_by_chance: float
    hit_by_average: float

    @property
    def follows_image(self) -> bool:
        """Whether maps lie in the region by `NOTABLE_EXCESS` more than the average map, and that beyond chance."""
        found = self.over_average
        return found.estimate >= NOTABLE_EXCESS and found.ci_low is not None and found.ci_low > 1


def measure_localisation(
    found: pd.DataFrame, *, maps: SaliencyMaps, masks: Masks, class_names: Mapping[str, str], params: EvaluationParams
) -> list[Localisation]:
    """Mean shares by region and class, with intervals for which patients are resampled.

    Parameters
    ----------
    found
        Result of `localise`.
    maps, masks
        What it was found in.
    class_names
        Class key → name, in reporting order.
    params
        Section `evaluation` of the parameters: replicates, confidence and seed.
    """
    measured = []
    for region in masks:
        for key, name in class_names.items():
            part = found[(found["label"] == key) & (found["region"] == region)]
            if len(part):
                shares, inside = map_shares(maps.maps[part["row"]]), masks[region][part["row"]]
                over_average = over_others(shares, inside=inside, patients=part["PatientID"], params=params)
                measured.append(_measure(part, name=f"{key} {name}", over_average=over_average, params=params))
    return measured


def _measure(part: pd.DataFrame, *, name: str, over_average: Metric, params: EvaluationParams) -> Localisation:
    ones, resampled = np.ones(len(part)), {"patients": part["PatientID"], "params": params}
    return Localisation(
        name=name,
        region=part["region"].iloc[0],
        percent=ratio_of_sums(100 * part["map_share"], ones, bounds=Bounds(upper=100), **resampled),
        area=part["area_share"].mean(),
        over_area=ratio_of_sums(part["map_share"], part["area_share"], bounds=None, **resampled),
        over_average=over_average,
        hits=ratio_of_sums(part["hit"], ones, **resampled),
        hit_by_chance=part["hit_by_chance"].mean(),
        hit_by_average=part["hit_by_average"].mean(),
    )


def localisation_table(measured: Sequence[Localisation]) -> pd.DataFrame:
    """The result of `measure_localisation` for reading.

    “× area” and “× average map” are `over_area` and `over_average`: above 1 in the latter, maps follow the image and
    not its class alone. Peaks are set beside two that do not know the image: any cell's, and the average map's.
    """
    return pd.DataFrame([_readable(one) for one in measured])


def _readable(one: Localisation) -> dict[str, str | int]:
    return {
        "class": one.name,
        "region": one.region,
        "images": one.percent.n_samples,
        "patients": one.percent.n_patients,
        "% of the map": with_interval(one.percent, decimals=1),
        "% of the area": f"{100 * one.area:.1f}",
        "× area": with_interval(one.over_area, decimals=2),
        "× average map": with_interval(one.over_average, decimals=2),
        f"peak within {REACH_MM:g} mm": with_interval(one.hits, decimals=2),
        "any cell": f"{one.hit_by_chance:.2f}",
        "average map's peak": f"{one.hit_by_average:.2f}",
    }


def describe_localisation(measured: Sequence[Localisation]) -> str:
    """What the table says of the body and of what is broken, in sentences for Markdown.

    Parameters
    ----------
    measured
        Result of `measure_localisation`.
    """
    asked = [one for one in measured if one.region in (BODY, FRACTURE)]
    if not asked:
        return "Without simulated truth, or without a right prediction, nothing can be said of where the maps lie."
    amounts = {region: [one.over_area for one in asked if one.region == region] for region in (BODY, FRACTURE)}
    (first, factor), *rest = [(region, _span(factors)) for region, factors in amounts.items() if factors]
    others = "".join(f", and in the {region} {factor}" for region, factor in rest)
    return f"Maps lie in the {first} {factor} as much as an even map would{others}. {_beyond_class(asked)}"


def _beyond_class(asked: Sequence[Localisation]) -> str:
    known = [one for one in asked if not np.isnan(one.over_average.estimate)]
    if not known:
        return "There is no average map of other patients to compare them with."
    followed = [one for one in known if one.follows_image]
    if followed:
        named = "; ".join(f"{one.name}, {one.region} ({one.over_average.estimate:.2f} times)" for one in followed)
        return (
            f"They lie notably more there than the average map of their class, so follow the single image, in: {named}."
        )
    compared = (
        f"But they lie there {_span([one.over_average for one in known])} as much as the average map of their class: "
        f"nowhere at least {NOTABLE_EXCESS:g} times with an interval above 1."
    )
    if all(one.over_average.ci_high is not None and one.over_average.ci_high < NOTABLE_EXCESS for one in known):
        reading = "So these maps follow the predicted class and hardly the single image, and explain no single image."
    else:  # few patients: the intervals leave room for more
        reading = (
            "So it is not shown that these maps follow the single image: take none as an explanation of its image."
        )
    return f"{compared} **{reading}**"


def _span(metrics: Sequence[Metric]) -> str:
    """Smallest and largest of some factors in words."""
    low, high = (f"{limit(metric.estimate for metric in metrics):.2f}" for limit in (min, max))
    return f"{low} times" if low == high else f"{low} to {high} times"


def over_others(shares: np.ndarray, *, inside: np.ndarray, patients: Iterable[str], params: EvaluationParams) -> Metric:
    """Mean share of maps within their own masks, over that of the average map of all other patients.

    The average is found anew in each replicate. A patient's own maps are left out of it, or a patient drawn twice would
    be compared with himself.

    Parameters
    ----------
    shares
        (N, S, S) maps that add up to 1 each.
    inside
        (N, S, S) bool masks.
    patients
        N patients.
    params
        Section `evaluation` of the parameters: replicates, confidence and seed.
    """
    codes = patient_codes(patients)
    members = np.eye(codes.max() + 1)[codes]
    # mass of one map (column) in the mask of another (row), of samples and then of patients
    crossed = inside.reshape(len(codes), -1).astype(np.float32) @ shares.reshape(len(codes), -1).T
    own, between = np.diag(crossed) @ members, members.T @ crossed @ members
    np.fill_diagonal(between, 0)
    n_maps = members.sum(0)

    def share_ratio(weights: np.ndarray) -> np.ndarray:
        n_others = (weights @ n_maps)[:, None] - weights * n_maps
        expected = ratio(weights @ between.T, n_others)
        return ratio(weights @ own, (weights * expected).sum(1))

    return resampled_metric(share_ratio, codes=codes, params=params, undefined="there is no other patient", bounds=None)


def pick_typical(found: pd.DataFrame, *, n: int) -> list[str]:
    """Samples to look at: of each class in turn those whose map covers the body about as much as the median map."""
    of_body = found[found["region"] == BODY]
    shares = of_body.groupby("label")["map_share"]
    order = of_body.assign(distance=(of_body["map_share"] - shares.transform("median")).abs())
    order = order.sort_values(["distance", "sample_id"])
    order["place"] = order.groupby("label").cumcount()
    return order.sort_values(["place", "label"], kind="stable")["sample_id"].head(n).tolist()
