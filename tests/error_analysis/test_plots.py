import numpy as np
import pandas as pd
import pytest

from helpers.error_analysis.plots import gallery_titles, plot_gallery, plot_saliency


def test_titles_name_reference_prediction_and_level():
    rows = pd.DataFrame(
        {
            "sample_id": ["s1", "s2"],
            "y_true": ["A", "B"],
            "y_pred": ["B", "B"],
            "confidence": [0.91, 0.5],
            "level": ["L1", None],
        }
    )
    first, second = gallery_titles(rows)
    assert first == "L1 A → B, 0.91\ns1"
    assert second == "B → B, 0.50\ns2"


@pytest.mark.parametrize("n", [1, 4, 5])
def test_one_picture_for_each_image(n):
    images = np.zeros((n, 8, 8))
    figure = plot_gallery(images, titles=[str(i) for i in range(n)])
    assert [axis.get_title() for axis in figure.axes if axis.images] == [str(i) for i in range(n)]


def test_saliency_is_laid_over_its_image_on_one_scale():
    maps = np.zeros((2, 8, 8))
    maps[0, 2, 3] = 0.5
    figure = plot_saliency(np.zeros((2, 8, 8)), maps, titles=["a", "b"])
    overlays = [axis.images[1] for axis in figure.axes[:2]]
    assert [overlay.get_clim() for overlay in overlays] == [(0, 1), (0, 1)]
    assert overlays[0].get_array()[2, 3] == 0.5


@pytest.mark.parametrize("overlaid", [False, True])
def test_nothing_to_show_is_said_in_words(overlaid):
    none = np.zeros((0, 8, 8))
    figure = plot_saliency(none, none, titles=[]) if overlaid else plot_gallery(none, titles=[])
    assert "nothing to show" in figure.texts[0].get_text()
