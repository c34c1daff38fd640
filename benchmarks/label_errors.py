"""Does confident learning find labels that are wrong? A share of the default cohort's labels is changed on purpose.

    .venv/bin/python benchmarks/label_errors.py [run folder]

The run folder (default: runs/default) needs notebooks 01 and 02. A cheap model stands for the network: the pooled
features of the untrained starting point and a logistic regression, tested on other patients. It reads the images worse
than a trained network, so that the figures are rather too low. Labels are changed anew in every draw; the range is that
of 95 % of the draws. A doubt about a label that was not changed counts as false, also where a human would share it.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from helpers.error_analysis.label_errors import confident_joint
from helpers.study import Run
from helpers.study.paths import project_file
from helpers.training import InputTransform, Samples, build_model, load_initialisation
from helpers.training.inputs import predict

CHANGED = 0.05
DRAWS = 40
COMPONENTS = 64
FOLDS = 5


def read_samples(run: Run) -> Samples:
    """Cached images with their labels."""
    cohort, index = run.read_table("cohort"), run.read_table("image_index")
    classes = tuple(run.study.cohort.class_names)
    return Samples.align(run.read_array("images"), image_index=index, cohort=cohort, classes=classes)


def pooled_features(samples: Samples, *, run: Run) -> np.ndarray:
    """What the untrained starting point makes of all images: (N, 2C)."""
    params = run.study.training
    start = load_initialisation(params.weights, backbone=params.backbone)
    network = build_model(params, n_classes=len(samples.classes), initialisation=start)
    network.fc = torch.nn.Identity()
    transform = InputTransform(params, run.study.preprocessing.spacing_mm, samples.is_hu, start.mean, start.std)
    torch.set_num_threads(params.threads)
    rows, device = np.arange(len(samples.table)), torch.device("cpu")
    return predict(network, samples.images, rows=rows, transform=transform, device=device).numpy()


def flipped(labels: np.ndarray, *, n_classes: int, rng: np.random.Generator) -> np.ndarray:
    """Labels of which a share, drawn at random, has become another class."""
    chosen = rng.choice(len(labels), round(CHANGED * len(labels)), replace=False)
    changed = labels.copy()
    changed[chosen] = (changed[chosen] + rng.integers(1, n_classes, len(chosen))) % n_classes
    return changed


def draw(features: np.ndarray, *, samples: Samples, seed: int) -> dict[str, float]:
    """Change labels once and look for them: precision, recall, and the accuracy of the model on the changed labels."""
    labels, patients = samples.targets(), samples.table["PatientID"]
    changed = flipped(labels, n_classes=len(samples.classes), rng=np.random.default_rng(seed))
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=300))
    probabilities = cross_val_predict(model, features, changed, groups=patients, cv=folds, method="predict_proba")
    likely = confident_joint(changed, probabilities).likely
    is_doubtful, is_changed = (likely >= 0) & (likely != changed), changed != labels
    found = (is_doubtful & is_changed).sum()
    return {
        "labels in doubt": is_doubtful.sum(),
        "precision": found / max(1, is_doubtful.sum()),
        "recall": found / is_changed.sum(),
        "accuracy of the model": (probabilities.argmax(axis=1) == labels).mean(),
    }


def main() -> None:
    """Print means over the draws with their range."""
    run = Run(project_file(Path(*sys.argv[1:] or ["runs/default"])))
    samples = read_samples(run)
    features = PCA(COMPONENTS, random_state=0).fit_transform(pooled_features(samples, run=run))
    draws = pd.DataFrame([draw(features, samples=samples, seed=seed) for seed in range(DRAWS)])
    low, high = draws.quantile([0.025, 0.975]).to_numpy()
    summary = pd.DataFrame({"mean": draws.mean(), "from": low, "to": high})
    sys.stdout.write(f"{CHANGED:.0%} of {len(samples.table)} labels changed, {DRAWS} draws\n{summary.round(3)}\n")


if __name__ == "__main__":
    main()
