"""What a threshold on the probability of a fracture would give: a slider in JupyterLab, one half in the report.

It shows the trade between missed fractures and false alarms. A threshold for use is chosen on validation images, as
`helpers.evaluation.questions` does: one chosen on the held-out images shown here would look better than it is.
"""

from functools import partial

import ipywidgets
import numpy as np
from IPython.display import HTML
from sklearn.metrics import roc_curve

from helpers.evaluation import plots
from helpers.evaluation.predictions import probability_column
from helpers.evaluation.summary import Evaluation
from helpers.study.display import figure_html
from helpers.study.live import Live

START, STEP = 0.5, 0.01


def explore_threshold(evaluation: Evaluation) -> Live | HTML:
    """Move the threshold of "any fracture against normal" on the held-out images.

    Without fractures or without normal images there is no such threshold, and a sentence says so.
    """
    samples, normal = evaluation.samples, evaluation.normal_class
    is_fracture = samples["y_true"].ne(normal).to_numpy()
    if normal is None or is_fracture.all() or not is_fracture.any():
        return HTML("<p>There is no threshold to move: it needs fractures and normal images.</p>")
    fractures = [probability_column(key) for key in evaluation.class_names if key != normal]
    score = samples[fractures].sum(axis=1).to_numpy()
    curve = np.stack(roc_curve(is_fracture, score)[:2])
    slider = ipywidgets.FloatSlider(
        START, min=0, max=1, step=STEP, description="Threshold", layout=ipywidgets.Layout(width="36em")
    )
    slider.continuous_update = False  # a figure takes longer to draw than a hand to move
    return Live(partial(explored, score, is_fracture, curve=curve), threshold=slider)


def explored(score: np.ndarray, is_fracture: np.ndarray, *, curve: np.ndarray, threshold: float) -> str:
    """The point on the ROC curve and the confusion matrix of a threshold, as HTML; for `curve` see the figure."""
    counts = answers_at(score, is_fracture, threshold=threshold)
    said = in_words(counts, threshold=threshold)
    figure = plots.plot_operating_point(counts, curve=curve)
    return figure_html(figure, alt=f"Point on the ROC curve, and confusion matrix. {said}", caption=said)


def answers_at(score: np.ndarray, is_fracture: np.ndarray, *, threshold: float) -> np.ndarray:
    """Count the answers that a threshold gives.

    Parameters
    ----------
    score, is_fracture
        (N,) probability of any fracture, (N,) boolean reference.
    threshold
        In [0, 1]; a probability of at least this is called a fracture.

    Returns
    -------
    (2, 2) integers: rows reference, columns answer, fracture before normal.
    """
    called = score >= threshold
    return np.array([[np.sum(called[of] == answer) for answer in (True, False)] for of in (is_fracture, ~is_fracture)])


def in_words(counts: np.ndarray, *, threshold: float) -> str:
    """Say what `answers_at` has counted."""
    (found, missed), (alarms, spared) = counts
    return (
        f"Called a fracture from a probability of {threshold:.2f} on: {found} of {found + missed} fractures are found "
        f"(sensitivity {100 * found / (found + missed):.1f} %), and {spared} of {alarms + spared} normal images are "
        f"left alone (specificity {100 * spared / (alarms + spared):.1f} %)."
    )
