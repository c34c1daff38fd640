"""Pictures of a notebook in the size and format that a page needs."""

import base64
import binascii
import io

from bs4 import Tag
from nbconvert.preprocessors import Preprocessor
from nbformat import NotebookNode
from PIL import Image, UnidentifiedImageError

MAX_WIDTH = 1800  # pixels: twice the width of the page's text column, for fine screens and for enlarging
QUALITY = 85
EMBEDDED = "data:image/"


class SmallerPictures(Preprocessor):
    """PNG outputs become WebP where that is smaller, and none is wider than `MAX_WIDTH`."""

    def preprocess_cell(self, cell: NotebookNode, resources: dict, index: int) -> tuple[NotebookNode, dict]:
        """Change the outputs of one cell; a picture that cannot be read stays as it is."""
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            smaller = smaller_picture(data["image/png"]) if "image/png" in data else None
            if smaller is not None:
                data["image/webp"] = smaller
                del data["image/png"]
        return cell, resources


def smaller_picture(png: str) -> str | None:
    """A PNG as WebP, both in base64; None where that would not be smaller, or the picture cannot be read.

    Drawings come out smallest and sharp without loss, photographs with some.
    """
    picture = _opened(png)
    if picture is None:
        return None
    if picture.width > MAX_WIDTH:
        picture.thumbnail((MAX_WIDTH, picture.height))
    smallest = min(_webp(picture, lossless=True), _webp(picture, lossless=False), key=len)
    return smallest if len(smallest) < len(png) else None


def _opened(data: str) -> Image.Image | None:
    try:
        return Image.open(io.BytesIO(base64.b64decode(data)))
    except (binascii.Error, UnidentifiedImageError, Image.DecompressionBombError):
        return None


def _webp(picture: Image.Image, *, lossless: bool) -> str:
    stream = io.BytesIO()
    shown = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    shown.save(stream, format="webp", lossless=lossless, quality=QUALITY, method=6)
    return base64.b64encode(stream.getvalue()).decode()


def reserve_space(image: Tag) -> None:
    """Tell the browser the size of an embedded raster picture, so that the page does not move while it is decoded.

    A width that the notebook asks for stays.
    """
    source = str(image.get("src", ""))
    picture = _opened(source.partition(",")[2]) if source.startswith(EMBEDDED) and "svg" not in source[:20] else None
    if picture is None:
        return
    width = int(image["width"]) if str(image.get("width", "")).isdigit() else picture.width
    image["width"], image["height"] = str(width), str(round(width * picture.height / picture.width))
