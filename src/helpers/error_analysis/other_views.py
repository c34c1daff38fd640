"""Simulated images of what the study does not ask about: other planes, and another part of the body."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from helpers.error_analysis.pictures import BONE_WINDOW
from helpers.phantom import ImageRequest, render_image, sample_patient
from helpers.preprocessing import Field, cut_field
from helpers.study import PreprocessingParams

LEVELS = ("T12", "L1", "L2", "L3", "L4")
#: How far in front of the spine an image of something else is centred.
IN_FRONT_MM = 45.0
#: Name → what is asked of the simulator; the first tells what being simulated alone makes of an image.
VIEWS: Mapping[str, ImageRequest] = MappingProxyType(
    {
        "simulated, same plane": ImageRequest("C", "L1"),
        "simulated, axial": ImageRequest("C", "L1", orientation="axial"),
        "simulated, coronal": ImageRequest("C", "L1", orientation="coronal"),
        "simulated, in front of the spine": ImageRequest("C", "L1", jitter_mm=(-IN_FRONT_MM, 0.0)),
    }
)


def simulated_views(name: str, *, n: int, like: np.ndarray, params: PreprocessingParams) -> np.ndarray:
    """Images of normal vertebrae of `n` simulated patients, cut as the cached images are.

    Parameters
    ----------
    name
        Name in `VIEWS`.
    n
        Patients, one image each; the same patients for all views.
    like
        Cached images (N, ..., H, W) that give type and planes: int16 HU, or uint8, which is given a bone window.
    params
        Section `preprocessing` of the parameters.

    Returns
    -------
    (n, ..., H, W) of the type of `like`; three planes are one thrice.
    """
    request = VIEWS[name]
    squares = np.stack([_square(request, seed=seed, params=params) for seed in range(n)])
    if like.dtype == np.uint8:
        center, width = BONE_WINDOW
        squares = np.rint(255 * ((squares - center) / width + 0.5).clip(0, 1)).astype(np.uint8)
    planes = like.shape[1:-2]
    return np.broadcast_to(np.expand_dims(squares, tuple(range(1, 1 + len(planes)))), (n, *planes, *squares.shape[1:]))


def _square(request: ImageRequest, *, seed: int, params: PreprocessingParams) -> np.ndarray:
    """One image, cut around the middle of its plane, which lies in the target or in front of it."""
    rng = np.random.default_rng(seed)
    level = str(rng.choice(LEVELS))
    patient = sample_patient(rng, patient_id=f"VIEW{seed:03d}", fractures={})
    asked = ImageRequest("C", level, jitter_mm=request.jitter_mm, orientation=request.orientation)
    image = render_image(patient, request=asked, rng=rng)
    center = tuple((length - 1) / 2 for length in image.hu.shape)
    if not any(request.jitter_mm):
        x0, y0, x1, y1 = image.box
        center = ((y0 + y1) / 2, (x0 + x1) / 2)
    spacing_mm = (image.plane.pixel_mm, image.plane.pixel_mm)
    return cut_field(image.hu, Field(center, spacing_mm, params.spacing_mm, params.image_size))[0]
