"""Does confident learning find labels that are wrong? A share of the default cohort's labels is changed on purpose.

    .venv/bin/python benchmarks/label_errors.py [run folder]

The run folder (default: runs/default) needs notebooks 01 to 03. No network is trained anew: a logistic regression
learns the changed labels from features, in the study's own folds. Features of the untrained starting point read the
images worse than a trained network, so its figures are too low. Features of the networks of the run have once learned
the unchanged labels of their training parts, so theirs are rather too high. Labels are changed anew in every draw; the
range is that of 95 % of the draws. A doubt about a label that was not changed counts as false, also where a human would
share it.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.decomposition import PCA

from helpers.error_analysis import HeldOut
from helpers.error_analysis.embedding import without_last_layer
from helpers.error_analysis.label_errors import confident_joint
from helpers.evaluation.baselines import linear_model
from helpers.study import Run
from helpers.study.paths import project_file
from helpers.training import InputTransform, Samples, build_model, load_initialisation

CHANGED = 0.05
DRAWS = 40
COMPONENTS = 64


def read_samples(run: Run) -> Samples:
    """Cached images with their labels."""
    cohort, index = run.read_table("cohort"), run.read_table("image_index")
    classes = tuple(run.study.cohort.class_names)
    return Samples.align(run.read_array("images"), image_index=index, cohort=cohort, classes=classes)


def networks_of(run: Run, *, samples: Samples) -> HeldOut:
    """The trained networks of the run."""
    params, start = run.study.training, run.read_json("model")["input"]
    transform = InputTransform(params, run.study.preprocessing.spacing_mm, samples.is_hu, start["mean"], start["std"])
    predictions, checkpoints = run.read_table("predictions"), run.path("checkpoints/")
    return HeldOut.of(predictions, samples=samples, transform=transform, checkpoints=checkpoints)


def untrained_features(held_out: HeldOut) -> np.ndarray:
    """What the starting point makes of all images: (N, 2C)."""
    params, samples = held_out.transform.params, held_out.samples
    start = load_initialisation(params.weights, backbone=params.backbone)
    network = build_model(params, n_classes=len(samples.classes), initialisation=start)
    network.fc = torch.nn.Identity()
    return held_out.logits(network, samples.images)


def trained_features(held_out: HeldOut, *, fold: int) -> np.ndarray:
    """What the network of one fold makes of all images: (N, D)."""
    network = held_out.network(fold=fold, seed=int(held_out.tested["seed"].min()))
    return held_out.logits(without_last_layer(network), held_out.samples.images)


def flipped(labels: np.ndarray, *, n_classes: int, rng: np.random.Generator) -> np.ndarray:
    """Labels of which a share, drawn at random, has become another class."""
    chosen = rng.choice(len(labels), round(CHANGED * len(labels)), replace=False)
    changed = labels.copy()
    changed[chosen] = (changed[chosen] + rng.integers(1, n_classes, len(chosen))) % n_classes
    return changed


def draw(
    features: dict[int, np.ndarray], *, parts: dict[int, np.ndarray], samples: Samples, seed: int
) -> dict[str, float]:
    """Change labels once and look for them: precision, recall, and the accuracy of the model on the true labels.

    `features` and `parts` give (N, D) numbers and the part of each sample, by fold.
    """
    labels = samples.targets()
    changed = flipped(labels, n_classes=len(samples.classes), rng=np.random.default_rng(seed))
    probabilities = np.zeros((len(labels), len(samples.classes)))
    for fold, part in parts.items():
        model = linear_model().fit(features[fold][part == "train"], changed[part == "train"])
        probabilities[part == "test"] = model.predict_proba(features[fold][part == "test"])
    likely = confident_joint(changed, probabilities).likely
    is_doubtful, is_changed = (likely >= 0) & (likely != changed), changed != labels
    found = (is_doubtful & is_changed).sum()
    return {
        "labels in doubt": is_doubtful.sum(),
        "precision": found / max(1, is_doubtful.sum()),
        "recall": found / is_changed.sum(),
        "accuracy of the model": (probabilities.argmax(axis=1) == labels).mean(),
    }


def report(title: str, features: dict[int, np.ndarray], *, parts: dict[int, np.ndarray], samples: Samples) -> None:
    """Print means over the draws with their range."""
    reduced = {fold: PCA(COMPONENTS, random_state=0).fit_transform(values) for fold, values in features.items()}
    draws = pd.DataFrame([draw(reduced, parts=parts, samples=samples, seed=seed) for seed in range(DRAWS)])
    low, high = draws.quantile([0.025, 0.975]).to_numpy()
    summary = pd.DataFrame({"mean": draws.mean(), "from": low, "to": high})
    sys.stdout.write(f"{title}: {CHANGED:.0%} of {len(samples.table)} labels changed, {DRAWS} draws\n")
    sys.stdout.write(f"{summary.round(3)}\n\n")


def main() -> None:
    """Look for changed labels with the features of untrained and of trained networks."""
    run = Run(project_file(Path(*sys.argv[1:] or ["runs/default"])))
    samples = read_samples(run)
    held_out = networks_of(run, samples=samples)
    torch.set_num_threads(held_out.transform.params.threads)
    splits = run.read_table("splits").pivot(index="sample_id", columns="fold", values="split")
    parts = {fold: splits.loc[samples.table["sample_id"], fold].to_numpy() for fold in splits}
    report("untrained", dict.fromkeys(parts, untrained_features(held_out)), parts=parts, samples=samples)
    trained = {fold: trained_features(held_out, fold=fold) for fold in parts}
    report("trained", trained, parts=parts, samples=samples)


if __name__ == "__main__":
    main()
