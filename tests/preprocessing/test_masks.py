import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.preprocessing import Field, cut_field
from helpers.preprocessing.masks import cut_mask


def edges(field: Field) -> dict[str, float]:
    """The square's outer edges as the image index notes them."""
    top, left = field.offset - field.scale / 2
    height, width = field.size * field.scale
    return {"field_x0": left, "field_y0": top, "field_x1": left + width, "field_y1": top + height}


@given(
    row=st.floats(-5, 65),
    column=st.floats(-5, 85),
    row_mm=st.floats(0.4, 0.8),
    column_mm=st.floats(0.4, 0.8),
    size=st.integers(20, 41),
)
def test_lies_where_the_image_lies(row, column, row_mm, column_mm, size):
    """An image that shows the mask in HU, cut on a grid that is not coarser, shows the same pixels."""
    mask = np.zeros((60, 80), dtype=bool)
    mask[20:33, 31:52] = True
    field = Field((row, column), (row_mm, column_mm), 0.4, size)
    image, _ = cut_field(np.where(mask, 1000.0, 0.0), field)
    cut = cut_mask(mask, place=edges(field), size=size)
    clear = np.abs(image - 500) > 1  # rounding to whole HU leaves the very edge open
    np.testing.assert_array_equal(cut[clear], image[clear] > 500)


@pytest.mark.parametrize("spacing_mm", [0.25, 0.5, 1.0])
def test_area_in_square_millimetres_stays(spacing_mm):
    rows, columns = np.ogrid[:60, :80]
    disc = np.hypot(rows - 30, columns - 40) <= 20
    field = Field((30.0, 40.0), (0.5, 0.5), spacing_mm, round(24 / spacing_mm))
    cut = cut_mask(disc, place=edges(field), size=field.size)
    assert cut.sum() * spacing_mm**2 == pytest.approx(disc.sum() * 0.25, rel=0.05)


def test_nothing_lies_outside_the_source():
    field = Field((0.0, 0.0), (1.0, 1.0), 1.0, 9)
    cut = cut_mask(np.ones((50, 50), dtype=bool), place=edges(field), size=9)
    assert cut[4:, 4:].all()
    assert not cut[:4].any()
    assert not cut[:, :4].any()
