"""Figures of notebook 01: what the images look like, how they were divided, and what was left out."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from helpers.cohort.picture import HU_BITS
from helpers.cohort.reading import load_pixels
from helpers.cohort.sources import Source
from helpers.study.schemas import SPLITS

BONE_WINDOW_HU = (-450, 1050)
GREY_RANGE = (0, 255)
FIELD_MM = 96.0
PALETTE = "colorblind"


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
    axis.imshow(pixels, cmap="gray", vmin=low, vmax=high, aspect=row["row_spacing_mm"] / row["column_spacing_mm"])
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


def intensities(table: pd.DataFrame, *, source: Source, class_names: dict[str, str], per_class: int = 6) -> Figure:
    """Distribution of the pixel values of some images of each class, as read."""
    chosen = examples(table, per_class=per_class)
    in_hu = chosen["bits"].eq(HU_BITS).all()
    edges = np.linspace(-1100, 1600, 109) if in_hu else np.arange(0, 257, 4)
    centres = (edges[:-1] + edges[1:]) / 2
    figure, axis = plt.subplots(figsize=(8, 2.8))
    for (key, name), colour in zip(class_names.items(), sns.color_palette(PALETTE, len(class_names)), strict=True):
        rows = chosen[chosen["label"] == key].to_dict("records")
        densities = [np.histogram(load_pixels(row, source=source), bins=edges, density=True)[0] for row in rows]
        axis.plot(centres, np.mean(densities, axis=0), color=colour, label=name)
    axis.set(
        title=f"Pixel values, mean of up to {per_class} images per class",
        xlabel="HU" if in_hu else "8-bit grey value",
        ylabel="density (log)",
        yscale="log",
    )
    axis.legend(frameon=False)
    sns.despine(figure)
    figure.tight_layout()
    return _closed(figure)


def flow_diagram(flow: list[dict]) -> Figure:
    """From files to samples: one box per step with its counts, and beside the arrows what was left out and why."""
    figure, axis = plt.subplots(figsize=(8, 1.05 * len(flow)))
    axis.set(xlim=(0, 1), ylim=(len(flow) - 0.35, 0))
    axis.set_axis_off()
    for place, step in enumerate(flow):
        _flow_box(axis, f"{step['step']}\n{_flow_counts(step)}", box=(0.02, place + 0.1, 0.44, 0.5))
        if place:
            _flow_arrow(axis, start=(0.24, place - 0.4), end=(0.24, place + 0.1))
        if step["excluded"]:
            _flow_arrow(axis, start=(0.24, place - 0.15), end=(0.54, place - 0.15))
            _flow_box(axis, _reason_lines(step["excluded"]), box=(0.54, place - 0.55, 0.44, 0.8))
    axis.set_title("From the files to the samples used", fontsize=11)
    figure.tight_layout(pad=0.4)
    return _closed(figure)


def _reason_lines(excluded: dict[str, int], *, most: int = 4) -> str:
    """The most frequent reasons, one a line, and the sum of the others."""
    ordered = sorted(excluded.items(), key=lambda item: (-item[1], item[0]))
    lines = [f"{reason.replace('_', ' ')}: {count}" for reason, count in ordered[:most]]
    rest = [count for _, count in ordered[most:]]
    return "\n".join([*lines, f"{len(rest)} other reasons: {sum(rest)}"] if rest else lines)


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


def _closed(figure: Figure) -> Figure:
    """Take the figure out of pyplot's care, so that a notebook shows it once and memory is freed."""
    plt.close(figure)
    return figure
