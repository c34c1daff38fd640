"""Figures of notebook 05: galleries of images and saliency maps."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

COLUMNS = 4
THUMBNAIL_COLUMNS = 10
INK = "#222222"
# Colour and style of each outline, apart from each other in grey print too.
OUTLINES = (("#56B4E9", "-"), ("#009E73", "--"), ("#CC79A7", ":"))
# Colour and width in points of the frames, apart by their width where colours are not.
RIGHT, WRONG = ("#56B4E9", 1.5), ("#D55E00", 3.5)
# Colour (Okabe & Ito) and marker of each group.
GROUP_STYLES = (
    ("#0072B2", "o"), ("#D55E00", "^"), ("#009E73", "s"), ("#CC79A7", "D"), ("#E69F00", "v"), ("#56B4E9", "P"),
)  # fmt: skip
ROBUSTNESS_COLUMNS = 3
BAND = "#56B4E9"
# How far from a falling scale the unchanged images stand, as a share of its length.
ASIDE = 0.4
#: An axis of error rates goes at least so far.
LEAST_RATE = 0.2
# How much of the image its saliency covers where it is strongest; rows of a gallery that the colour bar is as long as.
COVER, BAR_ROWS = 0.6, 0.9
NO_OUTLINES: Mapping[str, np.ndarray] = MappingProxyType({})


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


def plot_saliency(
    images: np.ndarray,
    maps: np.ndarray,
    *,
    titles: list[str],
    outlines: Mapping[str, np.ndarray] = NO_OUTLINES,
    measure: str = "LayerCAM",
) -> Figure:
    """Images with their saliency laid over, each map as a share of its own maximum, with a colour bar.

    Parameters
    ----------
    images
        (N, H, W) windowed images in [0, 1].
    maps
        (N, H, W) maps in [0, 1].
    titles
        N titles.
    outlines
        (N, H, W) bool masks by name whose edges are drawn, at most three names.
    measure
        What the maps show.
    """
    if len(images) == 0:
        return plot_gallery(images, titles=titles)
    figure, axes = _grid(len(images))
    for index, (axis, image, saliency, title) in enumerate(zip(axes, images, maps, titles, strict=False)):
        axis.imshow(image, cmap="gray", vmin=0, vmax=1)
        shown = axis.imshow(saliency, cmap="inferno", vmin=0, vmax=1, alpha=COVER * saliency)
        axis.set_title(title, fontsize=9)
        for (_, masks), (colour, style) in zip(outlines.items(), OUTLINES, strict=False):
            if masks[index].any():
                axis.contour(masks[index], [0.5], colors=[colour], linestyles=[style], linewidths=1)
    bar = figure.colorbar(shown, ax=list(axes), shrink=COLUMNS * BAR_ROWS / len(axes), location="right")
    bar.set_label(f"{measure}, share of each map's maximum")
    if outlines:
        lines = [
            Line2D([], [], color=colour, linestyle=style, label=name)
            for name, (colour, style) in zip(outlines, OUTLINES, strict=False)
        ]
        figure.legend(handles=lines, loc="outside lower center", ncols=len(lines), fontsize=9, frameon=False)
    plt.close(figure)
    return figure


def plot_saliency_pairs(images: np.ndarray, maps: Mapping[str, np.ndarray], *, titles: list[str]) -> Figure:
    """Each image once for every method, side by side; each map is a share of its own maximum.

    Parameters
    ----------
    images
        (N, H, W) windowed images in [0, 1].
    maps
        Method → (N, H, W) maps in [0, 1].
    titles
        N titles, of which the first line is shown.
    """
    repeated = np.repeat(images, len(maps), axis=0)
    together = np.stack(list(maps.values()), axis=1).reshape(repeated.shape)
    names = [f"{name}\n{title.splitlines()[0]}" for title in titles for name in maps]
    return plot_saliency(repeated, together, titles=names, measure="Evidence")


def plot_thumbnails(images: np.ndarray, *, titles: list[str], is_right: Sequence[bool]) -> Figure:
    """Small images in rows of ten, each with a frame that says whether its answer is right.

    Parameters
    ----------
    images
        (N, H, W) windowed images in [0, 1].
    titles
        N titles of one or two short lines.
    is_right
        N answers.
    """
    figure, axes = _grid(len(images), columns=THUMBNAIL_COLUMNS, cell=(1.0, 1.3))
    for axis, image, title, right in zip(axes, images, titles, is_right, strict=False):
        axis.imshow(image, cmap="gray", vmin=0, vmax=1)
        axis.set_title(title, fontsize=7, pad=3, linespacing=1.1)
        colour, width = RIGHT if right else WRONG
        axis.set(xticks=[], yticks=[])
        axis.set_axis_on()
        axis.spines[:].set(color=colour, linewidth=width)
    n_right = int(np.sum(is_right))
    frames = ((f"right: {n_right}", RIGHT), (f"wrong: {len(images) - n_right}", WRONG))
    lines = [Line2D([], [], color=colour, linewidth=width, label=name) for name, (colour, width) in frames]
    figure.legend(handles=lines, loc="outside lower center", ncols=2, fontsize=9, frameon=False)
    plt.close(figure)
    return figure


def plot_error_rates(rates: pd.DataFrame, *, overall: float) -> Figure:
    """Error rates of groups with their intervals, one line for each, headed by their factor.

    Parameters
    ----------
    rates
        Result of `errors_by_truth`.
    overall
        Error rate of all images, drawn as a vertical line.
    """
    figure, axis = plt.subplots(
        figsize=(7, 1.2 + 0.26 * (len(rates) + rates["factor"].nunique())), layout="constrained"
    )
    position, ticks = 0, {}
    for factor, groups in rates.groupby("factor", sort=False):
        ticks[position] = factor
        for row in groups.itertuples():
            position += 1
            ticks[position] = f"{row.group}  (n = {row.images})"
            axis.plot([row.ci_low, row.ci_high], [position, position], color=INK, linewidth=1.5)
            axis.plot(row.error_rate, position, marker="o", color=INK, markersize=5, clip_on=False)
        position += 1
    axis.axvline(overall, color=INK, linewidth=0.8, linestyle=":")
    axis.set_yticks(list(ticks), list(ticks.values()))
    for label in axis.get_yticklabels():
        label.set_fontweight("bold" if label.get_text() in set(rates["factor"]) else "normal")
    axis.tick_params(axis="y", length=0)
    right = rates[["error_rate", "ci_high"]].max(axis=None)
    axis.set(xlim=(0, min(1, max(1.1 * right, LEAST_RATE))), ylim=(position - 0.5, -0.5))
    axis.set_xlabel("Error rate with interval by patients resampled")
    axis.xaxis.set_major_formatter(PercentFormatter(1))
    plt.close(figure)
    return figure


def plot_robustness(table: pd.DataFrame, *, notable_drop: float) -> Figure:
    """Balanced accuracy against the severity of each change, with intervals; severities stand at their true places.

    Parameters
    ----------
    table
        Result of `robustness_table`.
    notable_drop
        A loss that is marked by a dotted line.
    """
    groups = list(table.groupby(["change", "unit"], sort=False))
    n_rows = -(-len(groups) // ROBUSTNESS_COLUMNS)
    figure, axes = plt.subplots(
        n_rows, ROBUSTNESS_COLUMNS, figsize=(9, 2.5 * n_rows), sharey=True, squeeze=False, layout="constrained"
    )
    for axis, ((name, unit), part) in zip(axes.flat, groups, strict=False):
        _draw_severities(axis, part)
        axis.axhline(part["estimate"].iloc[0] - notable_drop, color=INK, linewidth=0.8, linestyle=":")
        axis.set(title=name, xlabel=unit, ylim=(0, 1))
    for axis in axes[:, 0]:
        axis.set_ylabel("Balanced accuracy")
    for axis in axes.flat[len(groups) :]:
        axis.axis("off")
    plt.close(figure)
    return figure


def _draw_severities(axis: Axes, part: pd.DataFrame) -> None:
    """One change: each severity at its place on the axis, the unchanged images first, the strongest change last."""
    severity = part["severity"].to_numpy(dtype=float)
    falls = severity[1] > severity[-1]
    places = severity.copy()
    if falls:  # such a scale has no place for unchanged images: they stand apart, and no line joins them
        places[0] = severity[1] + ASIDE * (severity[1] - severity[-1])
        axis.invert_xaxis()
    for rows in (slice(1), slice(1, None)) if falls else (slice(None),):
        shown, at = part.iloc[rows], places[rows]
        axis.plot(at, shown["estimate"], color=INK, marker="o", markersize=4)
        axis.fill_between(at, shown["ci_low"], shown["ci_high"], color=BAND, alpha=0.35, linewidth=0)
    if falls:  # a band of one place has no width
        axis.vlines(places[0], part["ci_low"].iloc[0], part["ci_high"].iloc[0], color=BAND, alpha=0.6, linewidth=3)
    axis.set_xticks(places, ["none", *(f"{value:g}" for value in severity[1:])])


def plot_dependence(table: pd.DataFrame, *, class_names: Mapping[str, str]) -> Figure:
    """Mean probability of each class against the share that is lost, a panel for each factor, with intervals.

    Parameters
    ----------
    table
        Result of `mean_probabilities`.
    class_names
        Class key → name, in reporting order.
    """
    panels = list(table.groupby("factor", sort=False))
    figure, axes = plt.subplots(
        1, max(1, len(panels)), figsize=(9, 3.6), sharey=True, squeeze=False, layout="constrained"
    )
    for axis, (factor, part) in zip(axes[0], panels, strict=False):
        for (key, name), (colour, marker) in zip(class_names.items(), GROUP_STYLES, strict=False):
            line = part[part["class"] == key]
            axis.fill_between(line["lost"], line["ci_low"], line["ci_high"], color=colour, alpha=0.2, linewidth=0)
            axis.plot(line["lost"], line["probability"], color=colour, marker=marker, label=f"{key} {name}")
        axis.xaxis.set_major_formatter(PercentFormatter(1))
        axis.set(xlabel=f"{factor}, mean of the group", ylim=(0, 1))
    axes[0, 0].set_ylabel("Mean probability")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    plt.close(figure)
    return figure


def plot_feature_map(
    coordinates: np.ndarray, *, colourings: Mapping[str, pd.Series], axis_names: tuple[str, str]
) -> Figure:
    """The same map of all images once for each colouring; groups differ in colour and in marker.

    Parameters
    ----------
    coordinates
        (N, 2) places.
    colourings
        Title → N values. Missing ones and those beyond the `len(GROUP_STYLES)` most frequent are grey dots; where all
        are missing there is no map.
    axis_names
        What the axes are.
    """
    colourings = {title: values for title, values in colourings.items() if values.notna().any()}
    n_columns = min(2, len(colourings))  # with more beside each other, a page shows them too small
    n_rows = -(-len(colourings) // 2)
    figure = plt.figure(figsize=(4.6 * n_columns, 4.9 * n_rows), layout="constrained")
    for place, (title, values) in enumerate(colourings.items(), start=1):
        axis = figure.add_subplot(n_rows, n_columns, place)
        shown = sorted(values.value_counts().index[: len(GROUP_STYLES)])
        rest = ~values.isin(shown).to_numpy()
        axis.scatter(*coordinates[rest].T, s=8, color="#BBBBBB", marker=".")
        for group, (colour, marker) in zip(shown, GROUP_STYLES, strict=False):
            inside = (values == group).to_numpy()
            axis.scatter(*coordinates[inside].T, s=12, color=colour, marker=marker, alpha=0.7, linewidth=0, label=group)
        axis.legend(
            title=title, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=3, frameon=False, markerscale=2.5
        )
        axis.locator_params(nbins=5)
        axis.set(xlabel=axis_names[0], ylabel=axis_names[1])
    plt.close(figure)
    return figure


def component_names(shares: np.ndarray) -> tuple[str, str]:
    """Names of two principal components that hold (2,) shares of the variance."""
    return f"1st component ({shares[0]:.0%} of variance)", f"2nd component ({shares[1]:.0%})"


def gallery_titles(rows: pd.DataFrame) -> list[str]:
    """Level where known, reference → prediction and confidence of each row; below it the sample."""
    levels = rows["level"].fillna("") if "level" in rows else pd.Series("", index=rows.index)
    return [
        f"{level} {row.y_true} → {row.y_pred}, {row.confidence:.2f}\n{row.sample_id}".lstrip()
        for level, row in zip(levels, rows.itertuples(), strict=True)
    ]


def score_titles(scores: pd.DataFrame) -> list[str]:
    """Level where known and reference label of each row; below it severity where known and score."""
    first = (scores["level"].fillna("") + " " + scores["label"]).str.strip()
    grades = scores["grade"].map("grade {:g}, ".format, na_action="ignore").fillna("")
    return (first + "\n" + grades + scores["score"].map("{:.2f}".format)).tolist()


def _grid(n: int, *, columns: int = COLUMNS, cell: tuple[float, float] = (2.5, 2.8)) -> tuple[Figure, np.ndarray]:
    """Axes for `n` images in cells of so many inches, width and height."""
    n_rows = max(1, -(-n // columns))
    figure, axes = plt.subplots(
        n_rows, columns, figsize=(cell[0] * columns, cell[1] * n_rows), squeeze=False, layout="constrained"
    )
    for axis in axes.flat:
        axis.axis("off")
    if n == 0:
        figure.text(0.5, 0.5, "There is nothing to show here.", ha="center", va="center", fontsize=12)
        figure.set_figheight(1)
    return figure, axes.ravel()
