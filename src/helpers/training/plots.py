"""Figures of notebook 03."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

TRAIN_COLOUR, VALIDATION_COLOUR = "#0072B2", "#D55E00"  # Okabe-Ito


def plot_augmented(plain: np.ndarray, augmented: np.ndarray, *, titles: list[str]) -> Figure:
    """Samples as the network sees them: left the plain crop, right random versions of it.

    Parameters
    ----------
    plain
        (N, H, W) windowed crops.
    augmented
        (N, V, H, W) versions of each.
    titles
        N row titles.
    """
    n, versions = augmented.shape[:2]
    figure, axes = plt.subplots(n, versions + 1, figsize=(1.7 * (versions + 1), 1.8 * n), squeeze=False)
    for row, title in enumerate(titles):
        axes[row, 0].imshow(plain[row], cmap="gray")
        axes[row, 0].set_ylabel(title)
        for column in range(versions):
            axes[row, column + 1].imshow(augmented[row, column], cmap="gray")
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
    axes[0, 0].set_title("plain crop", fontsize=10)
    for column in range(versions):
        axes[0, column + 1].set_title(f"version {column + 1}", fontsize=10)
    figure.tight_layout()
    plt.close(figure)
    return figure


def plot_history(history: pd.DataFrame) -> Figure:
    """Loss and validation balanced accuracy of every fit; a dot marks the epoch that was kept."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6))
    for _, fit in history.groupby(["fold", "seed"]):
        kept = fit[fit["is_best"]].iloc[-1]
        epochs = fit["epoch"] + 1
        left.plot(epochs, fit["train_loss"], color=TRAIN_COLOUR, alpha=0.6, lw=1.2)
        left.plot(epochs, fit["validation_loss"], color=VALIDATION_COLOUR, alpha=0.6, lw=1.2, ls="--")
        left.plot(kept["epoch"] + 1, kept["validation_loss"], "o", color=VALIDATION_COLOUR, ms=5)
        right.plot(epochs, fit["validation_balanced_accuracy"], color=VALIDATION_COLOUR, alpha=0.6, lw=1.2, ls="--")
        right.plot(kept["epoch"] + 1, kept["validation_balanced_accuracy"], "o", color=VALIDATION_COLOUR, ms=5)
    left.plot([], [], color=TRAIN_COLOUR, label="training")
    left.plot([], [], color=VALIDATION_COLOUR, ls="--", marker="o", label="validation, dot: kept")
    left.legend(frameon=False)
    left.set(xlabel="epoch", ylabel="loss, logarithmic", title="Loss of every fit")
    _spread_out(left)
    right.set(xlabel="epoch", ylabel="balanced accuracy", title="Validation balanced accuracy", ylim=(0, 1.02))
    for axis in (left, right):
        axis.xaxis.get_major_locator().set_params(integer=True)
    sns.despine(figure)
    figure.tight_layout()
    plt.close(figure)
    return figure


def _spread_out(axes: Axes) -> None:
    """A logarithmic y axis with plain numbers: one early leap of the loss would flatten all else on an even one."""
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
