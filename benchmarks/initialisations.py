"""Which starting point should the default study use? The same cohort, folds, seed and epochs, one row each.

    .venv/bin/python benchmarks/initialisations.py

Two folds instead of five keep it under half an hour on two cores; the random start trains all stages, since frozen
random filters would not be a fair rival. Runs lie in runs/start-*, their reports too.
"""

import subprocess
import sys

import pandas as pd

from helpers.study import Run
from helpers.study.paths import project_file
from helpers.study.stages import read_records

FOLDS = "splits.n_folds=2"
STARTS = {
    "ct, window 300/1500": ["training.window_center=300.0", "training.window_width=1500.0"],
    "ct, window 0/2000": [],
    "random": ["training.weights=none", "training.frozen_stages=0", "training.backbone_rate_factor=1.0"],
}


def run_study(name: str, settings: list[str]) -> Run:
    """Run the default parameters with some settings changed, under a name of its own."""
    assignments = [f"study.name={name}", FOLDS, *settings]
    options = [word for assignment in assignments for word in ("--set", assignment)]
    subprocess.run([sys.executable, "-m", "helpers.cli", "run", "params/default.yaml", *options], check=True)
    return Run(project_file(f"runs/{name}"))


def row(start: str, run: Run) -> dict[str, str]:
    """Held-out figures of a run with their intervals, and the time of its training stage."""
    overall = run.read_json("metrics")["overall"]
    texts = {
        title: "{estimate:.3f} ({ci_low:.3f}–{ci_high:.3f})".format(**overall[name])
        for name, title in (
            ("accuracy", "accuracy"),
            ("balanced_accuracy", "balanced accuracy"),
            ("macro_auroc", "AUROC"),
        )
    }
    return {"start": start, **texts, "training": f"{read_records(run.folder)['03_training'].seconds:.0f} s"}


def main() -> None:
    """Print the table."""
    names = (f"start-{number}" for number in range(len(STARTS)))
    rows = [
        row(start, run_study(name, settings)) for name, (start, settings) in zip(names, STARTS.items(), strict=True)
    ]
    sys.stdout.write(pd.DataFrame(rows).to_string(index=False) + "\n")


if __name__ == "__main__":
    main()
