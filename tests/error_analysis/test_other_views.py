import numpy as np
import pytest

from helpers.error_analysis.other_views import VIEWS, simulated_views
from helpers.study import PreprocessingParams

PARAMS = PreprocessingParams(spacing_mm=2.0, image_size=40)
HU = np.zeros((1, 40, 40), dtype=np.int16)


@pytest.fixture(scope="module")
def views() -> dict[str, np.ndarray]:
    return {name: simulated_views(name, n=2, like=HU, params=PARAMS) for name in VIEWS}


def test_views_of_the_same_patients_differ(views):
    assert {view.shape for view in views.values()} == {(2, 40, 40)}
    same, *others = views.values()
    assert all(np.abs(view.astype(float) - same).mean() > 50 for view in others)


def test_bone_lies_in_the_middle_of_all_but_the_last(views):
    middle = {name: view[:, 16:24, 16:24].mean() for name, view in views.items()}
    *of_spine, in_front = middle.values()
    assert min(of_spine) > in_front + 50


def test_views_are_given_the_type_and_planes_of_the_cached_images(views):
    name = next(iter(VIEWS))
    grey = simulated_views(name, n=1, like=np.zeros((1, 3, 40, 40), dtype=np.uint8), params=PARAMS)
    assert (grey.shape, grey.dtype) == ((1, 3, 40, 40), np.dtype(np.uint8))
    assert (grey[0, 0] == grey[0, 2]).all()
    shares = (views[name][:1] - 300.0) / 1500 + 0.5
    np.testing.assert_allclose(grey[:, 0], 255 * shares.clip(0, 1), atol=0.51)
