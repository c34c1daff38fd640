"""Figures of notebook 05: galleries of images and saliency maps."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

COLUMNS = 4


def plot_gallery(images: np.ndarray, *, titles: list[str]) -> Figure:
    """Images in rows of four with a title each.

    Parameters
    ----------
    images
        (N, H, W) windowed images in [0, 1].
    titles
        N titles; a line each, or two.
    """
    figure, axes = _grid(len(images))
    for axis, image, title in zip(axes, images, titles, strict=False):
        axis.imshow(image, cmap="gray", vmin=0, vmax=1)
        axis.set_title(title, fontsize=9)
    plt.close(figure)
    return figure


def plot_saliency(images: np.ndarray, maps: np.ndarray, *, titles: list[str]) -> Figure:
    """Images with their Grad-CAM laid over, all on one scale, with a colour bar."""
    if len(images) == 0:
        return plot_gallery(images, titles=titles)
    figure, axes = _grid(len(images))
    for axis, image, saliency, title in zip(axes, images, maps, titles, strict=False):
        axis.imshow(image, cmap="gray", vmin=0, vmax=1)
        shown = axis.imshow(saliency, cmap="inferno", vmin=0, vmax=1, alpha=0.45 * (saliency > 0.1))
        axis.set_title(title, fontsize=9)
    bar = figure.colorbar(shown, ax=list(axes), shrink=0.6, location="right")
    bar.set_label("Grad-CAM, share of each map's maximum")
    plt.close(figure)
    return figure


def gallery_titles(rows: pd.DataFrame) -> list[str]:
    """Level where known, reference → prediction and confidence of each row; below it the sample."""
    levels = rows["level"].fillna("") if "level" in rows else pd.Series("", index=rows.index)
    first = levels + " " + rows["y_true"] + " → " + rows["y_pred"] + ", " + rows["confidence"].map("{:.2f}".format)
    return (first.str.strip() + "\n" + rows["sample_id"]).tolist()


def _grid(n: int) -> tuple[Figure, np.ndarray]:
    n_rows = max(1, -(-n // COLUMNS))
    figure, axes = plt.subplots(
        n_rows, COLUMNS, figsize=(2.5 * COLUMNS, 2.8 * n_rows), squeeze=False, layout="constrained"
    )
    for axis in axes.flat:
        axis.axis("off")
    if n == 0:
        figure.text(0.5, 0.5, "There is nothing to show here.", ha="center", va="center", fontsize=12)
        figure.set_figheight(1)
    return figure, axes.ravel()
