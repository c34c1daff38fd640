"""How alike do cohorts look? HU, noise and sharpness of cached images, simulated and real.

All is measured on the squares as they are cached, after resampling: what differs here, the network can see.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view
from scipy.ndimage import gaussian_filter, map_coordinates, maximum_filter, spline_filter
from scipy.stats import wasserstein_distance

from helpers.cohort.picture import middle_plane
from helpers.preprocessing.geometry import AIR_HU, BLACK, HU_RANGE
from helpers.study import CohortParams, Run

BIN_HU = 20
HISTOGRAM_EDGES_HU = np.arange(AIR_HU, 1600, BIN_HU)

PATCH_PX = 16
PATCHES_PER_IMAGE = 3
# Muscle, blood, disc and organs: the tissues with the least structure of their own.
SOFT_TISSUE_HU = (0, 120)

EDGES_PER_IMAGE = 10
EDGE_SCALE_MM = 1.0
EDGE_REACH_MM = 4.0
# The mean of parallel lines holds less noise; over 3 mm an endplate is still straight.
EDGE_LINES_MM = np.linspace(-1.5, 1.5, 7)
PROFILE_STEP_MM = 0.05
# An edge that touches these values is one of air or padding, or is clipped: what is left is bone beside soft tissue.
EDGE_RANGE_HU, EDGE_RANGE_GREY = (-200, HU_RANGE[1]), (BLACK, 255)

UNITS = {"noise": "HU", "noise frequency": "cycles/mm", "edge width": "mm"}
READINGS = {
    "noise": "1 is equal; above 1 noisier",
    "noise frequency": "1 is equal; above 1 finer grain",
    "edge width": "1 is equal; above 1 less sharp",
}


@dataclass(frozen=True)
class CohortImages:
    """The cached images of one cohort.

    Attributes
    ----------
    title
        Name of the cohort, and whether it is simulated or real.
    images
        (N, H, W) or (N, 3, H, W), int16 HU or uint8 grey values.
    labels
        (N,) class keys.
    """

    title: str
    images: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class Appearance:
    """What was measured of one cohort. Of 8-bit images all but the edges is empty: grey values are not HU.

    Attributes
    ----------
    title
        Name of the cohort.
    n_images
        Images that were measured.
    histogram
        As `hu_histogram` gives it.
    spectrum
        As `noise_power_spectrum` gives it.
    values
        Quantity of `UNITS` -> its measurements, (n,): standard deviation of each homogeneous patch; mean spatial
        frequency of its noise, weighted by power; 10-90 % rise distance of each edge.
    """

    title: str
    n_images: int
    histogram: pd.DataFrame
    spectrum: pd.DataFrame
    values: dict[str, np.ndarray]


def cohort_images(run: Run) -> list[CohortImages]:
    """The run's own cohort, then its external ones, as cached; images stay memory-mapped."""
    study = run.study
    own = CohortImages(_title(study.cohort, "this study"), run.read_array("images"), _labels(run.read_table("cohort")))
    if not study.external.external:
        return [own]
    table = run.read_table("external")
    return [own] + [
        CohortImages(
            _title(cohort, cohort.name),
            run.read_array(f"external_images/{cohort.name}.npy"),
            _labels(table[table["cohort"] == cohort.name]),
        )
        for cohort in study.external.external
    ]


def measure(cohort: CohortImages, *, spacing_mm: float, at_most: int = 120, seed: int = 0) -> Appearance:
    """Measure a cohort on all its images, or on `at_most` drawn without replacement.

    Parameters
    ----------
    cohort
        What to measure.
    spacing_mm
        Pixel size of the images.
    at_most
        Images that are measured.
    seed
        Of the draw.
    """
    count = len(cohort.images)
    rows = np.sort(np.random.default_rng(seed).choice(count, min(count, at_most), replace=False))
    images = np.stack([middle_plane(cohort.images[row]) for row in rows])
    in_hu = images.dtype != np.uint8
    residuals = homogeneous_patches(images) if in_hu else np.empty((0, PATCH_PX, PATCH_PX))
    return Appearance(
        title=cohort.title,
        n_images=len(images),
        histogram=hu_histogram(images) if in_hu else pd.DataFrame({"hu": [], "density": []}),
        spectrum=noise_power_spectrum(residuals, spacing_mm=spacing_mm),
        values={
            "noise": residuals.std(axis=(1, 2)),
            "noise frequency": noise_frequencies(residuals, spacing_mm=spacing_mm),
            "edge width": edge_widths_mm(images, spacing_mm=spacing_mm),
        },
    )


def hu_histogram(images: np.ndarray) -> pd.DataFrame:
    """Density of HU in bins of 20 HU from -1024 to 1596; values above count in none.

    Parameters
    ----------
    images
        HU, any shape. Pixels of exactly -1024 HU are padding, or lie outside the scanner's field, and are left out.

    Returns
    -------
    Columns hu (middle of the bin) and density per HU.

    Raises
    ------
    ValueError
        If the images are 8-bit: grey values of an unknown window are not HU.
    """
    if images.dtype == np.uint8:
        raise ValueError("8-bit grey values are not HU: their histogram is not comparable")
    density, edges = np.histogram(images[images != AIR_HU], bins=HISTOGRAM_EDGES_HU, density=True)
    return pd.DataFrame({"hu": edges[:-1] + BIN_HU / 2, "density": density})


def homogeneous_patches(images: np.ndarray) -> np.ndarray:
    """Noise of the flattest patches of soft tissue, three of every image where it has them.

    A surface of second order is fitted to each patch; the patches whose surface varies least are taken, and what the
    fit leaves over is their noise. Choosing by the surface, not by the noise itself, keeps noisy patches in.

    Parameters
    ----------
    images
        (N, H, W) in HU.

    Returns
    -------
    (n, 16, 16) residuals in HU, each of mean 0.
    """
    found = [_flattest(image.astype(float)) for image in images]
    return np.concatenate([np.empty((0, PATCH_PX, PATCH_PX)), *found])


def noise_power_spectrum(residuals: np.ndarray, *, spacing_mm: float) -> pd.DataFrame:
    """Radial noise power spectrum of detrended patches (Siewerdsen et al. 2002, doi 10.1118/1.1513158).

    Parameters
    ----------
    residuals
        (n, s, s) noise in HU, each patch of mean 0.
    spacing_mm
        Pixel size.

    Returns
    -------
    Columns frequency_per_mm (cycles/mm), nps_hu2_mm2 and area_per_mm2, the area of the ring in the frequency plane:
    the sum of power times area is the mean variance of the patches. Rings beyond 1 / (2 spacing) lie in the corners of
    the plane only.
    """
    side = residuals.shape[-1]
    step = 1 / (side * spacing_mm)
    ring = np.rint(_radial_frequency(side, spacing_mm) / step).astype(int).ravel()
    power = _power(residuals, spacing_mm=spacing_mm).mean(axis=0) if len(residuals) else np.full((side, side), np.nan)
    count = np.bincount(ring)
    nps = np.bincount(ring, weights=power.ravel()) / count
    table = pd.DataFrame({"frequency_per_mm": step * np.arange(len(count)), "nps_hu2_mm2": nps})
    return table.assign(area_per_mm2=count * step**2).iloc[1:].dropna().reset_index(drop=True)


def noise_frequencies(residuals: np.ndarray, *, spacing_mm: float) -> np.ndarray:
    """Mean spatial frequency of each patch's noise, weighted by power: high for fine grain, low for coarse.

    Parameters
    ----------
    residuals
        (n, s, s) noise in HU, each patch of mean 0 and not constant.
    spacing_mm
        Pixel size.

    Returns
    -------
    (n,) in cycles/mm.
    """
    power = _power(residuals, spacing_mm=spacing_mm)
    return np.average(
        np.broadcast_to(_radial_frequency(residuals.shape[-1], spacing_mm), power.shape), axis=(1, 2), weights=power
    )


def edge_widths_mm(images: np.ndarray, *, spacing_mm: float) -> np.ndarray:
    """Distance over which the strongest edges rise from 10 to 90 %, ten of every image where it has them.

    Profiles run along the gradient; only the part counts over which a profile does nothing but rise, so that a thin
    cortex is measured up to its ridge. A step that is blurred by a Gaussian of standard deviation s rises over 2.56 s.
    Edges of air, of padding, and those that reach the end of an 8-bit scale are left out.

    Parameters
    ----------
    images
        (N, H, W) int16 HU or uint8 grey values.
    spacing_mm
        Pixel size.

    Returns
    -------
    (n,) in mm.
    """
    low, high = EDGE_RANGE_GREY if images.dtype == np.uint8 else EDGE_RANGE_HU
    widths = []
    for image in images:
        profiles = _edge_profiles(np.clip(image.astype(float), low, high), spacing_mm=spacing_mm)
        rises = [_monotone_rise(profile) for profile in profiles]
        widths += [_rise_distance(rise) * PROFILE_STEP_MM for rise in rises if rise[0] > low and rise[-1] < high]
    return np.array(widths)


def summarise(appearances: Sequence[Appearance]) -> pd.DataFrame:
    """Median and quartiles of every quantity of each cohort; n is the number of patches or edges."""
    rows = []
    for appearance in appearances:
        for quantity, unit in UNITS.items():
            values = appearance.values[quantity]
            row = {"cohort": appearance.title, "images": appearance.n_images, "quantity": quantity, "unit": unit}
            q25, median, q75 = np.quantile(values, (0.25, 0.5, 0.75)) if len(values) else (np.nan,) * 3
            rows.append({**row, "n": len(values), "median": median, "q25": q25, "q75": q75})
    return pd.DataFrame(rows)


def compare(reference: Appearance, others: Sequence[Appearance]) -> pd.DataFrame:
    """One number per quantity for the distance of other cohorts from a first one, with how to read it.

    Returns
    -------
    Columns cohort, quantity, measure, value (NaN where 8-bit images give none) and reading.
    """
    columns = ["cohort", "quantity", "measure", "value", "reading"]
    rows = [
        (other.title, *row)
        for other in others
        for row in (_histogram_row(reference, other), *_ratio_rows(reference, other))
    ]
    return pd.DataFrame(rows, columns=columns)


def _title(params: CohortParams, name: str) -> str:
    return f"{name} ({'simulated' if params.source == 'phantom' else 'real'})"


def _labels(table: pd.DataFrame) -> np.ndarray:
    return table["label"].to_numpy(dtype=str)


def _flattest(image: np.ndarray) -> np.ndarray:
    """Residuals of the flattest patches of one image, (n, 16, 16)."""
    tiles = sliding_window_view(image, (PATCH_PX, PATCH_PX))[::PATCH_PX, ::PATCH_PX].reshape(-1, PATCH_PX**2)
    means = tiles.mean(axis=1)
    # A constant patch was filled in, not measured.
    tiles = tiles[(means > SOFT_TISSUE_HU[0]) & (means < SOFT_TISSUE_HU[1]) & (np.ptp(tiles, axis=1) > 0)]
    basis = _second_order_basis(PATCH_PX)
    coefficients = tiles @ basis
    trend = np.linalg.norm(coefficients[:, 1:], axis=1)
    flattest = np.argsort(trend, kind="stable")[:PATCHES_PER_IMAGE]
    residuals = tiles[flattest] - coefficients[flattest] @ basis.T
    return residuals.reshape(-1, PATCH_PX, PATCH_PX)


def _second_order_basis(side: int) -> np.ndarray:
    """Orthonormal surfaces of second order on a square, (side * side, 6); the first is the constant."""
    y, x = (axis.ravel() for axis in np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j])
    basis, _ = np.linalg.qr(np.column_stack([np.ones_like(x), x, y, x * y, x**2, y**2]))
    return basis


def _power(residuals: np.ndarray, *, spacing_mm: float) -> np.ndarray:
    """Noise power of every patch on the frequency plane, HU^2 mm^2."""
    side = residuals.shape[-1]
    return np.abs(np.fft.fft2(residuals)) ** 2 * (spacing_mm / side) ** 2


def _radial_frequency(side: int, spacing_mm: float) -> np.ndarray:
    frequency = np.fft.fftfreq(side, spacing_mm)
    return np.hypot(*np.meshgrid(frequency, frequency))


def _edge_profiles(image: np.ndarray, *, spacing_mm: float) -> np.ndarray:
    """Profiles across the strongest edges, rising, (n, samples); each the mean of parallel lines."""
    gradient = np.stack([gaussian_filter(image, EDGE_SCALE_MM / spacing_mm, order=order) for order in ((1, 0), (0, 1))])
    strength = _strongest_inside(np.hypot(*gradient), reach=round(EDGE_REACH_MM / spacing_mm))
    peaks = np.argwhere(strength > 0)
    peaks = peaks[np.argsort(-strength[tuple(peaks.T)], kind="stable")[:EDGES_PER_IMAGE]]
    normal = gradient[:, *peaks.T] / strength[tuple(peaks.T)]
    tangent = np.stack([-normal[1], normal[0]])
    along = np.arange(-EDGE_REACH_MM, EDGE_REACH_MM + PROFILE_STEP_MM / 2, PROFILE_STEP_MM) / spacing_mm
    # axes: row or column, edge, line, sample
    points = peaks.T[:, :, None, None] + normal[:, :, None, None] * along
    points = points + tangent[:, :, None, None] * (EDGE_LINES_MM / spacing_mm)[:, None]
    # Cubic splines: linear interpolation would blur the edge by itself.
    return map_coordinates(spline_filter(image), points, prefilter=False, mode="nearest").mean(axis=1)


def _strongest_inside(strength: np.ndarray, *, reach: int) -> np.ndarray:
    """Zero but where no pixel within `reach` is stronger; nearer to the border than `reach` nothing counts."""
    inner = np.zeros_like(strength)
    inside = (slice(reach, -reach), slice(reach, -reach))
    inner[inside] = strength[inside]
    return np.where(inner == maximum_filter(inner, 2 * reach + 1), inner, 0)


def _monotone_rise(profile: np.ndarray) -> np.ndarray:
    """The part of a profile around its steepest central point over which it only rises."""
    slope = np.diff(profile)
    third = len(slope) // 3
    steepest = third + np.argmax(slope[third:-third])
    falling = np.flatnonzero(slope <= 0)
    first = falling[falling < steepest].max(initial=-1) + 1
    last = falling[falling > steepest].min(initial=len(slope))
    return profile[first : last + 1]


def _rise_distance(rise: np.ndarray) -> float:
    """Samples between 10 and 90 % of a monotone rise."""
    share = (rise - rise[0]) / (rise[-1] - rise[0])
    return float(np.diff(np.interp((0.1, 0.9), share, np.arange(len(rise)))).item())


def _histogram_row(reference: Appearance, other: Appearance) -> tuple[str, str, float, str]:
    measure = "Wasserstein distance, HU"
    if reference.histogram.empty or other.histogram.empty:
        return "histogram", measure, np.nan, "not comparable: 8-bit grey values are not HU"
    one, two = reference.histogram, other.histogram
    value = wasserstein_distance(one["hu"], two["hu"], one["density"], two["density"])
    return "histogram", measure, value, "0 is equal; by how many HU a pixel must change on average"


def _ratio_rows(reference: Appearance, other: Appearance) -> list[tuple[str, str, float, str]]:
    rows = []
    for quantity, reading in READINGS.items():
        one, two = reference.values[quantity], other.values[quantity]
        if not (len(one) and len(two)):
            rows.append((quantity, "ratio of medians", np.nan, "not comparable: nothing to measure, or 8-bit images"))
            continue
        rows.append((quantity, "ratio of medians", float(np.median(two) / np.median(one)), reading))
    return rows
