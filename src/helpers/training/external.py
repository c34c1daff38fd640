"""Score cohorts that nothing was trained on: every network of the run reads every sample."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from helpers.study import Run
from helpers.training.augmentation import InputTransform
from helpers.training.crossvalidation import choose_device, load_network, make_deterministic
from helpers.training.data import Samples
from helpers.training.inputs import predict


def score_external(
    samples: Samples,
    *,
    fits: pd.DataFrame,
    transform: InputTransform,
    checkpoints: Path,
    report: Callable[[int, int], None] | None = None,
) -> pd.DataFrame:
    """Predict all samples of one external cohort with every trained network.

    Parameters
    ----------
    samples
        Cached images of the cohort; `classes` are those of the networks, whatever its own labels are.
    fits
        Columns fold and seed: the networks of the run, as its predictions name them.
    transform
        Input transform of the run, with `is_hu` of this cohort.
    checkpoints
        Folder of the trained networks.
    report
        Called as ``report(done, total)`` after each network.

    Returns
    -------
    One row per (sample, fold, seed): sample_id, PatientID, y_true, fold, seed and a float32 ``logit_<class>`` each.
    """
    params = transform.params
    make_deterministic(params.threads)
    device = choose_device(params.device)
    rows = np.arange(len(samples.table))
    named = samples.table.rename(columns={"label": "y_true"})[["sample_id", "PatientID", "y_true"]]
    networks = list(fits[["fold", "seed"]].drop_duplicates().sort_values(["seed", "fold"]).itertuples(index=False))
    parts = []
    for done, (fold, seed) in enumerate(networks, start=1):
        file = checkpoints / f"fold{fold}_seed{seed}.safetensors"
        network = load_network(file, params=params, n_classes=len(samples.classes)).to(device)
        logits = predict(network, samples.images, rows=rows, transform=transform, device=device).numpy()
        columns = {f"logit_{key}": logits[:, place] for place, key in enumerate(samples.classes)}
        parts.append(named.assign(fold=int(fold), seed=int(seed), **columns))
        if report is not None:
            report(done, len(networks))
    return pd.concat(parts, ignore_index=True)


def read_cohorts(run: Run, *, classes: tuple[str, ...]) -> dict[str, Samples]:
    """External cohorts of a run by name, as notebooks 01 and 02 left them, in the order of its parameters.

    Parameters
    ----------
    run
        With `external.parquet`, `external_index.parquet` and `external_images/`, where the study names such cohorts.
    classes
        Of the networks, whatever the labels of the cohorts are.
    """
    names = [cohort.name for cohort in run.study.external.external]
    if not names:
        return {}
    table, index = run.read_table("external"), run.read_table("external_index")
    return {
        name: Samples.align(
            run.read_array(f"external_images/{name}.npy"),
            image_index=index[index["cohort"] == name],
            cohort=table[table["cohort"] == name],
            classes=classes,
        )
        for name in names
    }


def score_cohorts(
    cohorts: Mapping[str, Samples],
    *,
    fits: pd.DataFrame,
    transform: InputTransform,
    checkpoints: Path,
    report: Callable[[int, int], None] | None = None,
) -> pd.DataFrame:
    """Predict every external cohort of a run.

    Parameters
    ----------
    cohorts
        Result of `read_cohorts`, at least one.
    fits, transform, checkpoints, report
        As `score_external` takes them; 8-bit cohorts get the transform for 8-bit values.

    Returns
    -------
    `external_predictions.parquet`: as `score_external` gives them, with the column cohort.
    """
    parts = []
    for name, samples in cohorts.items():
        suited = replace(transform, is_hu=samples.is_hu)
        scored = score_external(samples, fits=fits, transform=suited, checkpoints=checkpoints, report=report)
        scored.insert(0, "cohort", name)
        parts.append(scored)
    return pd.concat(parts, ignore_index=True)
