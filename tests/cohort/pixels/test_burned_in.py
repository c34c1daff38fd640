import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import find_objects, gaussian_filter, grey_opening, label

from helpers.cohort.pixels.burned_in import (
    MAX_GLYPHS,
    MAX_RUNS,
    Glyph,
    _boxes,
    _glyphs,
    _opened,
    count_glyphs,
    text_rows,
)

TEXTS = ("DOE^JANE 1954-03-12", "Max Muster", "MRN 4711234", "St. Elsewhere Hospital")


@pytest.fixture
def rng():
    return np.random.default_rng(11)


@pytest.fixture
def anatomy(rng):
    """A soft-edged body of 50 HU with bone and noise, on air."""
    body = np.full((300, 260), -1000.0)
    body[20:280, 50:210] = 50
    for top in range(40, 260, 45):
        body[top : top + 32, 110:150] = 300
        body[top : top + 3, 110:150] = body[top + 29 : top + 32, 110:150] = 900
    return (gaussian_filter(body, 1.2) + rng.normal(0, 25, body.shape)).astype(np.float32)


def printed(pixels, text, *, size=16, at=(10, 10), value=None):
    """The picture with a line of print, in its brightest value unless told otherwise."""
    mask = Image.new("L", pixels.shape[::-1])
    ImageDraw.Draw(mask).text(at, text, fill=255, font=ImageFont.load_default(size))
    ink = np.asarray(mask, dtype=np.float32) / 255
    return (pixels * (1 - ink) + (pixels.max() if value is None else value) * ink).astype(pixels.dtype)


def eight_bit(pixels):
    return np.clip((pixels + 200) / 1200 * 255, 0, 255).astype(np.uint8)


def test_anatomy_has_no_print(anatomy):
    assert count_glyphs(anatomy) == 0
    assert count_glyphs(eight_bit(anatomy)) == 0
    assert count_glyphs(np.zeros((20, 20), np.uint8)) == 0


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("size", [14, 18, 26])
@pytest.mark.parametrize("at", [(5, 2), (20, 265)], ids=["air", "skin"])
def test_lines_of_print_are_found(anatomy, text, size, at):
    drawn = printed(anatomy, text[:12], size=size, at=at)
    assert count_glyphs(drawn) >= 4
    assert count_glyphs(printed(eight_bit(anatomy), text[:12], size=size, at=at)) >= 4


def test_most_lines_are_found_wherever_they_stand(anatomy, rng):
    """White print on white bone cannot be told from it; that is why it is not all of them."""
    found = []
    for number in range(40):
        at = (int(rng.integers(0, 120)), int(rng.integers(0, 270)))
        drawn = printed(eight_bit(anatomy), TEXTS[number % 4][:12], size=int(rng.integers(14, 24)), at=at)
        found.append(count_glyphs(drawn) > 0)
    assert np.mean(found) >= 0.8


def test_of_three_planes_the_middle_one_is_looked_at(anatomy):
    drawn = printed(anatomy, TEXTS[0])
    assert count_glyphs(np.stack([anatomy, drawn, anatomy])) == count_glyphs(drawn) > 0
    assert count_glyphs(np.stack([drawn, anatomy, drawn])) == 0


def test_a_lone_letter_is_not_claimed(anatomy):
    assert count_glyphs(printed(anatomy, "R", at=(200, 20))) == 0


def test_opening_is_that_of_scipy(rng):
    grey = rng.integers(0, 256, (40, 33)).astype(np.uint8)
    inside = (slice(7, -7), slice(7, -7))
    assert (_opened(grey) == grey_opening(grey, size=(7, 7), mode="nearest"))[inside].all()
    assert _opened(grey).shape == grey.shape


@pytest.mark.parametrize("share", [0.02, 0.2, 0.5, 0.9, 1])
def test_boxes_are_those_of_the_labels_of_scipy(rng, share):
    for shape in [(1, 30), (30, 1), (25, 40)]:
        bright = rng.random(shape) < share
        bright[0, 0] = True
        boxes = np.column_stack(_boxes(bright)).tolist()
        found = find_objects(label(bright, structure=np.ones((3, 3)))[0])
        expected = [[rows.start, rows.stop, columns.start, columns.stop] for rows, columns in found]
        assert sorted(boxes) == sorted(expected)
        assert [box[0] for box in boxes] == sorted(box[0] for box in expected)


def test_a_page_full_of_print_is_found_by_its_upper_lines():
    page = np.zeros((1000, 700), np.uint8)
    for line in range(50):
        page = printed(page, "the quick brown fox jumps over the lazy dog " * 2, at=(4, 20 * line), value=255)
    assert 50 < count_glyphs(page) <= MAX_GLYPHS


def test_what_is_looked_at_in_noise_is_limited(rng):
    bright = rng.random((700, 700)) < 0.1
    assert np.count_nonzero(np.diff(bright.astype(int)) == 1) > MAX_RUNS
    lowest = max(glyph.bottom for glyph in _glyphs(bright))
    assert len(_glyphs(bright)) <= MAX_GLYPHS
    assert lowest < 350


def test_a_line_of_print_on_an_image_of_a_few_edges_is_found_at_its_foot(anatomy):
    """What limits the work on noise does not keep real images from being looked at down to their end."""
    assert count_glyphs(printed(anatomy, TEXTS[0][:12], at=(20, 278))) >= 4


def test_rows_need_glyphs_of_one_height_side_by_side():
    row = [Glyph(10, 20, left, left + 6) for left in range(0, 40, 8)]
    assert text_rows(row, least=4) == [row]
    assert text_rows(row[:3], least=4) == []
    stairs = [Glyph(10 + 6 * step, 20 + 6 * step, 8 * step, 8 * step + 6) for step in range(6)]
    assert text_rows(stairs, least=4) == []
    sparse = [Glyph(10, 20, 30 * step, 30 * step + 6) for step in range(6)]
    assert text_rows(sparse, least=4) == []


@pytest.mark.shared
def test_real_screenshots_carry_print_and_real_crops_do_not(shared_data):
    """Fifteen of 16 viewer screenshots are recognised; the lone `I` of some crops is not claimed."""
    folder = shared_data / "xvertseg"
    found = {
        kind: [
            count_glyphs(np.asarray(Image.open(path).convert("L"))) > 0
            for path in sorted((folder / kind).glob("*.png"))
        ]
        for kind in ("roi", "crops")
    }
    assert (sum(found["roi"]), len(found["roi"])) == (15, 16)
    assert (sum(found["crops"]), len(found["crops"])) == (0, 75)
