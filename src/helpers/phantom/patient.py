"""One simulated patient and the images taken of them: who is drawn, what is asked for, and what comes out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from helpers.phantom.acquisition import AIR_HU, Acquisition, acquire, sample_acquisition
from helpers.phantom.anatomy import LEVEL_NORMS, LEVELS, TARGET_LEVELS, Piece
from helpers.phantom.background import Surroundings, sample_surroundings
from helpers.phantom.canvas import Canvas
from helpers.phantom.geometry import Range, draw
from helpers.phantom.rendering import draw_plane
from helpers.phantom.spine import Spine, Vertebra, sample_spine
from helpers.phantom.tissue import Tissue, sample_tissue


@dataclass(frozen=True)
class PatientRanges:
    """How patients and their images vary; lengths in mm. Ages are (mean, standard deviation) by first fracture."""

    age_years: tuple[tuple[str, float, float], ...] = (("A", 65, 12), ("B", 55, 14), ("C", 58, 15))
    age_limits: Range = (20.0, 92.0)
    female: tuple[tuple[str, float], ...] = (("A", 0.58), ("B", 0.46), ("C", 0.52))
    neighbour_rate: float = 0.16
    adjacent_weight: float = 0.35
    same_level_rate: float = 0.5
    midline_rate: float = 0.6
    offset_mm: float = 5.5
    offset_apart_mm: float = 1.5
    jitter_mm: float = 4.0
    centre_behind_mm: float = 5.0
    cut_rate: float = 0.07
    cut_mm: Range = (48.0, 66.0)


PATIENTS = PatientRanges()


@dataclass(frozen=True)
class ImageRequest:
    """One image to take: the target's class and level, the plane's distance from the midline, the framing.

    ``jitter_mm`` moves the centre (posterior, caudal); ``cut_mm`` is where the scanned range ends, as a signed
    distance caudal of the target, or None.
    """

    label: str
    level: str
    offset_mm: float
    jitter_mm: tuple[float, float]
    cut_mm: float | None


@dataclass(frozen=True)
class Patient:
    """A patient: all that their images share. ``entropy`` seeds textures and other fine detail."""

    patient_id: str
    age: int
    sex: str
    spine: Spine
    tissue: Tissue
    around: Surroundings
    acquisition: Acquisition
    entropy: int


@dataclass(frozen=True)
class RenderedImage:
    """An image with its truth.

    `hu` is int16 (rows, columns); `origin_mm` is the plane position (p, c) of the centre of pixel [0, 0]; `box` is
    (x0, y0, x1, y1) of the target body in pixels, x along columns, whole numbers at pixel centres, displaced fragments
    left out.
    """

    hu: np.ndarray
    origin_mm: tuple[float, float]
    box: tuple[float, float, float, float]
    target: Vertebra
    request: ImageRequest


def plan_images(rng: np.random.Generator, *, labels: Sequence[str]) -> tuple[dict[str, str], tuple[ImageRequest, ...]]:
    """Choose levels for a patient's images.

    Parameters
    ----------
    labels
        Class letter of each image, in order.

    Returns
    -------
    The patient's fractures (level -> "A" or "B"; levels beside a target may be broken without being imaged) and one
    request per label.
    """
    levels = _choose_levels(rng, labels=labels)
    fractures = {level: label for label, level in zip(labels, levels, strict=True) if label != "C"}
    spared = {level for label, level in zip(labels, levels, strict=True) if label == "C"}
    for level in dict.fromkeys(levels):
        if rng.random() < PATIENTS.neighbour_rate:
            index = LEVELS.index(level)
            beside = [name for name in (LEVELS[index - 1], LEVELS[index + 1]) if not name.startswith("S")]
            free = [name for name in beside if name not in spared and name not in fractures]
            if free and not any(name in fractures for name in beside):
                fractures[str(rng.choice(free))] = str(rng.choice(["A", "B"], p=[0.75, 0.25]))
    taken: dict[str, list[float]] = {level: [] for level in levels}
    requests = []
    for label, level in zip(labels, levels, strict=True):
        offset = _choose_offset(rng, taken=taken[level])
        taken[level].append(offset)
        requests.append(_request(rng, label=label, level=level, offset_mm=offset))
    return fractures, tuple(requests)


def _choose_levels(rng: np.random.Generator, *, labels: Sequence[str]) -> list[str]:
    """A level per label: the same class may come back to its level, two classes never share one."""
    weights = np.array([LEVEL_NORMS[level].weight for level in TARGET_LEVELS])
    levels: list[str] = []
    for i, label in enumerate(labels):
        own = [level for level, other in zip(levels, labels[:i], strict=True) if other == label]
        if own and rng.random() < PATIENTS.same_level_rate:
            levels.append(str(rng.choice(own)))
            continue
        odds = weights * [_openness(level, levels=levels) for level in TARGET_LEVELS]
        levels.append(str(rng.choice(TARGET_LEVELS, p=odds / odds.sum())))
    return levels


def _openness(level: str, *, levels: Sequence[str]) -> float:
    """How readily a level is chosen beside ``levels``: never twice, and seldom next to one of them."""
    apart = min((abs(LEVELS.index(level) - LEVELS.index(other)) for other in levels), default=2)
    return (0.0, PATIENTS.adjacent_weight, 1.0)[min(apart, 2)]


def _choose_offset(rng: np.random.Generator, *, taken: Sequence[float]) -> float:
    """A plane through a level, mostly the midline, and clear of the planes already ``taken`` there."""
    if not taken and rng.random() < PATIENTS.midline_rate:
        return 0.0
    while True:
        offset = round(draw(rng, (-PATIENTS.offset_mm, PATIENTS.offset_mm)), 2)
        if all(abs(offset - other) >= PATIENTS.offset_apart_mm for other in taken):
            return offset


def _request(rng: np.random.Generator, *, label: str, level: str, offset_mm: float) -> ImageRequest:
    jitter = rng.normal(0, PATIENTS.jitter_mm / 2, size=2).clip(-PATIENTS.jitter_mm, PATIENTS.jitter_mm)
    cut = draw(rng, PATIENTS.cut_mm) * float(rng.choice([-1, 1])) if rng.random() < PATIENTS.cut_rate else None
    return ImageRequest(label, level, offset_mm, (float(jitter[0]), float(jitter[1])), cut)


def sample_patient(rng: np.random.Generator, *, patient_id: str, fractures: Mapping[str, str]) -> Patient:
    """Draw a patient whose broken levels are exactly ``fractures`` (level -> "A" or "B").

    Age and sex lean mildly with the first fracture's kind (compressions are older, more often women); the scanner
    does not depend on it.

    Raises
    ------
    ValueError
        If a level is not a vertebra above the sacrum or a kind is not "A" or "B".
    """
    for level, kind in fractures.items():
        if level not in LEVELS or level.startswith("S") or kind not in ("A", "B"):
            raise ValueError(f"fractures: {level!r}: {kind!r}; give a level T8 to L5 and kind 'A' or 'B'")
    leaning = next(iter(fractures.values()), "C")
    mean, spread = {key: (mean, spread) for key, mean, spread in PATIENTS.age_years}[leaning]
    age = int(np.clip(rng.normal(mean, spread), *PATIENTS.age_limits))
    sex = "F" if rng.random() < dict(PATIENTS.female)[leaning] else "M"
    return Patient(
        patient_id=patient_id,
        age=age,
        sex=sex,
        spine=sample_spine(rng, age=age, sex=sex, fractures=fractures),
        tissue=sample_tissue(rng, age=age, sex=sex, fragile=leaning == "A"),
        around=sample_surroundings(rng, age=age),
        acquisition=sample_acquisition(rng),
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
    canvas = _blank_canvas(target, request=request, settings=patient.acquisition)
    draw_plane(
        canvas,
        spine=patient.spine,
        tissue=patient.tissue,
        around=patient.around,
        entropy=patient.entropy,
        offset_mm=request.offset_mm,
    )
    hu = acquire(canvas.hu, settings=patient.acquisition, rng=rng)
    inset = canvas.step_mm * (patient.acquisition.oversampling - 1) / 2
    origin = (float(canvas.p[0]) + inset, float(canvas.c[0]) + inset)
    if request.cut_mm is not None:
        rows = origin[1] + patient.acquisition.pixel_mm * np.arange(len(hu)) - target.frame.c_mm
        hu[rows > request.cut_mm if request.cut_mm > 0 else rows < request.cut_mm] = AIR_HU
    box = _body_box(target, origin=origin, pixel_mm=patient.acquisition.pixel_mm)
    return RenderedImage(hu, origin, box, target, request)


def _blank_canvas(target: Vertebra, *, request: ImageRequest, settings: Acquisition) -> Canvas:
    centre = (
        target.frame.p_mm + PATIENTS.centre_behind_mm + request.jitter_mm[0],
        target.frame.c_mm + request.jitter_mm[1],
    )
    step = settings.pixel_mm / settings.oversampling
    counts = (settings.columns * settings.oversampling, settings.rows * settings.oversampling)
    p, c = (mid + step * (np.arange(n) - (n - 1) / 2) for mid, n in zip(centre, counts, strict=True))
    return Canvas(np.zeros((len(c), len(p)), dtype=np.float32), p.astype(np.float32), c.astype(np.float32))


def _body_box(target: Vertebra, *, origin: tuple[float, float], pixel_mm: float) -> tuple[float, float, float, float]:
    # The unbroken outline: a box around displaced fragments would tell a burst by its framing alone.
    outline = replace(target.shape, pieces=(Piece(),))
    points = (target.frame.to_plane(outline.bone_points()) - origin) / pixel_mm
    (x0, y0), (x1, y1) = points.min(axis=0), points.max(axis=0)
    return tuple(round(float(x), 1) for x in (x0, y0, x1, y1))
