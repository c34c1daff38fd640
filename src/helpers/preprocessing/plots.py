"""Figures of notebook 02: the cached images as the network will receive them, and how much of them is padding."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from helpers.cohort.picture import middle_plane
from helpers.preprocessing.realism import Appearance, CohortImages

BONE_WINDOW_HU = (-450, 1050)
PALETTE = "colorblind"


def cached_sheet(
    images: np.ndarray, cohort: pd.DataFrame, *, class_names: dict[str, str], per_class: int = 6
) -> Figure:
    """Cached squares of every class; HU in a bone window, 8-bit values as they are.

    Parameters
    ----------
    images
        (N, size, size) cache, row for row with `cohort`.
    cohort
        Cohort table.
    """
    low, high = (0, 255) if images.dtype == np.uint8 else BONE_WINDOW_HU
    size = (1.5 * per_class, 1.72 * len(class_names) + 0.4)
    figure, axes = plt.subplots(len(class_names), per_class, figsize=size, squeeze=False)
    labels = cohort["label"].to_numpy()
    for line, (key, name) in zip(axes, class_names.items(), strict=True):
        rows = np.flatnonzero(labels == key)[:per_class]
        for axis, row in zip(line, rows, strict=False):
            axis.imshow(middle_plane(images[row]), cmap="gray", vmin=low, vmax=high)
        line[0].set_title(f"{key}: {name}", loc="left", fontsize=9)
    for axis in axes.flat:
        axis.set_axis_off()
    figure.suptitle("Cached images of each class", fontsize=10)
    figure.tight_layout(pad=0.3)
    plt.close(figure)
    return figure


def resampling(cohort: pd.DataFrame, index: pd.DataFrame, *, class_names: dict[str, str], spacing_mm: float) -> Figure:
    """Left: source pixel size against the cached one. Right: padding of the squares of each class."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3))
    spacing = cohort[["row_spacing_mm", "column_spacing_mm"]].set_axis(["between rows", "between columns"], axis=1)
    sns.histplot(spacing, ax=left, palette=PALETTE, element="step", bins=20)
    left.axvline(spacing_mm, color="black", linestyle="--", linewidth=1)
    left.set(
        title="Source pixel size (dashed: cached)", xlabel="mm", ylabel="samples", ylim=(0, 1.4 * left.get_ylim()[1])
    )
    sns.move_legend(left, "upper right", framealpha=1)
    padding = index.merge(cohort[["sample_id", "label"]], on="sample_id", validate="one_to_one")
    padding = padding.assign(name=padding["label"].map(class_names), percent=100 * padding["padded_fraction"])
    order = list(class_names.values())
    sns.stripplot(
        padding,
        x="percent",
        y="name",
        hue="name",
        order=order,
        hue_order=order,
        palette=PALETTE,
        ax=right,
        size=3,
        jitter=0.3,
    )
    right.set(
        title="Padding of the cached squares",
        xlabel="% of the pixels",
        ylabel="",
        xlim=(-1, max(10, right.get_xlim()[1])),
    )
    sns.despine(figure)
    figure.tight_layout()
    plt.close(figure)
    return figure


def side_by_side(cohorts: Sequence[CohortImages], *, class_names: dict[str, str], per_class: int = 3) -> Figure:
    """Cached squares of several cohorts beside each other, a row for each class, HU all in the same window.

    Parameters
    ----------
    cohorts
        Each takes `per_class` columns.
    class_names
        Class key -> name; classes that no cohort holds are left out, keys without a name are shown as they are.
    per_class
        Squares of each class and cohort.
    """
    held = {str(label) for cohort in cohorts for label in cohort.labels}
    keys = [key for key in class_names if key in held] + sorted(held - set(class_names))
    size = (1.5 * per_class * len(cohorts), 1.6 * len(keys) + 0.5)
    figure = plt.figure(figsize=size, layout="constrained")
    for part, cohort in zip(figure.subfigures(1, len(cohorts), squeeze=False).flat, cohorts, strict=True):
        part.suptitle(cohort.title, fontsize=10)
        low, high = (0, 255) if cohort.images.dtype == np.uint8 else BONE_WINDOW_HU
        axes = part.subplots(len(keys), per_class, squeeze=False)
        for line, key in zip(axes, keys, strict=True):
            rows = np.flatnonzero(cohort.labels == key)[:per_class]
            line[0].set_title(class_names.get(key, key) + ("" if len(rows) else ": none"), loc="left", fontsize=8)
            for axis, row in zip(line, rows, strict=False):
                axis.imshow(middle_plane(cohort.images[row]), cmap="gray", vmin=low, vmax=high)
        for axis in axes.flat:
            axis.set_axis_off()
    plt.close(figure)
    return figure


def appearance(appearances: Sequence[Appearance]) -> Figure:
    """Histogram of HU, noise power spectrum of area 1, and how many edges are at most so wide, for each cohort."""
    figure, (histogram, spectrum, edges) = plt.subplots(1, 3, figsize=(10, 3), layout="constrained")
    for item, color in zip(appearances, sns.color_palette(PALETTE, len(appearances)), strict=True):
        style = {"color": color, "label": item.title}
        histogram.plot("hu", "density", data=item.histogram, **style)
        power = item.spectrum["nps_hu2_mm2"] / (item.spectrum["nps_hu2_mm2"] * item.spectrum["area_per_mm2"]).sum()
        spectrum.plot(item.spectrum["frequency_per_mm"], power, **style)
        if len(item.values["edge width"]):
            edges.ecdf(item.values["edge width"], **style)
    histogram.set(title="HU", xlabel="HU", ylabel="density", xlim=(-300, 900), yscale="log", ylim=(1e-6, 1e-1))
    spectrum.set(title="Noise power, area 1", xlabel="cycles/mm", ylabel="mm²", xlim=(0, None), ylim=(0, None))
    edges.set(title="Edge width, 10–90 %", xlabel="mm", ylabel="share of the edges", xlim=(0, 4))
    figure.legend(*histogram.get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
    sns.despine(figure)
    plt.close(figure)
    return figure
