"""Planted defects of image files: each is found with its reason, and its neighbours are kept."""

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from helpers.cohort.exclusions import NotUsable
from helpers.cohort.files.images import read_image
from helpers.cohort.reading import read_cohort
from helpers.study import CohortParams

PARAMS = CohortParams(source="images", folder="cohort", labels="labels.csv", pseudonymise=False, workers=1)
NOISE = np.random.default_rng(5).integers(0, 255, (48, 40), dtype=np.uint8)
SMOOTH = np.add.outer(np.arange(48), np.arange(40)).astype(np.uint8) * 2


def encoded(pixels, kind, **options):
    stream = io.BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(stream, kind, **options)
    return stream.getvalue()


def cut(content):
    return content[: len(content) // 2]


def flipped(content):
    return content[: len(content) // 2] + bytes([content[len(content) // 2] ^ 4]) + content[len(content) // 2 + 1 :]


def huge_png():
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", 40_000, 40_000, 8, 0, 0, 0, 0)), (b"IDAT", zlib.compress(bytes(9))))
    parts = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def see_through():
    image = Image.fromarray(SMOOTH).convert("LA")
    image.putpixel((2, 2), (200, 0))
    return image


COLOUR = np.dstack([SMOOTH, 255 - SMOOTH, SMOOTH // 2])
DEEP = SMOOTH.astype(np.uint16)
PAGES = {"save_all": True, "append_images": [Image.fromarray(NOISE)]}

# name -> (file, content, further columns of its row, reason); content None is a folder
DEFECTS = {
    "PNG cut short": ("x.png", cut(encoded(NOISE, "PNG")), {}, "unreadable_image"),
    "PNG with a flipped bit": ("x.png", flipped(encoded(NOISE, "PNG")), {}, "unreadable_image"),
    "JPEG cut short": ("x.jpg", cut(encoded(NOISE, "JPEG")), {}, "unreadable_image"),
    "TIFF cut short": ("x.tif", cut(encoded(NOISE, "TIFF")), {}, "unreadable_image"),
    "WebP cut short": ("x.webp", cut(encoded(NOISE, "WEBP")), {}, "unreadable_image"),
    "BMP cut short": ("x.bmp", cut(encoded(NOISE, "BMP")), {}, "unreadable_image"),
    "empty file": ("x.png", b"", {}, "unreadable_image"),
    "text called PNG": ("x.png", b"see the PACS", {}, "unreadable_image"),
    "GIF called PNG": ("x.png", encoded(NOISE, "GIF"), {}, "unreadable_image"),
    "folder called PNG": ("x.png", None, {}, "file_missing"),
    "text file": ("x.txt", b"see the PACS", {}, "not_image"),
    "DICOM among images": ("x.dcm", b"\0" * 128 + b"DICM", {}, "not_image"),
    "colour photograph": ("x.png", encoded(COLOUR, "PNG"), {}, "colour_image"),
    "colours of a printer": ("x.jpg", encoded(Image.fromarray(SMOOTH).convert("CMYK"), "JPEG"), {}, "colour_image"),
    "see-through pixels": ("x.png", encoded(see_through(), "PNG"), {}, "transparent_image"),
    "two pages": ("x.tif", encoded(NOISE, "TIFF", **PAGES), {}, "multi_frame"),
    "moving WebP": ("x.webp", encoded(SMOOTH, "WEBP", **PAGES), {}, "multi_frame"),
    "moving PNG": ("x.png", encoded(SMOOTH, "PNG", **PAGES), {}, "multi_frame"),
    "decompression bomb": ("x.png", huge_png(), {}, "image_too_large"),
    "sixteen bits without offset": ("x.png", encoded(DEEP, "PNG"), {}, "missing_rescale"),
    "sixteen bits among eight": ("x.png", encoded(DEEP, "PNG"), {"rescale_intercept": -1024}, "mixed_bits"),
    "white is zero": ("x.tif", encoded(DEEP, "TIFF", tiffinfo={262: 0}), {"rescale_intercept": 0}, "not_hu"),
    "not a number": (
        "x.tif",
        encoded(np.full((9, 9), np.nan, np.float32), "TIFF"),
        {"rescale_intercept": 0},
        "unreadable_image",
    ),
    "no pixel size": ("x.png", encoded(NOISE, "PNG"), {"mm_per_px": ""}, "no_mm_per_px"),
    "box outside": ("x.png", encoded(NOISE, "PNG"), {"x0": 30, "y0": 2, "x1": 60, "y1": 20}, "box_outside_image"),
    "no patient": ("x.png", encoded(NOISE, "PNG"), {"PatientID": ""}, "missing_patient"),
}


@pytest.mark.parametrize("name", DEFECTS)
def test_a_planted_defect_is_found_and_its_neighbours_are_kept(folder, write_labels, name):
    file, content, columns, reason = DEFECTS[name]
    columns_of_all = {"x0": "", "y0": "", "x1": "", "y1": "", "rescale_intercept": "", "mm_per_px": 0.5}
    rows = [{"file": file, "PatientID": "x", "label": "A"} | columns_of_all | columns]
    for number, label in enumerate("ABC"):
        Image.fromarray(NOISE + np.uint8(number)).save(folder / f"{label}.png")
        rows.append({"file": f"{label}.png", "PatientID": f"p{number}", "label": label} | columns_of_all)
    write_labels(rows)
    (folder / file).mkdir() if content is None else (folder / file).write_bytes(content)
    cohort = read_cohort(PARAMS)
    assert sorted(cohort.table["source"]) == ["A.png", "B.png", "C.png"]
    assert cohort.exclusions[["source", "reason"]].to_numpy().tolist() == [[file, reason]]
    assert not cohort.exclusions["detail"].str.contains("Traceback|/tmp|cohort/").any()


VALID = {
    "a.png": encoded(SMOOTH, "PNG"),
    "b.png": encoded(Image.fromarray(SMOOTH).convert("P"), "PNG"),
    "a.jpg": encoded(SMOOTH, "JPEG"),
    "b.jpg": encoded(Image.fromarray(SMOOTH).convert("RGB"), "JPEG", progressive=True),
    "a.tif": encoded(SMOOTH, "TIFF"),
    "b.tif": encoded(SMOOTH, "TIFF", compression="tiff_lzw"),
    "a.webp": encoded(SMOOTH, "WEBP", lossless=True),
    "b.webp": encoded(SMOOTH, "WEBP", quality=80),
    "a.bmp": encoded(SMOOTH, "BMP"),
}
PLACES = st.floats(0, 1, exclude_max=True)


def decoded_by_pillow(content):
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(content)))
    return np.asarray(image if image.mode == "L" else image.convert("RGB").convert("L"))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", VALID)
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(PLACES, st.integers(0, 255)), max_size=4), length=st.one_of(st.just(1.0), PLACES))
@example(changes=[], length=1.0)
def test_changed_bytes_never_give_other_pixels(tmp_path, name, changes, length):
    content = bytearray(VALID[name])
    for place, value in changes:
        content[int(place * len(content))] = value
    content = bytes(content[: int(length * len(content))])
    (tmp_path / name).write_bytes(content)
    try:
        pixels = read_image(tmp_path / name).pixels
    except NotUsable:
        assert content != VALID[name]
        return
    np.testing.assert_array_equal(pixels, decoded_by_pillow(content))
    if name.endswith(".png"):  # its checksums promise more than that some decoder agrees
        np.testing.assert_array_equal(pixels, decoded_by_pillow(VALID[name]))
