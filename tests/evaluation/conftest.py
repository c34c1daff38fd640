"""Synthetic predictions for the evaluation tests: patients with several images, correlated within the patient."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import pytest

CLASS_NAMES = {"A": "compression", "B": "burst", "C": "normal"}


def predictions_frame(
    y_true: Sequence[str],
    logits: np.ndarray,
    *,
    classes: Sequence[str] = "ABC",
    patients: Sequence[str] | None = None,
    split: str = "test",
    fold: int = 0,
    seed: int = 0,
) -> pd.DataFrame:
    """One row per sample, named s0, s1, …; every sample its own patient unless `patients` is given."""
    names = [f"s{index}" for index in range(len(y_true))]
    frame = pd.DataFrame({"sample_id": names, "PatientID": list(patients) if patients is not None else names})
    frame = frame.assign(fold=fold, seed=seed, split=split, y_true=list(y_true))
    columns = {f"logit_{key}": np.asarray(logits, dtype=np.float32)[:, code] for code, key in enumerate(classes)}
    return frame.assign(**columns)


def answers_frame(y_true: Sequence[str], y_pred: Sequence[str], **options) -> pd.DataFrame:
    """Predictions whose most probable class is `y_pred`."""
    classes = list(options.get("classes", "ABC"))
    logits = 4.0 * (np.asarray(list(y_pred))[:, None] == np.asarray(classes))
    return predictions_frame(y_true, logits, **options)


def simulated_study(*, n_patients: int = 40, n_folds: int = 3, seed: int = 0) -> pd.DataFrame:
    """A small cross-validated study of three classes with 1 to 4 images per patient, train and test rows."""
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(n_patients), rng.integers(1, 5, n_patients))
    code = rng.permutation(np.arange(len(patient)) % 3)
    patient_effect = rng.normal(0, 1.0, (n_patients, 3))[patient]
    parts = []
    for fold in range(n_folds):
        for split, strength in (("test", 1.5), ("train", 4.0)):
            logits = strength * np.eye(3)[code] + patient_effect + rng.normal(0, 0.7, (len(code), 3))
            frame = predictions_frame(
                np.array(list("ABC"))[code],
                logits,
                patients=[f"P{index:03d}" for index in patient],
                split=split,
                fold=fold,
            )
            parts.append(frame[(patient % n_folds == fold) == (split == "test")])
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="session")
def study_predictions() -> pd.DataFrame:
    return simulated_study()


@pytest.fixture(scope="session")
def make_study() -> Callable[..., pd.DataFrame]:
    return simulated_study


@pytest.fixture(scope="session")
def make_predictions() -> Callable[..., pd.DataFrame]:
    return predictions_frame


@pytest.fixture(scope="session")
def make_answers() -> Callable[..., pd.DataFrame]:
    return answers_frame


@pytest.fixture(scope="session")
def class_names() -> dict[str, str]:
    return dict(CLASS_NAMES)


@pytest.fixture(scope="session")
def evaluation(study_predictions, class_names):
    from helpers.evaluation import evaluate

    return evaluate(study_predictions, class_names=class_names, normal_class="C", n_bootstrap=400, seed=7)


def scored_frame(labels: Sequence[str], scores: Sequence[float], **columns) -> pd.DataFrame:
    """Predictions whose fracture score is given; two samples for each patient."""
    scores = np.clip(np.asarray(scores, dtype=float), 1e-6, 1 - 1e-6)
    frame = pd.DataFrame(
        {
            "sample_id": [f"s{i:03d}" for i in range(len(labels))],
            "PatientID": [f"p{i // 2}" for i in range(len(labels))],
            "y_true": list(labels),
            "logit_A": np.log(scores / 2),
            "logit_B": np.log(scores / 2),
            "logit_C": np.log(1 - scores),
        }
    )
    return frame.assign(**({"fold": 0, "seed": 0} | columns))


@pytest.fixture(scope="session")
def make_scored() -> Callable[..., pd.DataFrame]:
    return scored_frame
