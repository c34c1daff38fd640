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

from helpers.evaluation.curves import roc_points
from helpers.evaluation.estimates import Metric
from helpers.evaluation.metrics import METRIC_TITLES, PROBABILITY_METRICS
from helpers.evaluation.summary import Evaluation
from helpers.evaluation.tables import PAPER, interval_in_words, paper_comparison, usual_sizes

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
        np.nan_to_num(shares),  # a class without images has no shares, but cells with words
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
        f"Answers for {len(evaluation.samples)} images of {evaluation.n_patients} patients\n"
        f"count, row-percent ({level:g} % interval by patient)"
    )


def plot_forest(evaluation: Evaluation) -> Figure:
    """Draw all metrics with their intervals on one axis: overall, each class, fracture against normal."""
    groups: dict[str, Mapping[str, Metric]] = {"Overall": evaluation.overall}
    groups |= dict(zip(evaluation.labels, evaluation.per_class.values(), strict=True))
    # With two classes the fracture class against the rest is already this question.
    if evaluation.fracture_vs_normal and len(evaluation.labels) > 2:
        groups["Fracture against normal"] = evaluation.fracture_vs_normal
    # Costs of probabilities share neither the range nor the direction of the other metrics.
    groups = {
        title: {name: metric for name, metric in metrics.items() if name not in PROBABILITY_METRICS}
        for title, metrics in groups.items()
    }
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
            label=f"{label}: {interval_in_words(evaluation.per_class[key]['auroc'], decimals=3)}",
            clip_on=False,
        )
    axes.plot([0, 1], [0, 1], color="#767676", linewidth=1, label="no information: 0.5")
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="1 − specificity", ylabel="Sensitivity", aspect="equal")
    axes.legend(title="AUROC (interval)", loc="lower right", frameon=True, fontsize=FONT_SIZE - 1)
    axes.set_title("Each class against the rest, held-out images", loc="left", fontsize=FONT_SIZE + 1)
    return figure


def plot_operating_point(counts: np.ndarray, *, curve: np.ndarray) -> Figure:
    """Draw where a threshold lies on the ROC curve, and its confusion matrix.

    Parameters
    ----------
    counts
        (2, 2) integers: rows reference, columns answer, fracture before normal.
    curve
        (2, P) false and true positive rates.
    """
    figure = Figure(figsize=(8, 3.8), layout="constrained")
    ranking, matrix = figure.subplots(1, 2)
    _style(ranking)
    shares = counts / counts.sum(axis=1, keepdims=True)
    (sensitivity, _), (false_alarms, specificity) = shares
    ranking.plot(*curve, color=COLOURS[0], linewidth=2, clip_on=False)
    ranking.plot(false_alarms, sensitivity, marker="o", markersize=10, color=COLOURS[5], clip_on=False, zorder=3)
    ranking.plot([0, 1], [0, 1], color="#767676", linewidth=1)
    ranking.set(xlim=(0, 1), ylim=(0, 1), xlabel="1 − specificity", ylabel="Sensitivity", aspect="equal")
    title = f"Sensitivity {100 * sensitivity:.1f} %, specificity {100 * specificity:.1f} %"
    ranking.set_title(title, loc="left", fontsize=FONT_SIZE + 1)
    text = [f"{count}\n{100 * share:.1f} %" for count, share in zip(counts.flat, shares.flat, strict=True)]
    style = {"annot": np.reshape(text, (2, 2)), "fmt": "", "cmap": "Blues", "cbar": False, "linewidths": 1}
    sns.heatmap(shares, ax=matrix, vmin=0, vmax=1, **style)
    matrix.set_xticklabels(["fracture", "normal"])
    matrix.set_yticklabels(["fracture", "normal"], rotation=0)
    matrix.set(xlabel="Answer", ylabel="Reference")
    matrix.set_title("Held-out images", loc="left", fontsize=FONT_SIZE + 1)
    return figure


def plot_paper_comparison(evaluation: Evaluation) -> Figure:
    """Draw the paper's two accuracies, at the sample sizes that fit, beside those of this study.

    Shown are the sizes of `usual_sizes`; `paper_comparison` lists all.
    """
    table = usual_sizes(paper_comparison(evaluation))
    figure = Figure(figsize=(8.5, 5.6), layout="constrained")
    panels = figure.subplots(1, 2, sharex=True)
    for axes, part in zip(panels, ("training", "validation"), strict=True):
        _style(axes)
        axes.grid(axis="y", visible=False)
        rows = table[table["part"] == part].sort_values(["source", "n_samples"], ascending=[False, True])
        _draw_sizes(axes, rows)
        axes.set_title(_part_title(part), loc="left", fontsize=FONT_SIZE + 1)
        axes.set_xlabel(f"Accuracy, {100 * evaluation.bootstrap.confidence:g} % interval")
        axes.xaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=None))
    handles, labels = panels[1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    return figure


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


def plot_calibration(before: pd.DataFrame, after: pd.DataFrame, *, names: Mapping[str, str]) -> Figure:
    """Draw share against probability, as trained and after temperature scaling, one panel for each event.

    Parameters
    ----------
    before, after
        Tables of `helpers.evaluation.calibration.reliability`.
    names
        Title of each panel by the value of the column `of`, in order.
    """
    n_rows = -(-len(names) // 2)
    figure = Figure(figsize=(8.5, 4.1 * n_rows + 0.4), layout="constrained")
    panels = figure.subplots(n_rows, 2, squeeze=False, sharex=True, sharey=True).ravel()
    for axes, (key, title) in zip(panels, names.items(), strict=False):
        _style(axes)
        axes.plot([0, 1], [0, 1], color="#767676", linewidth=1, label="probability = share")
        _draw_shares(axes, before[before["of"] == key], look=0, label="as trained")
        _draw_shares(axes, after[after["of"] == key], look=5, label="after temperature scaling")
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel="Mean probability in the bin", ylabel="Observed share")
        axes.set_title(title, loc="left", fontsize=FONT_SIZE + 1)
    for axes in panels[len(names) :]:
        axes.set_visible(False)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    return figure


def _draw_shares(axes: Axes, bins: pd.DataFrame, *, look: int, label: str) -> None:
    style = {"color": COLOURS[look], "linestyle": LINE_STYLES[look % len(LINE_STYLES)]}
    axes.vlines(bins["mean_probability"], bins["ci_low"], bins["ci_high"], color=COLOURS[look], alpha=0.5)
    axes.plot(bins["mean_probability"], bins["share"], marker=MARKERS[look], markersize=5, label=label, **style)


def plot_risk_coverage(curve: pd.DataFrame, *, confidence: float) -> Figure:
    """Draw the error among the surest images against the share of images accepted.

    Parameters
    ----------
    curve
        Table of `helpers.evaluation.selective.risk_coverage_curve`.
    confidence
        Nominal coverage of the band.
    """
    figure, axes = _new_figure(width=7, height=4.6)
    error = curve["error"].iloc[-1]
    axes.axhline(error, color="#767676", linestyle=":", label="random order")
    band = f"{100 * confidence:g} % of cohorts, at each share"
    axes.fill_between(curve["coverage"], curve["band_low"], curve["band_high"], color=COLOURS[4], alpha=0.3, label=band)
    axes.plot(curve["coverage"], curve["error"], color=COLOURS[0], linewidth=2, label="surest first")
    axes.plot(curve["coverage"], curve["optimum"], color=COLOURS[5], linestyle="--", label="every error last")
    axes.set(
        xlim=(0, 1), ylim=(0, None), xlabel="Share of images accepted, surest first", ylabel="Share answered wrong"
    )
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(xmax=1, decimals=None))
    axes.legend(loc="upper left", frameon=True, fontsize=FONT_SIZE - 1)
    axes.set_title("Fewer errors when unsure images are left to a reader", loc="left", fontsize=FONT_SIZE + 1)
    return figure


def plot_coverage(by_group: Mapping[str, Metric], *, promised: float) -> Figure:
    """Draw how often the sets of classes hold the true one, beside what was promised.

    Parameters
    ----------
    by_group
        Share of sets that hold the true class, by group in words.
    promised
        Share promised over all classes.
    """
    figure, axes = _new_figure(width=7, height=1.4 + 0.45 * len(by_group))
    axes.axvline(promised, color=COLOURS[5], linestyle="--")
    for place, metric in enumerate(by_group.values()):
        _draw_metric(axes, metric, at=place, colour=COLOURS[0])
    axes.set_yticks(range(len(by_group)), list(by_group))
    axes.set_ylim(len(by_group) - 0.5, -0.5)
    axes.set_xlabel(f"Share of sets that hold the true class; dashed: {100 * promised:g} % promised")
    axes.xaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=None))
    axes.set_title("Do the sets keep their promise, and for which class?", loc="left", fontsize=FONT_SIZE + 1)
    return figure


def plot_decision(curves: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw net benefit against the probability from which one acts, one panel for each question.

    Parameters
    ----------
    curves
        Tables of `helpers.evaluation.decision.decision_curve` by question in words.
    """
    figure = Figure(figsize=(4.6 * max(len(curves), 1) + 0.5, 4.6), layout="constrained")
    panels = figure.subplots(1, len(curves), squeeze=False)[0]
    for axes, (question, curve) in zip(panels, curves.items(), strict=True):
        _style(axes)
        at = curve["threshold"]
        axes.fill_between(at, curve["ci_low"], curve["ci_high"], color=COLOURS[4], alpha=0.3)
        axes.plot(at, curve["net_benefit"], color=COLOURS[0], linewidth=2, label="act on the answers")
        axes.plot(at, curve["treat_all"], color=COLOURS[5], linestyle="--", label="act on everybody")
        axes.plot(at, curve["treat_none"], color="#767676", linestyle=":", label="act on nobody")
        axes.set(xlim=(0, 1), ylim=(-0.1, None), xlabel="Act from this probability on")
        axes.set_title(f"Net benefit: {question}", loc="left", fontsize=FONT_SIZE + 1)
    panels[0].set_ylabel("True positives per image, net")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    return figure


def plot_differences(table: pd.DataFrame, *, measure: str) -> Figure:
    """Draw how far the model is ahead of each rival on the same images.

    Parameters
    ----------
    table
        Table of `helpers.evaluation.comparison.comparison_table`.
    measure
        What was compared, in words.
    """
    figure, axes = _new_figure(width=7.5, height=1.5 + 0.5 * len(table))
    axes.axvline(0, color="#767676", linewidth=1)
    for place, row in enumerate(table.itertuples()):
        axes.plot([row.ci_low, row.ci_high], [place, place], color=COLOURS[0], linewidth=2)
        axes.plot(row.difference, place, marker="o", color=COLOURS[0])
        text = (
            f"{row.difference:+.3f}, p = {row.p_holm:.3f}"
            if row.p_holm >= 0.001
            else f"{row.difference:+.3f}, p < 0.001"
        )
        axes.text(1.02, place, text, transform=axes.get_yaxis_transform(), va="center", fontsize=FONT_SIZE - 1)
    axes.set_yticks(range(len(table)), [f"against {name}" for name in table["rival"]])
    axes.set(ylim=(len(table) - 0.5, -0.5), xlabel=f"{measure} of the model minus that of the rival; p after Holm")
    axes.set_title("How far the model is ahead, on the same images", loc="left", fontsize=FONT_SIZE + 1)
    return figure


def plot_half_width(curves: pd.DataFrame, *, half_width: float) -> Figure:
    """Draw the half width of an interval against the number of patients.

    Parameters
    ----------
    curves
        Table of `helpers.evaluation.sample_size.half_width_curves`.
    half_width
        The half width wished for.
    """
    figure, axes = _new_figure(width=7, height=4.8)
    for index, (measure, curve) in enumerate(curves.groupby("measure", sort=False)):
        colour = COLOURS[index % len(COLOURS)]
        axes.fill_between(curve["n_patients"], curve["low"], curve["high"], color=colour, alpha=0.15)
        style = {"linestyle": LINE_STYLES[index % len(LINE_STYLES)], "marker": MARKERS[index % len(MARKERS)]}
        axes.plot(curve["n_patients"], curve["half_width"], color=colour, label=measure, **style)
    wish = f"wished for: ± {100 * half_width:g} points"
    axes.axhline(half_width, color=INK, linewidth=1, label=wish)
    axes.set(xscale="log", ylim=(0, None), xlabel="Patients in the study", ylabel="Half width of the interval")
    axes.set_xticks(curves["n_patients"].unique(), labels=[str(size) for size in curves["n_patients"].unique()])
    axes.minorticks_off()
    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=None))
    axes.legend(frameon=True, fontsize=FONT_SIZE - 1)
    axes.set_title("More patients, narrower intervals", loc="left", fontsize=FONT_SIZE + 1)
    return figure
