"""Simulated mid-sagittal thoracolumbar CT of three classes, written as genuine DICOM: A compression, B burst, C normal.

Every image is simulated: it shows no person and proves nothing about one. Read `simulate_cohort` first.
"""

from helpers.phantom.patient import ImageRequest, Patient, RenderedImage, plan_images, render_image, sample_patient
from helpers.phantom.simulation import PhantomSpec, plan_cohort, simulate_cohort

__all__ = [
    "ImageRequest",
    "Patient",
    "PhantomSpec",
    "RenderedImage",
    "plan_cohort",
    "plan_images",
    "render_image",
    "sample_patient",
    "simulate_cohort",
]
