"""Does the list of doubtful labels find labels that are wrong? 5 % of the default cohort's are changed on purpose.

    .venv/bin/python benchmarks/label_errors.py [run folder]

The run folder (default: runs/default) needs notebooks 01 and 02. In each draw other labels are changed, networks of
the study are trained on them in its own folds, with its own settings but on one thread, and the list of notebook 05 is
made from what they say of images that they did not learn from. A draw takes some ten minutes; finished networks are
kept beside the run folder and used again. The table is printed and written to label_errors.csv, which notebook 05
shows. A doubt about a label that was not changed counts as false, also where a human would share it.
"""

import logging
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd

from helpers import error_analysis
from helpers.error_analysis import calibrated_out_of_fold
from helpers.error_analysis.planted_labels import change_labels, listed_changes, worth_table
from helpers.study import Run
from helpers.study.paths import project_file
from helpers.training import Samples, cross_validate, load_initialisation

DRAWS = 1
TABLE = Path(error_analysis.__file__).with_name("label_errors.csv")


def read_samples(run: Run) -> Samples:
    """Cached images with their labels."""
    cohort, index = run.read_table("cohort"), run.read_table("image_index")
    classes = tuple(run.study.cohort.class_names)
    return Samples.align(run.read_array("images"), image_index=index, cohort=cohort, classes=classes)


def draw(run: Run, *, samples: Samples, seed: int) -> pd.DataFrame:
    """Train on labels of which some are changed, and list them: the rows of `listed_changes`."""
    params = run.study.training.model_copy(update={"threads": 1})
    labels = change_labels(samples.table["label"].to_numpy(), classes=samples.classes, seed=seed)
    result = cross_validate(
        replace(samples, table=samples.table.assign(label=labels)),
        run.read_table("splits"),
        params=params,
        initialisation=load_initialisation(params.weights, backbone=params.backbone),
        spacing_mm=run.study.preprocessing.spacing_mm,
        folder=run.folder.parent / "label_errors" / f"draw{seed}",
        report=lambda line: logging.info("draw %d of %d: %s", seed + 1, DRAWS, line),
    )
    tested = calibrated_out_of_fold(result.predictions, classes=list(samples.classes))
    true_labels = samples.table.set_index("sample_id")["label"]
    is_right = tested["y_pred"].to_numpy() == true_labels.loc[tested["sample_id"]].to_numpy()
    logging.info("draw %d of %d: %.3f of the unchanged labels are predicted", seed + 1, DRAWS, is_right.mean())
    return listed_changes(tested, true_labels=true_labels, classes=samples.classes)


def main() -> None:
    """Train all draws, print the table and write it."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    run = Run(project_file(Path(*sys.argv[1:] or ["runs/default"])))
    samples = read_samples(run)
    planted = pd.concat([draw(run, samples=samples, seed=seed) for seed in range(DRAWS)])
    table = worth_table(planted, params=run.study.evaluation)
    table.to_csv(TABLE, index=False)
    sys.stdout.write(f"{table.to_string(index=False)}\n")


if __name__ == "__main__":
    main()
