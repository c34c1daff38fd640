"""Figures of notebook 04; every function takes finished numbers and returns a matplotlib Figure.

Figures are made without pyplot, so that none stays open or is shown twice. Colours are those of Okabe & Ito, which
colour-blind readers can tell apart; wherever colour carries meaning, marker or line style says the same in grey print.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from helpers.evaluation.curves import reliability_bins, roc_points
from helpers.evaluation.estimates import Metric
from helpers.evaluation.metrics import METRIC_TITLES
from helpers.evaluation.paper import PAPER_N_IMAGES
from helpers.evaluation.summary import Evaluation
from helpers.evaluation.tables import PAPER, paper_comparison

# Okabe & Ito without black and yellow, ordered so that neighbours also differ in lightness.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
LINE_STYLES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v", "P")
INK, GRID = "#222222", "#D9D9D9"
FONT_SIZE = 10


def plot_confusion(evaluation: Evaluation) -> Figure:
    """Draw the confusion matrix: counts and row-percent with interval; rows reference, columns predicted."""
    n_classes = len(evaluation.labels)
    figure, axes = _new_figure(width=2.6 + 1.65 * n_classes, height=1.7 + 1.15 * n_classes)
    shares = np.array([[cell.estimate for cell in row] for row in evaluation.row_fractions])
    text = np.array(
        [
            [_cell_text(int(evaluation.confusion[row, column]), cell) for column, cell in enumerate(cells)]
            for row, cells in enumerate(evaluation.row_fractions)
        ]
    )
    sns.heatmap(
        shares,
        ax=axes,
        vmin=0,
        vmax=1,
        cmap="Blues",
        annot=text,
        fmt="",
        annot_kws={"fontsize": FONT_SIZE, "linespacing": 1.4},
        linewidths=1,
        cbar_kws={"label": "Share of the reference class"},
    )
    sizes = evaluation.confusion.sum(axis=1)
    rows = [f"{label}\n({size} images)" for label, size in zip(evaluation.labels, sizes, strict=True)]
    axes.set_xticklabels(evaluation.labels, rotation=0)
    axes.set_yticklabels(rows, rotation=0)
    axes.set(xlabel="Predicted class", ylabel="Reference class")
    axes.set_title(_confusion_title(evaluation), loc="left", fontsize=FONT_SIZE + 1)
    return figure


def _cell_text(count: int, cell: Metric) -> str:
    if np.isnan(cell.estimate):
        return f"{count}\nno image"
    lines = [str(count), f"{100 * cell.estimate:.1f} %"]
    if cell.ci_low is not None:
        lines.append(f"({100 * cell.ci_low:.1f}–{100 * cell.ci_high:.1f})")
    return "\n".join(lines)


def _confusion_title(evaluation: Evaluation) -> str:
    level = 100 * evaluation.bootstrap.confidence
    return (
        f"Held-out predictions of {len(evaluation.samples)} images, {evaluation.n_patients} patients\n"
        f"count, row-percent ({level:g} % interval by patient)"
    )


def plot_forest(evaluation: Evaluation) -> Figure:
    """Draw all metrics with their intervals on one axis: overall, each class, fracture against normal."""
    groups: dict[str, Mapping[str, Metric]] = {"Overall": evaluation.overall}
    groups |= dict(zip(evaluation.labels, evaluation.per_class.values(), strict=True))
    # With two classes the fracture class against the rest is already this question.
    if evaluation.fracture_vs_normal and len(evaluation.labels) > 2:
        groups["Fracture against normal"] = evaluation.fracture_vs_normal
    n_rows = sum(len(metrics) + 1 for metrics in groups.values())
    figure, axes = _new_figure(width=8, height=1.2 + 0.27 * n_rows)
    position, ticks, names = 0, [], []
    for index, (title, metrics) in enumerate(groups.items()):
        ticks.append(position)
        names.append(title)
        for offset, (name, metric) in enumerate(metrics.items(), start=1):
            _draw_metric(axes, metric, at=position + offset, colour=COLOURS[index % len(COLOURS)])
            ticks.append(position + offset)
            names.append(METRIC_TITLES[name])
        position += len(metrics) + 1
    axes.set_yticks(ticks, names)
    for label in axes.get_yticklabels():
        label.set_fontweight("bold" if label.get_text() in groups else "normal")
    axes.set_ylim(position - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    level = 100 * evaluation.bootstrap.confidence
    axes.set_xlabel(f"Estimate with {level:g} % interval, patients resampled")
    axes.set_title("Metrics on held-out images", loc="left", fontsize=FONT_SIZE + 1)
    return figure


def _draw_metric(axes: Axes, metric: Metric, *, at: float, colour: str) -> None:
    if np.isnan(metric.estimate):
        axes.text(0.01, at, "not defined", transform=axes.get_yaxis_transform(), va="center", color=INK)
        return
    if metric.ci_low is not None:
        axes.plot([metric.ci_low, metric.ci_high], [at, at], color=colour, linewidth=2, solid_capstyle="butt")
    axes.plot(metric.estimate, at, marker="o", markersize=6, color=colour)
    interval = "no interval" if metric.ci_low is None else f"{metric.ci_low:.3f}–{metric.ci_high:.3f}"
    text = f"{metric.estimate:.3f} ({interval})"
    axes.text(1.02, at, text, transform=axes.get_yaxis_transform(), va="center", fontsize=FONT_SIZE - 1, color=INK)


def plot_roc(evaluation: Evaluation) -> Figure:
    """Draw the one-vs-rest ROC curve of every class, with its AUROC and interval in the legend."""
    figure, axes = _new_figure(width=6.4, height=5.6)
    classes = list(evaluation.class_names)
    points = roc_points(evaluation.samples, classes=classes)
    for index, (key, label) in enumerate(zip(classes, evaluation.labels, strict=True)):
        curve = points[points["class"] == key]
        axes.plot(
            curve["false_positive_rate"],
            curve["true_positive_rate"],
            color=COLOURS[index % len(COLOURS)],
            linestyle=LINE_STYLES[index % len(LINE_STYLES)],
            linewidth=2,
            label=f"{label}: {_metric_text(evaluation.per_class[key]['auroc'])}",
            clip_on=False,
        )
    axes.plot([0, 1], [0, 1], color="#767676", linewidth=1, label="no information: 0.5")
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="1 − specificity", ylabel="Sensitivity", aspect="equal")
    axes.legend(title="AUROC (interval)", loc="lower right", frameon=True, fontsize=FONT_SIZE - 1)
    axes.set_title("Each class against the rest, held-out images", loc="left", fontsize=FONT_SIZE + 1)
    return figure


def _metric_text(metric: Metric) -> str:
    if np.isnan(metric.estimate):
        return "not defined"
    if metric.ci_low is None:
        return f"{metric.estimate:.3f}"
    return f"{metric.estimate:.3f} ({metric.ci_low:.3f}–{metric.ci_high:.3f})"


def plot_reliability(evaluation: Evaluation, *, n_bins: int = 10) -> Figure:
    """Draw accuracy against the probability of the predicted class, with the number of images below."""
    bins = reliability_bins(
        evaluation.samples,
        classes=list(evaluation.class_names),
        n_bins=n_bins,
        confidence=evaluation.bootstrap.confidence,
    )
    figure = Figure(figsize=(6.4, 6.2), layout="constrained")
    axes, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    _style(axes)
    _style(below)
    errors = np.abs(bins[["ci_low", "ci_high"]].to_numpy().T - bins["accuracy"].to_numpy())
    axes.plot([0, 1], [0, 1], color="#767676", linewidth=1, label="as sure as it is right")
    axes.errorbar(
        bins["mean_confidence"],
        bins["accuracy"],
        yerr=errors,
        fmt="o",
        color=COLOURS[0],
        capsize=3,
        label=f"bin, {100 * evaluation.bootstrap.confidence:g} % Wilson interval",
    )
    axes.set(xlim=(0, 1), ylim=(0, 1.02), ylabel="Share predicted right")
    axes.legend(loc="upper left", frameon=True, fontsize=FONT_SIZE - 1)
    axes.set_title("Is the model as often right as it is sure?", loc="left", fontsize=FONT_SIZE + 1)
    below.bar(bins["bin_low"], bins["n_samples"], width=1 / n_bins, align="edge", color=COLOURS[4], edgecolor="white")
    below.set(xlabel="Probability of the predicted class", ylabel="Images")
    return figure


def plot_paper_comparison(evaluation: Evaluation) -> Figure:
    """Draw the paper's two accuracies, at the sample sizes that fit, beside those of this study.

    Shown are training sizes from half of the paper's cohort and validation sizes up to half of it, and the sizes of
    the two-part splits that fit; `paper_comparison` lists all.
    """
    table = _usual_sizes(paper_comparison(evaluation))
    figure = Figure(figsize=(8.5, 5.6), layout="constrained")
    panels = figure.subplots(1, 2, sharex=True)
    for axes, part in zip(panels, ("training", "validation"), strict=True):
        _style(axes)
        axes.grid(axis="y", visible=False)
        rows = table[table["part"] == part].sort_values(["source", "n_samples"], ascending=[False, True])
        _draw_sizes(axes, rows)
        axes.set_title(_part_title(part), loc="left", fontsize=FONT_SIZE + 1)
        axes.set_xlabel(f"Accuracy, {100 * evaluation.bootstrap.confidence:g} % interval")
        axes.xaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=0))
    handles, labels = panels[1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    return figure


def _usual_sizes(table: pd.DataFrame) -> pd.DataFrame:
    larger_half = table["n_samples"] * 2 >= PAPER_N_IMAGES
    usual = np.where(table["part"] == "training", larger_half, ~larger_half)
    return table[usual | table["in_two_part_split"] | (table["source"] != PAPER)]


def _part_title(part: str) -> str:
    return "Training images" if part == "training" else "Paper: validation; ours: held out"


def _draw_sizes(axes: Axes, rows: pd.DataFrame) -> None:
    kinds = np.select([rows["source"] != PAPER, rows["in_two_part_split"]], [0, 1], default=2)
    labels = ("this study, by patient", "paper, size fits a two-part split", "paper, other size that fits")
    colours = (COLOURS[5], COLOURS[0], "#767676")
    positions = np.arange(len(rows))
    for kind, (label, colour, marker) in enumerate(zip(labels, colours, MARKERS, strict=False)):
        chosen = rows[kinds == kind]
        if chosen.empty:
            continue
        at = positions[kinds == kind]
        axes.hlines(at, chosen["ci_low"], chosen["ci_high"], color=colour, linewidth=2)
        axes.plot(chosen["estimate"], at, marker=marker, linestyle="none", color=colour, label=label)
    axes.set_yticks(positions, [f"n = {size}" for size in rows["n_samples"]])
    axes.set_ylim(len(rows) - 0.5, -0.5)


def _new_figure(*, width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    _style(axes)
    return figure, axes


def _style(axes: Axes) -> None:
    axes.set_axisbelow(True)
    axes.grid(color=GRID, linewidth=0.8)
    axes.tick_params(labelsize=FONT_SIZE - 1, colors=INK)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
