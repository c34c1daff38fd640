"""Simulated thoracolumbar CT of three classes, written as genuine DICOM: A compression, B burst, C normal.

The anatomy is described in space and drawn on any plane. Every image is simulated: it shows no person and proves
nothing about one. Read `simulate_cohort` first.

Each module builds only on those before it:

- shapes in space and the slab they are drawn on: `geometry`, `canvas`;
- bone: `anatomy` (what is normal), `body`, `fracture`, `posterior`, `spine`;
- materials and painting: `tissue`, `arch`, `surroundings`, `course`, `background`, `metal`, `rendering`, and `truth`;
- the scanner: `response`, `noise`, `scanners`, `acquisition`;
- the cohort: `patient`, `dicom_writer`, `segmentation`, `simulation`.
"""

from helpers.phantom.acquisition import Correlation
from helpers.phantom.canvas import ORIENTATIONS, Plane
from helpers.phantom.patient import (
    ImageRequest,
    Patient,
    RenderedImage,
    draw_plane,
    plan_images,
    render_image,
    sample_patient,
)
from helpers.phantom.segmentation import read_masks_png
from helpers.phantom.simulation import CLASS_KEYS, PhantomSpec, plan_cohort, simulate_cohort

__all__ = [
    "CLASS_KEYS",
    "ORIENTATIONS",
    "Correlation",
    "ImageRequest",
    "Patient",
    "PhantomSpec",
    "Plane",
    "RenderedImage",
    "draw_plane",
    "plan_cohort",
    "plan_images",
    "read_masks_png",
    "render_image",
    "sample_patient",
    "simulate_cohort",
]
