import numpy as np
import pandas as pd
import pytest

from helpers.training.plots import plot_augmented, plot_history


def test_history_marks_the_kept_epoch_of_every_fit():
    history = pd.DataFrame(
        {
            "fold": [0, 0, 1, 1], "seed": 0, "epoch": [0, 1, 0, 1], "train_loss": [1.0, 0.5, 1.0, 0.4],
            "validation_loss": [0.9, 0.7, 0.8, 0.9], "validation_balanced_accuracy": [0.3, 0.6, 0.5, 0.4],
            "is_best": [True, True, True, False],
        }
    )  # fmt: skip
    figure = plot_history(history)
    dots = [
        line.get_xydata().tolist()[0]
        for line in figure.axes[0].lines
        if line.get_marker() == "o" and len(line.get_xdata()) == 1
    ]
    assert dots == [[2, 0.7], [1, 0.8]]


@pytest.mark.parametrize(("losses", "shown"), [([60.0, 0.3], {"0.5", "1", "10", "50"}), ([1.3, 0.9], {"1"})])
def test_one_early_leap_of_the_loss_leaves_the_rest_readable(losses, shown):
    columns = {"fold": 0, "seed": 0, "train_loss": [1.1, 0.3], "validation_balanced_accuracy": 0.5, "is_best": True}
    axis = plot_history(pd.DataFrame({"epoch": [0, 1], "validation_loss": losses, **columns})).axes[0]
    axis.figure.canvas.draw()
    low, high = axis.get_ylim()
    ticks = zip(axis.get_yticks(), axis.get_yticklabels(), strict=True)
    assert axis.get_yscale() == "log"
    assert shown <= {label.get_text() for place, label in ticks if low <= place <= high}


def test_augmented_versions_stand_beside_the_plain_crop():
    figure = plot_augmented(np.zeros((2, 8, 8)), np.ones((2, 3, 8, 8)), titles=["A", "B"])
    assert [axis.get_ylabel() for axis in figure.axes if axis.get_ylabel()] == ["A", "B"]
    assert len([axis for axis in figure.axes if axis.images]) == 2 * 4
