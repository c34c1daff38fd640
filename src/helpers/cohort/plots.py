"""Figures of notebook 01: what the images look like, how they were divided, and what was left out."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from helpers.cohort.audit.confounds import SIGNIFICANCE
from helpers.cohort.audit.titles import COLUMN_TITLES
from helpers.cohort.picture import HU_BITS, middle_plane
from helpers.cohort.reading import load_pixels
from helpers.cohort.sources import Source
from helpers.study.schemas import SPLITS

BONE_WINDOW_HU = (-450, 1050)
GREY_RANGE = (0, 255)
FIELD_MM = 96.0
PALETTE = "colorblind"
CONFOUND_COLUMNS = ["column", "kind", "effect", "ci_low", "ci_high", "p_holm"]
MAX_REASONS = 8
# Lines of text that a step of the flow diagram takes, with the arrow above it, and their height in print at 9 pt.
STEP_LINES = 4
FLOW_LINE_INCH = 0.19


def examples(table: pd.DataFrame, *, per_class: int) -> pd.DataFrame:
    """The first samples of each class by `sample_id`, one per patient where there are enough patients.

    `sample_id` is a hash, so that the first ones are a haphazard choice that every run repeats.
    """
    ordered = table.sort_values("sample_id")
    turn = ordered.groupby(["label", "PatientID"]).cumcount()
    ordered = ordered.assign(turn=turn).sort_values(["turn", "sample_id"], kind="stable")
    return ordered.groupby("label").head(per_class).drop(columns="turn").reset_index(drop=True)


def contact_sheet(table: pd.DataFrame, *, source: Source, class_names: dict[str, str], per_class: int = 6) -> Figure:
    """Examples of every class around the centre of each sample, all at the same scale, HU in a bone window."""
    chosen = examples(table, per_class=per_class)
    figure, axes = plt.subplots(
        len(class_names), per_class, figsize=(1.5 * per_class, 1.72 * len(class_names) + 0.4), squeeze=False
    )
    for axis in axes.flat:
        axis.set_axis_off()
    for line, (key, name) in zip(axes, class_names.items(), strict=True):
        shown = chosen[chosen["label"] == key].to_dict("records")
        for axis, row in zip(line, shown, strict=False):
            _show_field(axis, load_pixels(row, source=source), row=row)
        line[0].set_title(f"{key}: {name}", loc="left", fontsize=9)
    figure.suptitle(f"Examples of each class, fields of {FIELD_MM:.0f} mm", fontsize=10)
    figure.tight_layout(pad=0.3)
    return _closed(figure)


def _show_field(axis: Axes, pixels: np.ndarray, *, row: dict) -> None:
    low, high = BONE_WINDOW_HU if row["bits"] == HU_BITS else GREY_RANGE
    height, width = FIELD_MM / row["row_spacing_mm"] / 2, FIELD_MM / row["column_spacing_mm"] / 2
    axis.set_axis_on()
    axis.set(xticks=[], yticks=[], facecolor="black")
    axis.imshow(
        middle_plane(pixels), cmap="gray", vmin=low, vmax=high, aspect=row["row_spacing_mm"] / row["column_spacing_mm"]
    )
    axis.set_xlim(row["center_col_px"] - width, row["center_col_px"] + width)
    axis.set_ylim(row["center_row_px"] + height, row["center_row_px"] - height)


def class_by_split(table: pd.DataFrame, splits: pd.DataFrame, *, class_names: dict[str, str]) -> Figure:
    """Stacked bars: samples of each class in each split of each fold."""
    placed = splits.merge(table[["sample_id", "label"]], on="sample_id", validate="many_to_one")
    counts = placed.groupby(["split", "fold", "label"]).size().unstack("label", fill_value=0)
    counts = counts.reindex(columns=list(class_names), fill_value=0)
    figure, axes = plt.subplots(1, len(SPLITS), figsize=(8, 3), sharey=False)
    colours = sns.color_palette(PALETTE, len(class_names))
    for axis, split in zip(axes, SPLITS, strict=True):
        part = counts.loc[split]
        part.plot.bar(ax=axis, stacked=True, color=colours, legend=False, width=0.75, rot=0)
        axis.set(title=split, xlabel="fold", ylabel="samples" if split == SPLITS[0] else "")
    sns.despine(figure)
    handles = axes[0].get_legend_handles_labels()[0]
    figure.legend(handles, class_names.values(), loc="lower center", ncols=len(class_names), frameon=False)
    figure.suptitle("Samples of each class by split and fold")
    figure.tight_layout(rect=(0, 0.08, 1, 1))
    return _closed(figure)


def geometry(table: pd.DataFrame, *, class_names: dict[str, str]) -> Figure:
    """Pixel spacing of the samples, and the field that their images cover."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.2))
    named = table.assign(label=table["label"].map(class_names))
    style = {"hue": "label", "hue_order": list(class_names.values()), "palette": PALETTE, "s": 18}
    sns.scatterplot(named, x="column_spacing_mm", y="row_spacing_mm", ax=left, **style)
    left.axline((table["row_spacing_mm"].mean(),) * 2, slope=1, color="0.7", linewidth=1, zorder=0)
    left.set(title="Pixel spacing (line: square pixels)", xlabel="between columns (mm)", ylabel="between rows (mm)")
    left.legend(title="class", fontsize=8)
    fields = pd.DataFrame(
        {"width": table["Columns"] * table["column_spacing_mm"], "height": table["Rows"] * table["row_spacing_mm"]}
    )
    sns.histplot(fields, ax=right, palette=PALETTE, element="step", bins=20)
    right.set(title="Field of the images", xlabel="mm", ylabel="samples")
    sns.despine(figure)
    figure.tight_layout()
    return _closed(figure)


def pixel_values(
    table: pd.DataFrame, *, source: Source, class_names: dict[str, str], per_class: int = 6
) -> pd.DataFrame:
    """Distribution of the pixel values of some images of each class, as read.

    Returns
    -------
    One row per bin: its middle, in a column `HU` or `grey value`, and for each class by its name the percentage of the
    pixels that lie in it, the mean of up to `per_class` images.
    """
    chosen = examples(table, per_class=per_class)
    in_hu = chosen["bits"].eq(HU_BITS).all()
    edges = np.linspace(-1100, 1600, 109) if in_hu else np.arange(0, 257, 4)
    shares = {"HU" if in_hu else "grey value": (edges[:-1] + edges[1:]) / 2}
    for key, name in class_names.items():
        rows = chosen[chosen["label"] == key].to_dict("records")
        counts = [np.histogram(load_pixels(row, source=source), bins=edges)[0] for row in rows]
        shares[name] = np.mean([100 * count / count.sum() for count in counts], axis=0)
    return pd.DataFrame(shares)


def intensities(shares: pd.DataFrame) -> Figure:
    """The pixel values of each class, as `pixel_values` gives them, on a logarithmic scale."""
    figure, axis = plt.subplots(figsize=(8, 2.8))
    values, *names = shares.columns
    for name, colour in zip(names, sns.color_palette(PALETTE, len(names)), strict=True):
        axis.plot(shares[values], shares[name], color=colour, label=name)
    axis.set(title="Pixel values of the examples", xlabel=values, ylabel="% of the pixels (log)", yscale="log")
    axis.legend(frameon=False)
    sns.despine(figure)
    figure.tight_layout()
    return _closed(figure)


def flow_diagram(flow: list[dict]) -> Figure:
    """From files to samples: one box per step with its counts, and beside the arrows what was left out and why."""
    lines = [_reason_lines(step["excluded"]) if place else [] for place, step in enumerate(flow)]
    # A step needs room for its own two lines, and above it for the reasons that lead to it.
    heights = [STEP_LINES + max(0, len(reasons) - STEP_LINES + 1) for reasons in lines]
    bottoms = np.cumsum(heights)
    figure, axis = plt.subplots(figsize=(8, FLOW_LINE_INCH * bottoms[-1] + 0.4))
    axis.set(xlim=(0, 1), ylim=(bottoms[-1] + 0.3, bottoms[0] - STEP_LINES / 2 - 0.6))
    axis.set_axis_off()
    for place, (step, reasons, bottom) in enumerate(zip(flow, lines, bottoms, strict=True)):
        top = bottom - STEP_LINES / 2 - 0.3
        _flow_box(axis, f"{step['step']}\n{_flow_counts(step)}", box=(0.02, top, 0.44, STEP_LINES / 2 + 0.3))
        if place:
            _flow_arrow(axis, start=(0.24, bottoms[place - 1]), end=(0.24, top))
        if reasons:
            middle = (bottoms[place - 1] + top) / 2
            _flow_arrow(axis, start=(0.24, middle), end=(0.54, middle))
            height = len(reasons) + 0.5
            _flow_box(axis, "\n".join(reasons), box=(0.54, middle - height / 2, 0.44, height))
    axis.set_title("From the files to the samples used", fontsize=11)
    figure.tight_layout(pad=0.4)
    return _closed(figure)


def _reason_lines(excluded: dict[str, int], *, most: int = MAX_REASONS) -> list[str]:
    """The most frequent reasons, one a line, and the sum of the others."""
    ordered = sorted(excluded.items(), key=lambda item: (-item[1], item[0]))
    lines = [f"{reason.replace('_', ' ')}: {count}" for reason, count in ordered[:most]]
    rest = [count for _, count in ordered[most:]]
    return [*lines, f"{len(rest)} other reasons: {sum(rest)}"] if rest else lines


def _flow_arrow(axis: Axes, *, start: tuple[float, float], end: tuple[float, float]) -> None:
    axis.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=10, shrinkA=0, shrinkB=0))


def _flow_box(axis: Axes, words: str, *, box: tuple[float, float, float, float]) -> None:
    x, y, width, height = box
    patch = FancyBboxPatch(
        (x, y), width, height, boxstyle="round,pad=0,rounding_size=0.02", facecolor="0.96", edgecolor="0.3"
    )
    axis.add_patch(patch)
    axis.text(x + width / 2, y + height / 2, words, ha="center", va="center", fontsize=9)


def _flow_counts(step: dict) -> str:
    counts = {"files": step["n_files"], "samples": step["n_samples"], "patients": step["n_patients"]}
    return ", ".join(f"{count} {unit}" for unit, count in counts.items() if count is not None)


def confounds(table: pd.DataFrame) -> Figure:
    """Dot plot: how strongly each column goes with the class, with bootstrap intervals; filled where significant.

    Parameters
    ----------
    table
        As the audit's table `confounds` holds it; may have no rows.
    """
    # read back from JSON, a table without rows has lost its columns
    shown = table.reindex(columns=CONFOUND_COLUMNS).sort_values("effect", ignore_index=True)
    figure, axis = plt.subplots(figsize=(8, 0.26 * max(len(shown), 3) + 1.2))
    colour = sns.color_palette(PALETTE)[0]
    for place, row in enumerate(shown.to_dict("records")):
        face = colour if row["p_holm"] < SIGNIFICANCE else "white"
        axis.plot([row["ci_low"], row["ci_high"]], [place, place], color=colour, linewidth=1.5, zorder=1)
        axis.plot(row["effect"], place, "o", color=colour, markerfacecolor=face, markersize=6, zorder=2)
    suffix = {"missing": ", missing or not"}
    titles = [COLUMN_TITLES.get(row.column, row.column) + suffix.get(row.kind, "") for row in shown.itertuples()]
    axis.set_yticks(range(len(shown)), titles)
    axis.set(xlim=(-0.02, 1.02), ylim=(-0.7, len(shown) - 0.3), title="Association of header values with the class")
    axis.set_xlabel("effect: 0 none, 1 tells the class (filled: p < 0.05 after Holm's correction)")
    if shown.empty:
        axis.text(0.5, -0.2, "no column varies", ha="center", va="center")
    axis.grid(axis="x", color="0.9")
    sns.despine(figure, left=True)
    figure.tight_layout()
    return _closed(figure)


def leakage(matrix: pd.DataFrame) -> Figure:
    """Heat map: what each pair of splits shares, summed over the folds; white is nothing.

    Parameters
    ----------
    matrix
        As the audit's `leakage` holds it: columns fold, pair, then one count per kind.
    """
    counts = matrix.drop(columns="fold").groupby("pair", sort=False).sum()
    figure, axis = plt.subplots(figsize=(8, 0.5 * len(counts) + 1.6))
    colours = sns.light_palette(sns.color_palette(PALETTE)[3], as_cmap=True)
    sns.heatmap(
        counts.rename(columns=lambda name: name.replace("_", " ").replace(" images", "\nimages")),
        ax=axis,
        annot=True,
        fmt="d",
        cmap=colours,
        vmin=0,
        vmax=max(1, int(counts.to_numpy().max())),
        cbar=False,
        linewidths=1,
        linecolor="0.8",
    )
    axis.set(ylabel="", title="Shared between the splits, sum over all folds")
    axis.tick_params(axis="both", length=0, rotation=0)
    figure.tight_layout()
    return _closed(figure)


def _closed(figure: Figure) -> Figure:
    """Take the figure out of pyplot's care, so that a notebook shows it once and memory is freed."""
    plt.close(figure)
    return figure
