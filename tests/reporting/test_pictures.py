"""Pictures become smaller without becoming others, and say their size."""

import base64
import io

import numpy as np
import pytest
from bs4 import BeautifulSoup
from PIL import Image

from helpers.reporting.pictures import MAX_WIDTH, reserve_space, smaller_picture


def png(array: np.ndarray) -> str:
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, format="png", compress_level=1)
    return base64.b64encode(stream.getvalue()).decode()


def opened(data: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(data)))


def drawing(width: int = 200) -> np.ndarray:
    """Black and white stripes, as sharp as letters."""
    return np.tile(np.repeat(np.array([0, 255], np.uint8), 5), (40, width // 10))


def test_a_drawing_stays_sharp():
    small = opened(smaller_picture(png(drawing())))
    assert small.format == "WEBP"
    np.testing.assert_array_equal(np.asarray(small.convert("L")), drawing())


def test_a_picture_wider_than_the_page_is_reduced_in_proportion():
    assert opened(smaller_picture(png(drawing(2 * MAX_WIDTH)))).size == (MAX_WIDTH, 20)


@pytest.mark.parametrize("data", ["QUJD", "not base64!", ""])
def test_what_cannot_be_read_is_left_alone(data):
    assert smaller_picture(data) is None


@pytest.mark.parametrize(
    ("given", "expected"), [("", ("200", "40")), (' width="100"', ("100", "20")), (' width="50%"', ("200", "40"))]
)
def test_space_is_reserved_in_the_proportions_of_the_picture(given, expected):
    source = f"data:image/png;base64,{png(drawing())}"
    image = BeautifulSoup(f'<img src="{source}"{given}>', "html.parser").img
    reserve_space(image)
    assert (image["width"], image["height"]) == expected


@pytest.mark.parametrize("source", ["data:image/svg+xml;base64,QUJD", "data:image/png;base64,QUJD"])
def test_no_space_is_reserved_for_what_has_no_size(source):
    image = BeautifulSoup(f'<img src="{source}">', "html.parser").img
    reserve_space(image)
    assert not image.has_attr("height")
