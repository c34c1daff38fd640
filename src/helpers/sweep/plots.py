"""Figures of a sweep: all rows beside each other, and what more training patients bring."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from helpers.evaluation.metrics import metric_title

# Okabe & Ito, which colour-blind readers can tell apart
COLOURS = BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"
MARKERS = ("s", "o", "^")
INK, GRID = "#222222", "#D9D9D9"
APART = 1.02
FOREST_METRIC = "balanced_accuracy"
FONT_SIZE = 10


def plot_rows(table: pd.DataFrame) -> Figure:
    """Draw balanced accuracy of every row, and its difference from the row that it is compared with.

    Parameters
    ----------
    table
        As `compare_rows` gives it; rows without a result are left out.
    """
    shown = table[(table["metric"] == FOREST_METRIC) & table["estimate"].notna()].reset_index(drop=True)
    figure = Figure(figsize=(9, 1.4 + 0.34 * len(shown)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    _draw_intervals(left, shown, names=("estimate", "ci_low", "ci_high"), colour=BLUE)
    _draw_intervals(right, shown, names=("difference", "difference_low", "difference_high"), colour=ORANGE)
    left.axvline(shown["estimate"].iloc[0], color=INK, linewidth=0.8, linestyle="--")
    right.axvline(0, color=INK, linewidth=0.8, linestyle="--")
    left.set_yticks(range(len(shown)), shown["row"])
    left.set_ylim(len(shown) - 0.5, -0.5)
    title = metric_title(FOREST_METRIC)
    left.set(title=f"{title}; dashed: first row", xlabel="with interval by patient")
    right.set(title="Minus the row it is compared with", xlabel="paired by image, with interval by patient")
    return figure


def _draw_intervals(axes: Axes, shown: pd.DataFrame, *, names: tuple[str, str, str], colour: str) -> None:
    _style(axes)
    middle, low, high = (shown[name] for name in names)
    places = np.arange(len(shown))
    axes.hlines(places, low, high, color=colour, linewidth=2)
    axes.plot(middle, places, linestyle="none", marker="o", color=colour)


def plot_learning_curve(table: pd.DataFrame, *, rows: list[str]) -> Figure:
    """Draw every metric against the number of training patients.

    Parameters
    ----------
    table
        As `compare_rows` gives it.
    rows
        Rows that differ in the number of training patients only.
    """
    figure = Figure(figsize=(8, 4.2), layout="constrained")
    axes = figure.subplots()
    _style(axes)
    shown = table[table["row"].isin(rows)].sort_values("train_patients")
    for place, (metric, curve) in enumerate(shown.groupby("metric", sort=False)):
        style, title = {"color": COLOURS[place], "linewidth": 1.4}, metric_title(str(metric))
        beside = curve["train_patients"] * APART**place  # intervals of one number of patients would hide each other
        axes.plot(beside, curve["estimate"], marker=MARKERS[place], label=title, **style)
        axes.vlines(beside, curve["ci_low"], curve["ci_high"], **style)
    patients = sorted(shown["train_patients"].unique())
    axes.set_xscale("log")
    axes.set_xticks(patients, [f"{count:.0f}" for count in patients])
    axes.minorticks_off()
    axes.set(xlabel="Training patients of each network (logarithmic)", ylabel="Score with interval by patient")
    axes.legend(frameon=False, fontsize=FONT_SIZE - 1, loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def _style(axes: Axes) -> None:
    axes.set_axisbelow(True)
    axes.grid(color=GRID, linewidth=0.8)
    axes.tick_params(labelsize=FONT_SIZE - 1, colors=INK)
    axes.title.set_fontsize(FONT_SIZE)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
