"""One simulated patient and the images taken of them: who is drawn, what is asked for, and what comes out."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from helpers.phantom.acquisition import AIR_HU, CORRELATION, Acquisition, Correlation, acquire, sample_acquisition
from helpers.phantom.anatomy import LEVEL_WEIGHTS, LEVELS, is_sacral
from helpers.phantom.canvas import Canvas, Orientation, Plane, require_orientation
from helpers.phantom.geometry import Range, draw, triple
from helpers.phantom.metal import Metal, sample_metal
from helpers.phantom.rendering import draw_anatomy, draw_metal
from helpers.phantom.spine import Spine, Vertebra, sample_spine
from helpers.phantom.surroundings import Surroundings, sample_surroundings
from helpers.phantom.tissue import Texture, Tissue, sample_texture, sample_tissue
from helpers.phantom.truth import truth_masks


@dataclass(frozen=True)
class PatientRanges:
    """How patients and their images vary; lengths in mm. Ages are (mean, standard deviation) by first fracture."""

    age_years: tuple[tuple[str, float, float], ...] = (("A", 65, 12), ("B", 55, 14), ("C", 58, 15))
    age_limits: Range = (20.0, 92.0)
    female: tuple[tuple[str, float], ...] = (("A", 0.58), ("B", 0.46), ("C", 0.52))
    neighbour_rates: tuple[tuple[str, float], ...] = (("A", 0.18), ("B", 0.04), ("C", 0.20))
    adjacent_weight: float = 0.15
    same_level_rate: float = 0.5
    midline_rate: float = 0.6
    sagittal_offset_mm: Range = (-5.5, 5.5)
    coronal_offset_mm: Range = (-6.0, 6.0)
    axial_offset_mm: Range = (-9.0, 4.0)
    offset_apart_mm: float = 1.5
    jitter_mm: float = 4.0
    centre_behind_mm: float = 5.0
    cut_rate: float = 0.07
    cut_mm: Range = (48.0, 66.0)

    def offsets(self, orientation: Orientation) -> Range:
        """How far an image's plane may lie from the middle of its target: to the left, posterior or caudal."""
        return {"sagittal": self.sagittal_offset_mm, "coronal": self.coronal_offset_mm, "axial": self.axial_offset_mm}[
            orientation
        ]


PATIENTS = PatientRanges()
#: How often an unasked fracture beside a target is a compression, and how often a burst.
_NEIGHBOUR_ODDS = (0.75, 0.25)
#: A slab is averaged from samples at most this far apart, and from no more than so many.
_SUB_SLICE_MM = 1.2
_MAX_SUB_SLICES = 3


@dataclass(frozen=True)
class ImageRequest:
    """One image to take: the target's class and level, the plane and its distance from the target, the framing.

    ``offset_mm`` is to the left (sagittal), posterior (coronal) or caudal (axial) of the body's middle; ``jitter_mm``
    moves the centre along columns and rows; ``cut_mm`` is where the scanned range ends, as a signed distance caudal
    of the target, or None.
    """

    label: str
    level: str
    offset_mm: float = 0.0
    jitter_mm: tuple[float, float] = (0.0, 0.0)
    cut_mm: float | None = None
    orientation: Orientation = "sagittal"


@dataclass(frozen=True)
class Patient:
    """A patient: all that their images share. ``entropy`` seeds textures and other fine detail."""

    patient_id: str
    age: int
    sex: str
    spine: Spine
    tissue: Tissue
    texture: Texture
    around: Surroundings
    metal: Metal
    acquisition: Acquisition
    entropy: int


@dataclass(frozen=True)
class RenderedImage:
    """An image with its truth.

    `hu` is int16 (rows, columns); `box` is (x0, y0, x1, y1) of the target body in pixels, x along columns, whole
    numbers at pixel centres, displaced fragments left out; `masks` are bool (rows, columns) by structure.
    """

    hu: np.ndarray
    plane: Plane
    box: tuple[float, float, float, float]
    masks: Mapping[str, np.ndarray]
    target: Vertebra
    request: ImageRequest


def plan_images(
    rng: np.random.Generator,
    *,
    labels: Sequence[str],
    orientation: Orientation = "sagittal",
    level_weights: Mapping[str, float] = LEVEL_WEIGHTS,
) -> tuple[dict[str, str], tuple[ImageRequest, ...]]:
    """Choose levels for a patient's images.

    Parameters
    ----------
    labels
        Class letter of each image, in order.
    orientation
        Plane of all images.
    level_weights
        How often each level is imaged, relative to the others.

    Returns
    -------
    The patient's fractures (level -> "A" or "B"; levels beside a target may be broken without being imaged) and one
    request per label.

    Raises
    ------
    ValueError
        If the orientation is unknown.
    """
    require_orientation(orientation)
    levels = _choose_levels(rng, labels=labels, weights=level_weights)
    fractures = {level: label for label, level in zip(labels, levels, strict=True) if label != "C"}
    spared = {level for label, level in zip(labels, levels, strict=True) if label == "C"}
    for level in dict.fromkeys(levels):
        if rng.random() < dict(PATIENTS.neighbour_rates)[fractures.get(level, "C")]:
            fractures |= _break_neighbour(rng, level=level, fractures=fractures, spared=spared)
    taken: dict[str, list[float]] = {level: [] for level in levels}
    requests = []
    for label, level in zip(labels, levels, strict=True):
        offset = _choose_offset(rng, taken=taken[level], bounds=PATIENTS.offsets(orientation))
        taken[level].append(offset)
        requests.append(_request(rng, label=label, level=level, offset_mm=offset, orientation=orientation))
    return fractures, tuple(requests)


def _choose_levels(rng: np.random.Generator, *, labels: Sequence[str], weights: Mapping[str, float]) -> list[str]:
    """A level per label: the same class may come back to its level, two classes never share one."""
    names = tuple(weights)
    levels: list[str] = []
    for i, label in enumerate(labels):
        own = [level for level, other in zip(levels, labels[:i], strict=True) if other == label]
        if own and rng.random() < PATIENTS.same_level_rate:
            levels.append(str(rng.choice(own)))
            continue
        odds = np.array([weights[level] * _openness(level, levels=levels) for level in names])
        levels.append(str(rng.choice(names, p=odds / odds.sum())))
    return levels


def _break_neighbour(
    rng: np.random.Generator, *, level: str, fractures: Mapping[str, str], spared: Collection[str]
) -> dict[str, str]:
    """A fracture beside ``level``, or none where a neighbour is broken already or all are ``spared``."""
    index = LEVELS.index(level)
    beside = [name for name in (LEVELS[index - 1], LEVELS[index + 1]) if not is_sacral(name)]
    free = [name for name in beside if name not in spared and name not in fractures]
    if not free or any(name in fractures for name in beside):
        return {}
    kind = str(rng.choice(["A", "B"], p=_NEIGHBOUR_ODDS))
    return {str(rng.choice(free)): kind}


def _openness(level: str, *, levels: Sequence[str]) -> float:
    """How readily a level is chosen beside ``levels``: never twice, and seldom next to one of them."""
    apart = min((abs(LEVELS.index(level) - LEVELS.index(other)) for other in levels), default=2)
    return (0.0, PATIENTS.adjacent_weight, 1.0)[min(apart, 2)]


def _choose_offset(rng: np.random.Generator, *, taken: Sequence[float], bounds: Range) -> float:
    """A plane through a level, mostly its middle, and clear of the planes already ``taken`` there."""
    if not taken and rng.random() < PATIENTS.midline_rate:
        return 0.0
    while True:
        offset = round(draw(rng, bounds), 2)
        if all(abs(offset - other) >= PATIENTS.offset_apart_mm for other in taken):
            return offset


def _request(
    rng: np.random.Generator, *, label: str, level: str, offset_mm: float, orientation: Orientation
) -> ImageRequest:
    jitter = rng.normal(0, PATIENTS.jitter_mm / 2, size=2).clip(-PATIENTS.jitter_mm, PATIENTS.jitter_mm)
    cut = draw(rng, PATIENTS.cut_mm) * float(rng.choice([-1, 1])) if rng.random() < PATIENTS.cut_rate else None
    return ImageRequest(label, level, offset_mm, (float(jitter[0]), float(jitter[1])), cut, orientation)


def sample_patient(
    rng: np.random.Generator,
    *,
    patient_id: str,
    fractures: Mapping[str, str],
    correlation: Correlation = CORRELATION,
) -> Patient:
    """Draw a patient whose broken levels are exactly ``fractures`` (level -> "A" or "B").

    Age and sex lean mildly with the first fracture's kind (compressions are older, more often women); whether the
    scanner does is up to ``correlation``.

    Raises
    ------
    ValueError
        If a level is not a vertebra above the sacrum or a kind is not "A" or "B".
    """
    for level, kind in fractures.items():
        if level not in LEVELS or is_sacral(level) or kind not in ("A", "B"):
            raise ValueError(f"fractures: {level!r}: {kind!r}; give a level T8 to L5 and kind 'A' or 'B'")
    leaning = next(iter(fractures.values()), "C")
    mean, spread = {key: (mean, spread) for key, mean, spread in PATIENTS.age_years}[leaning]
    age = int(np.clip(rng.normal(mean, spread), *PATIENTS.age_limits))
    sex = "F" if rng.random() < dict(PATIENTS.female)[leaning] else "M"
    tissue = sample_tissue(rng, age=age, sex=sex, fragile=leaning == "A")
    spine = sample_spine(rng, age=age, sex=sex, fractures=fractures)
    return Patient(
        patient_id=patient_id,
        age=age,
        sex=sex,
        spine=spine,
        tissue=tissue,
        texture=sample_texture(rng, grain_mm=tissue.texture_grain_mm),
        around=sample_surroundings(rng, age=age),
        metal=sample_metal(rng, vertebrae=[vertebra.frame.to_patient for vertebra in spine.vertebrae.values()]),
        acquisition=sample_acquisition(rng, class_index="ABC".index(leaning), correlation=correlation),
        entropy=int(rng.integers(2**31)),
    )


def render_image(patient: Patient, *, request: ImageRequest, rng: np.random.Generator) -> RenderedImage:
    """Take one image of a patient; ``rng`` drives the noise only.

    Raises
    ------
    ValueError
        If the target's measured class is not the requested one.
    """
    target = patient.spine.at(request.level)
    if target.label != request.label:
        raise ValueError(f"{patient.patient_id} {request.level} is of class {target.label}, not {request.label}")
    settings = patient.acquisition
    plane = frame_image(patient, request=request)
    hu = acquire(draw_plane(patient, plane=plane), settings=settings, orientation=request.orientation, rng=rng)
    if request.cut_mm is not None and request.orientation != "axial":
        rows = plane.corner_mm[2] + plane.pixel_mm * np.arange(plane.rows) - target.frame.origin_mm[2]
        hu[rows > request.cut_mm if request.cut_mm > 0 else rows < request.cut_mm] = AIR_HU
    masks = truth_masks(target, plane=plane)
    return RenderedImage(hu, plane, _body_box(target, plane=plane), masks, target, request)


def frame_image(patient: Patient, *, request: ImageRequest) -> Plane:
    """The plane that a request asks for: through its target, at the matrix and pixel size of the patient's scanner."""
    settings = patient.acquisition
    centre = list(patient.spine.at(request.level).frame.origin_mm)
    centre[1] += PATIENTS.centre_behind_mm * (request.orientation != "coronal")
    thickness = settings.thickness_mm(request.orientation)
    plane = Plane(request.orientation, (0.0, 0.0, 0.0), settings.rows, settings.columns, settings.pixel_mm, thickness)
    across, down, along = plane.axes
    for axis, shift in ((across, request.offset_mm), (along, request.jitter_mm[0]), (down, request.jitter_mm[1])):
        centre[axis] += shift
    return replace(plane, centre_mm=triple(centre))


def draw_plane(patient: Patient, *, plane: Plane) -> np.ndarray:
    """HU of a slab on the scanner's fine grid, averaged through its thickness: before blur and noise, float32."""
    slices = int(np.clip(np.ceil(plane.thickness_mm / _SUB_SLICE_MM), 1, _MAX_SUB_SLICES))
    canvas = Canvas.of(plane, oversampling=patient.acquisition.oversampling, slices=slices)
    draw_anatomy(
        canvas,
        spine=patient.spine,
        tissue=patient.tissue,
        texture=patient.texture,
        around=patient.around,
        entropy=patient.entropy,
    )
    draw_metal(canvas, metal=patient.metal)
    return canvas.hu.mean(axis=0)


def _body_box(target: Vertebra, *, plane: Plane) -> tuple[float, float, float, float]:
    # The unbroken outline: a box around displaced fragments would tell a burst by its framing alone.
    if plane.orientation == "sagittal":
        outline = target.shape.outline()
        points = np.column_stack([np.zeros(len(outline)), outline])
    else:
        points = target.shape.corners()
    places = plane.to_pixels(target.frame.to_patient(points))
    (x0, y0), (x1, y1) = places.min(axis=0), places.max(axis=0)
    return tuple(round(float(x), 1) for x in (x0, y0, x1, y1))
