"""The simulated cohort as a folder: genuine DICOM files, labels, truth (a table and masks), a mark of completion."""

import contextlib
import fcntl
import hashlib
import json
import logging
import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from helpers.phantom.acquisition import CORRELATION, Correlation
from helpers.phantom.anatomy import LEVEL_WEIGHTS, TARGET_LEVELS
from helpers.phantom.canvas import Orientation, require_orientation
from helpers.phantom.dicom_writer import place_images, write_ct_image
from helpers.phantom.patient import Patient, RenderedImage, plan_images, render_image, sample_patient
from helpers.phantom.segmentation import write_masks_png, write_segmentation
from helpers.phantom.truth import posterior_wall_broken
from helpers.study.engine import end_with_parent

logger = logging.getLogger(__name__)

#: Raise it whenever a change alters the images: cohorts of another version are never reused.
FORMAT_VERSION = 4
CLASS_KEYS = ("A", "B", "C")
MAX_IMAGES_PER_PATIENT = 4
#: Fewer levels could not hold the images of a patient of different classes.
MIN_LEVELS = 4
MARK = "phantom.json"
LABELS, TRUTH = "labels.csv", "truth.parquet"
LOCK = ".lock"
#: Below this many images starting worker processes takes longer than it saves.
_SERIAL_IMAGES = 24

Report = Callable[[int, int], None]
Row = dict[str, str | int | float | bool]


@dataclass(frozen=True)
class PhantomSpec:
    """What to simulate.

    Parameters
    ----------
    images
        Images per class: A compression, B burst, C normal (this study's letters, not AO's). A class left out has none.
    patients
        Number of patients; each has 1 to 4 images.
    seed
        Non-negative seed from which everything follows.
    orientation
        Plane of the images: sagittal, coronal or axial.
    levels
        Levels that are imaged, each as often as the others; None for T11 to L5 with the junction most often.
    segmentations
        Whether the truth masks are also written as DICOM Segmentations (about twice the time).
    correlation
        How much images of one patient and one scanner look alike, and whether the scanner tells the class.

    Raises
    ------
    ValueError
        If a field cannot be met; the message names the field.
    """

    images: dict[str, int] = field(default_factory=lambda: {"A": 279, "B": 295, "C": 124})
    patients: int = 350
    seed: int = 2024
    orientation: Orientation = "sagittal"
    levels: tuple[str, ...] | None = None
    segmentations: bool = False
    correlation: Correlation = CORRELATION

    def __post_init__(self) -> None:
        for key, count in self.images.items():
            if key not in CLASS_KEYS:
                raise ValueError(f"images: unknown class {key!r}; known are {', '.join(CLASS_KEYS)}")
            _require_count(f"images[{key!r}]", count, least=0)
        _require_count("patients", self.patients, least=1)
        _require_count("seed", self.seed, least=0)
        require_orientation(self.orientation)
        if self.levels is not None and (
            len(set(self.levels)) < MIN_LEVELS or not set(self.levels) <= set(TARGET_LEVELS)
        ):
            raise ValueError(f"levels: {self.levels!r}; give at least {MIN_LEVELS} of {', '.join(TARGET_LEVELS)}")
        object.__setattr__(self, "images", {key: self.images.get(key, 0) for key in CLASS_KEYS})
        if self.total < self.patients:
            raise ValueError(f"patients: {self.patients} patients need at least as many images, got {self.total}")
        if self.total > MAX_IMAGES_PER_PATIENT * self.patients:
            raise ValueError(
                f"patients: {self.total} images need at least {-(-self.total // MAX_IMAGES_PER_PATIENT)} patients "
                f"({MAX_IMAGES_PER_PATIENT} images each at most), got {self.patients}"
            )

    @property
    def total(self) -> int:
        """Images over all classes."""
        return sum(self.images.values())

    @property
    def digest(self) -> str:
        """SHA-256 (hex) over the specification and `FORMAT_VERSION`."""
        text = json.dumps({"format_version": FORMAT_VERSION, **asdict(self)}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def _require_count(name: str, value: int, *, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name}: {value!r} is not a whole number of at least {least}")


@dataclass(frozen=True)
class PatientTask:
    """What a worker needs to simulate one patient: number, class letters of the images, seed, the cohort's spec."""

    number: int
    labels: tuple[str, ...]
    seed: np.random.SeedSequence
    spec: PhantomSpec

    @property
    def patient_id(self) -> str:
        """``SIM0001`` and so on."""
        return f"SIM{self.number:04d}"


def plan_cohort(spec: PhantomSpec) -> list[PatientTask]:
    """Share the images out: exactly ``spec.images`` over exactly ``spec.patients`` patients of 1 to 4 images.

    Images of one class are dealt out in sequence, so that a patient has one kind of fracture (at most one patient
    has both); normal images come in runs of one to three, alone or beside a patient's fractures.
    """
    deal_seed, *seeds = np.random.SeedSequence(spec.seed).spawn(1 + spec.patients)
    rng = np.random.default_rng(deal_seed)
    sizes = np.ones(spec.patients, dtype=int)
    for _ in range(spec.total - spec.patients):
        sizes[rng.choice(np.flatnonzero(sizes < MAX_IMAGES_PER_PATIENT))] += 1
    deck = _deal_labels(rng, images=spec.images)
    ends = np.cumsum(sizes)
    hands = [tuple(deck[end - size : end]) for end, size in zip(ends, sizes, strict=True)]
    order = rng.permutation(spec.patients)
    return [PatientTask(i + 1, hands[j], seeds[i], spec) for i, j in enumerate(order)]


def _deal_labels(rng: np.random.Generator, *, images: dict[str, int]) -> list[str]:
    """All A, then all B, with the C scattered among them in runs of one to three."""
    fractures = ["A"] * images["A"] + ["B"] * images["B"]
    runs = []
    while sum(runs) < images["C"]:
        runs.append(min(int(rng.integers(1, 4)), images["C"] - sum(runs)))
    places = sorted(rng.integers(0, len(fractures) + 1, size=len(runs)), reverse=True)
    for place, run in zip(places, runs, strict=True):
        fractures[place:place] = ["C"] * run
    return fractures


def simulate_patient(task: PatientTask) -> tuple[Patient, list[RenderedImage]]:
    """Draw a task's patient and take their images; depends on the task alone."""
    rng = np.random.default_rng(task.seed)
    weights = LEVEL_WEIGHTS if task.spec.levels is None else dict.fromkeys(task.spec.levels, 1.0)
    fractures, requests = plan_images(rng, labels=task.labels, orientation=task.spec.orientation, level_weights=weights)
    patient = sample_patient(rng, patient_id=task.patient_id, fractures=fractures, correlation=task.spec.correlation)
    return patient, [render_image(patient, request=request, rng=rng) for request in requests]


def simulate_cohort(
    spec: PhantomSpec, folder: str | os.PathLike[str], *, report: Report | None = None, workers: int = 2
) -> Path:
    """Simulate a cohort below ``folder``, or return the complete one that lies there.

    Parameters
    ----------
    report
        Called as ``report(done, total)`` with numbers of images.
    workers
        Processes; the files do not depend on it.

    Returns
    -------
    ``<folder>/phantom-<digest>`` with ``DICOM/<PatientID>/*.dcm``, ``masks/<PatientID>/*.png`` (see
    `helpers.phantom.segmentation`), ``labels.csv``, ``truth.parquet`` and, written last, ``phantom.json``. A folder
    without that mark is incomplete and is built anew; what killed processes have left half-built is removed.

    Raises
    ------
    ValueError
        If ``workers`` is not a positive whole number.
    """
    _require_count("workers", workers, least=1)
    cohort = cohort_folder(spec, folder)
    if is_complete(cohort, spec=spec):
        logger.info("reusing the simulated cohort %s", cohort)
        return cohort
    cohort.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(cohort.parent)
    with _building_site(cohort) as site:
        _build(spec, site, report=report or _no_report, workers=workers)
        if cohort.exists():
            shutil.rmtree(cohort)
        site.chmod(0o755)  # mkdtemp lets only its owner in
        site.rename(cohort)
        (cohort / LOCK).unlink()
    return cohort


@contextlib.contextmanager
def _building_site(cohort: Path) -> Iterator[Path]:
    """A locked folder beside ``cohort`` to be filled and renamed; gone at the end if it was not."""
    site = Path(tempfile.mkdtemp(prefix=f".{cohort.name}-", dir=cohort.parent))
    try:
        with _locked(site):
            yield site
    finally:
        shutil.rmtree(site, ignore_errors=True)


def _remove_abandoned(folder: Path) -> None:
    """Remove the building sites below ``folder`` that nobody holds."""
    for lock in folder.glob(f".phantom-*/{LOCK}"):
        with contextlib.suppress(OSError), _locked(lock.parent):  # in use, or another user's
            shutil.rmtree(lock.parent)


@contextlib.contextmanager
def _locked(site: Path) -> Iterator[None]:
    """Hold a building site; the lock goes when the process does, however it ends."""
    with (site / LOCK).open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def cohort_folder(spec: PhantomSpec, folder: str | os.PathLike[str]) -> Path:
    """Where `simulate_cohort` puts a cohort below ``folder``, whether it is there or not."""
    return Path(folder) / f"phantom-{spec.digest[:12]}"


def is_complete(cohort: Path, *, spec: PhantomSpec) -> bool:
    """Whether the folder holds all that `simulate_cohort` writes for a specification."""
    try:
        return json.loads((cohort / MARK).read_text(encoding="utf-8")).get("digest") == spec.digest
    except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError):
        return False


def _no_report(done: int, total: int) -> None:
    """Report to nobody."""


def _build(spec: PhantomSpec, folder: Path, *, report: Report, workers: int) -> None:
    rows: list[tuple[Row, Row]] = []
    report(0, spec.total)
    for patient_rows in _run_tasks(plan_cohort(spec), folder=folder, workers=workers):
        rows.extend(patient_rows)
        report(len(rows), spec.total)
    rows.sort(key=lambda pair: pair[0]["file"])
    labels, truth = (pd.DataFrame([pair[i] for pair in rows]) for i in (0, 1))
    labels.to_csv(folder / LABELS, index=False, lineterminator="\n")
    truth.to_parquet(folder / TRUTH, index=False)
    mark = {"digest": spec.digest, "format_version": FORMAT_VERSION, "spec": asdict(spec), "simulated": True}
    (folder / MARK).write_text(json.dumps(mark, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _run_tasks(tasks: Sequence[PatientTask], *, folder: Path, workers: int) -> Iterator[list[tuple[Row, Row]]]:
    """Yield each patient's rows as they are finished, in any order."""
    if workers == 1 or sum(len(task.labels) for task in tasks) <= _SERIAL_IMAGES:
        yield from (write_patient(task, folder) for task in tasks)
        return
    # "spawn" is safe beside the threads of torch and BLAS, and the same on every platform.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=end_with_parent) as pool:
        futures = [pool.submit(write_patient, task, folder) for task in tasks]
        try:
            yield from (future.result() for future in as_completed(futures))
        finally:
            pool.shutdown(cancel_futures=True)


def write_patient(task: PatientTask, folder: Path) -> list[tuple[Row, Row]]:
    """Simulate a patient, write their files below ``folder`` and return a (label, truth) row for each image."""
    patient, images = simulate_patient(task)
    for kind in ("DICOM", "masks", *(("SEG",) if task.spec.segmentations else ())):
        (folder / kind / patient.patient_id).mkdir(parents=True)
    rows = []
    for number, (image, place) in enumerate(zip(images, place_images(images, cohort=task.spec.digest), strict=True), 1):
        name = f"{patient.patient_id}/IM{number:04d}"
        source = write_ct_image(folder / "DICOM" / f"{name}.dcm", image=image, patient=patient, place=place)
        write_masks_png(folder / "masks" / f"{name}.png", masks=image.masks)
        if task.spec.segmentations:
            write_segmentation(folder / "SEG" / f"{name}.dcm", image=image, source=source)
        common: Row = {
            "file": f"DICOM/{name}.dcm",
            "PatientID": patient.patient_id,
            "label": image.target.label,
            "level": image.request.level,
        }
        truth = _truth(patient, image=image)
        box = dict(zip(("x0", "y0", "x1", "y1"), image.box, strict=True))
        heights = {key: round(truth[key], 4) for key in ("anterior_ratio", "middle_ratio", "posterior_ratio")}
        rows.append(({**common, **box, **heights}, {**common, "masks": f"masks/{name}.png", **truth}))
    return rows


def _truth(patient: Patient, *, image: RenderedImage) -> Row:
    """Everything that is known of one image beyond its label; lengths in mm, attenuation in HU."""
    target, heights, settings = image.target, image.target.shape.heights, patient.acquisition
    fracture = target.fracture
    anterior, middle, posterior = heights.ratios
    return {
        "anterior_height_mm": heights.anterior_mm,
        "middle_height_mm": heights.middle_mm,
        "posterior_height_mm": heights.posterior_mm,
        "anterior_ratio": anterior,
        "middle_ratio": middle,
        "posterior_ratio": posterior,
        "height_ratio": heights.ratio,
        "canal_mm": target.canal_mm,
        "fragment_mm": target.fragment_mm,
        "canal_narrowing": target.narrowing,
        "subtype": fracture.subtype if fracture else "none",
        "ao_type": fracture.ao_type if fracture else "none",
        "acuteness": ("acute" if fracture.acute else "chronic") if fracture else "none",
        "posterior_wall_broken": posterior_wall_broken(target.shape),
        "interpedicular_splay_mm": fracture.splay_mm if fracture else 0.0,
        "neighbours_fractured": patient.spine.neighbours_fractured(image.request.level),
        "orientation": image.plane.orientation,
        "offset_mm": image.request.offset_mm,
        "age_years": patient.age,
        "sex": patient.sex,
        "trabecular_hu": patient.tissue.trabecular,
        "contrast_medium": patient.tissue.contrast,
        "metal": bool(patient.metal.rods),
        "station": settings.station,
        "kernel": settings.kernel,
        "kvp": settings.kvp,
        "slice_mm": settings.slice_mm,
        "reformat_mm": settings.reformat_mm,
        "pixel_mm": settings.pixel_mm,
        "psf_sigma_mm": settings.psf_mm,
        "noise_hu": settings.noise_hu,
        "patient_entropy": patient.entropy,
    }
