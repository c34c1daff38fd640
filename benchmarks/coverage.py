"""How often nominal 95 % intervals hold the true value, in simulated cohorts of patients with several images each.

    .venv/bin/python benchmarks/coverage.py                       all cells, about ten minutes on one core
    .venv/bin/python benchmarks/coverage.py --cohorts 200         a quick look

The table is written to src/helpers/evaluation/coverage.csv. Beside the intervals of the study stand percentiles of the
same replicates, which they replace. A cohort without an interval, such as one with a single positive patient, counts
under `without` and not under `coverage`.
"""

import argparse
import itertools
import logging
import time
from pathlib import Path

import numpy as np
import pandas as pd

from helpers.evaluation.simulation import CohortModel, coverage_of

PATIENTS, PREVALENCES, TARGETS = (15, 50, 350), (0.1, 0.4), (0.75, 0.97)
TABLE = Path(__file__).parents[1] / "src" / "helpers" / "evaluation" / "coverage.csv"


def main() -> None:
    """Simulate all cells and write the table."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cohorts", type=int, default=2000, help="simulated cohorts in each cell")
    parser.add_argument("--table", type=Path, default=TABLE, help="where the table is written")
    options = parser.parse_args()
    parts = []
    for number, (n_patients, prevalence, target) in enumerate(itertools.product(PATIENTS, PREVALENCES, TARGETS)):
        model, start = CohortModel(prevalence=prevalence, target=target), time.perf_counter()
        rng = np.random.default_rng([0, number])
        found = coverage_of(model, n_patients=n_patients, n_cohorts=options.cohorts, rng=rng)
        parts.append(found)
        logging.info("%s\n%.0f s\n", found.to_string(index=False), time.perf_counter() - start)
    pd.concat(parts, ignore_index=True).round(4).to_csv(options.table, index=False)


if __name__ == "__main__":
    main()
