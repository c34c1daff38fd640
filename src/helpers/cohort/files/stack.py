"""From headers to a stack of slices: which belong together, in which order, and what is wrong with them.

Slices are put in order by their position along the normal of their plane, never by file name or InstanceNumber. What
does not belong to the stack is set aside with a reason, if what is left is one stack without doubt; a gap, an uneven
distance or two different slices at one place end it, because a plane cut through them would be wrong without a sign.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Optional

import numpy as np

from helpers.cohort.exclusions import NotUsable, Reason
from helpers.cohort.files.headers import SliceHeader, normal
from helpers.cohort.picture import series_key

MIN_SLICES = 3
# Scanners round positions to a tenth of a millimetre or worse; a missing slice changes the distance by 100 %.
SPACING_TOLERANCE = 0.05
GAP_FACTOR = 1.5
# Direction cosines are written with six digits or so; planes that differ by more are not parallel.
COSINE_TOLERANCE = 1e-3
# A stack that slides sideways by less than this from end to end needs no correction; one whose slices deviate more
# from a straight line than this was not tilted but moved.
LATERAL_TOLERANCE_PX = 0.5
MAX_TILT_DEG = 30.0  # scanners tilt no further


@dataclass(frozen=True)
class Stack:
    """Slices in the order of their position.

    Attributes
    ----------
    slices
        At equal distances, one per place: of files at one place that with the shortest name, since copies get longer
        ones (`IM1 (1).dcm`), or the first by name.
    twins
        Pairs at one place, the first of them in `slices`: they must show the same pixels.
    aside
        Files that do not belong to the stack.
    step_mm
        Distance of neighbouring planes, along their normal.
    slide_px
        By how much each slice lies further along (rows, columns) than the one before: not zero where the gantry was
        tilted.
    """

    slices: tuple[SliceHeader, ...]
    twins: tuple[tuple[SliceHeader, SliceHeader], ...]
    aside: Mapping[str, Reason]
    step_mm: float
    slide_px: tuple[float, float]

    def affine(self) -> np.ndarray:
        """4 x 4 matrix from voxel indices (slice, row, column) of the slices as stored to mm in the patient."""
        first = self.slices[0]
        along_row, along_column = (np.array(part) for part in (first.orientation[:3], first.orientation[3:]))
        row_mm, column_mm = first.spacing_mm
        affine = np.eye(4)
        affine[:3, 0] = np.subtract(self.slices[-1].position, first.position) / (len(self.slices) - 1)
        affine[:3, 1] = along_column * row_mm
        affine[:3, 2] = along_row * column_mm
        affine[:3, 3] = first.position
        return affine


def arrange(headers: Sequence[SliceHeader], *, name: str, series: Optional[str] = None) -> Stack:
    """Find the one stack among the images of a folder, or the frames of a file.

    Parameters
    ----------
    headers
        Of all images, in any order.
    name
        What messages call the folder.
    series
        Which series, as `series_key` names it; needed where there are several of CT.

    Raises
    ------
    NotUsable
        If there is no such stack, more than one, or one with a defect that cannot be mended.
    """
    aside = {item.file: Reason.NOT_CT for item in headers if not item.is_ct}
    aside |= {item.file: Reason.LOCALIZER for item in headers if item.is_ct and item.is_localizer}
    chosen = one_series([item for item in headers if item.file not in aside], series=series, name=name)
    aside |= {
        item.file: Reason.OTHER_SERIES for item in headers if item.file not in aside and item.series != chosen[0].series
    }
    parallel = _parallel(chosen, name)
    kept = {item.file for item in parallel}
    aside |= {item.file: Reason.OTHER_ORIENTATION for item in chosen if item.file not in kept}
    _check_alike(parallel, name)
    slices, twins = _without_twins(parallel)
    step_mm = _step(slices, name)
    aside |= {twin.file: Reason.DUPLICATE_SLICE for _, twin in twins if twin.file not in {s.file for s in slices}}
    return Stack(tuple(slices), tuple(twins), aside, step_mm, _slide(slices, step_mm=step_mm, name=name))


def one_series(headers: Sequence[SliceHeader], *, series: Optional[str], name: str) -> list[SliceHeader]:
    """The images of the series asked for, or of the only one.

    Raises
    ------
    NotUsable
        If there is none, or more than one to choose from.
    """
    if not headers:
        raise NotUsable(Reason.IRREGULAR_SERIES, f"{name}: holds no CT slices")
    if series is not None:
        headers = [item for item in headers if item.series is not None and series_key(item.series) == series]
        if not headers:
            raise NotUsable(Reason.FILE_MISSING, f"{name}: no CT slice has the SeriesInstanceUID of the row")
    uids = {item.series for item in headers}
    if len(uids) > 1:
        raise NotUsable(Reason.SEVERAL_SERIES, f"{name}: {len(uids)} values of SeriesInstanceUID")
    return list(headers)


def _parallel(headers: Sequence[SliceHeader], name: str) -> list[SliceHeader]:
    """The slices of the prevailing orientation."""
    if any(item.position is None or item.orientation is None for item in headers):
        detail = f"{name}: ImagePositionPatient or ImageOrientationPatient is missing in a slice"
        raise NotUsable(Reason.IRREGULAR_SERIES, detail)
    cosines = np.array([item.orientation for item in headers])
    usual = np.array(Counter(item.orientation for item in headers).most_common(1)[0][0])
    kept = np.abs(cosines - usual).max(axis=1) < COSINE_TOLERANCE
    if kept.sum() < MIN_SLICES:
        raise NotUsable(Reason.IRREGULAR_SERIES, f"{name}: {int(kept.sum())} parallel slices are not a volume")
    if 2 * kept.sum() <= len(headers):
        detail = f"{name}: only {int(kept.sum())} of {len(headers)} slices are parallel"
        raise NotUsable(Reason.IRREGULAR_SERIES, detail)
    return [item for item, keep in zip(headers, kept, strict=True) if keep]


def _check_alike(headers: Sequence[SliceHeader], name: str) -> None:
    if any(item.spacing_mm is None for item in headers):
        raise NotUsable(Reason.MISSING_PIXEL_SPACING, f"{name}: a slice has no PixelSpacing")
    for field in ("spacing_mm", "shape"):
        found = {getattr(item, field) for item in headers}
        if len(found) > 1 or None in found:
            raise NotUsable(Reason.IRREGULAR_SERIES, f"{name}: {field} differs between slices: {sorted(found)[:2]}")
    vectors = np.array(headers[0].orientation).reshape(2, 3)
    if np.abs(vectors @ vectors.T - np.eye(2)).max() > COSINE_TOLERANCE:
        detail = f"{name}: ImageOrientationPatient is not two unit vectors at right angles"
        raise NotUsable(Reason.IRREGULAR_SERIES, detail)


def _without_twins(
    headers: Sequence[SliceHeader],
) -> tuple[list[SliceHeader], list[tuple[SliceHeader, SliceHeader]]]:
    """Slices in order, and those that lie where another one does."""
    ordered = sorted(headers, key=_height)
    steps = np.diff([_height(item) for item in ordered])
    near = SPACING_TOLERANCE * np.median(steps[steps > 0]) if (steps > 0).any() else 0.0
    places = [[ordered[0]]]
    for item in ordered[1:]:
        if _height(item) - _height(places[-1][0]) <= near:
            places[-1].append(item)
        else:
            places.append([item])
    slices, twins = [], []
    for place in places:
        kept, *others = sorted(place, key=lambda item: (len(item.file), item.file, item.frame))
        slices.append(kept)
        twins += [(kept, other) for other in others]
    return slices, twins


def _height(item: SliceHeader) -> float:
    return float(np.dot(item.position, normal(item.orientation)))


def _step(slices: Sequence[SliceHeader], name: str) -> float:
    if len(slices) < MIN_SLICES:
        raise NotUsable(Reason.IRREGULAR_SERIES, f"{name}: {len(slices)} slices are not a volume")
    heights = np.array([_height(item) for item in slices])
    steps = np.diff(heights)
    usual = float(np.median(steps))
    gaps = np.flatnonzero(steps > GAP_FACTOR * usual)
    even = np.abs(steps - usual) <= SPACING_TOLERANCE * usual
    # A gap among slices that are even otherwise; where distances vary anyhow, the stack is uneven.
    if len(gaps) and even.sum() + len(gaps) == len(steps):
        where = ", ".join(f"{heights[gap]:.1f} and {heights[gap + 1]:.1f} mm" for gap in gaps[:3])
        missing = round(float((steps[gaps] / usual - 1).sum()))
        raise NotUsable(Reason.MISSING_SLICES, f"{name}: about {missing} slices are missing between {where}")
    if not even.all():
        detail = f"{name}: distances between slices run from {steps.min():.2f} to {steps.max():.2f} mm"
        raise NotUsable(Reason.IRREGULAR_SERIES, detail)
    return float(heights[-1] - heights[0]) / (len(slices) - 1)


def _slide(slices: Sequence[SliceHeader], *, step_mm: float, name: str) -> tuple[float, float]:
    """Sideways way from slice to slice in pixels along (rows, columns) of the matrix."""
    along_row, along_column = np.array(slices[0].orientation).reshape(2, 3)
    offsets = np.array([np.subtract(item.position, slices[0].position) for item in slices])
    lateral_mm = np.stack([offsets @ along_column, offsets @ along_row], axis=1)
    lateral_px = lateral_mm / slices[0].spacing_mm
    line = np.arange(len(slices))[:, None] * lateral_px[-1] / (len(slices) - 1)
    if np.abs(lateral_px - line).max() > LATERAL_TOLERANCE_PX:
        raise NotUsable(Reason.IRREGULAR_SERIES, f"{name}: slices are shifted sideways against each other")
    if np.abs(lateral_px[-1]).max() <= LATERAL_TOLERANCE_PX:
        return 0.0, 0.0
    tilt_deg = float(np.degrees(np.arctan2(np.hypot(*lateral_mm[-1]) / (len(slices) - 1), step_mm)))
    if tilt_deg > MAX_TILT_DEG:
        raise NotUsable(Reason.TILTED_GANTRY, f"{name}: slices slide sideways as if tilted by {tilt_deg:.0f} degrees")
    row_px, column_px = lateral_px[-1] / (len(slices) - 1)
    return float(row_px), float(column_px)
