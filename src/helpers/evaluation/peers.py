"""Published systems for vertebral fractures on CT, with the numbers that their abstracts report.

The table is `peers.csv` beside this module. Each row was read in its source; none is a measurement of this study.
"""

from importlib.resources import files

import pandas as pd

WHY_NOT_COMPARABLE = (
    "These numbers cannot be ranked, nor set beside ours: the patients, the classes, the share of each class and the "
    "unit counted (image, vertebra or patient) differ, most give no interval, and in the AO classification B and C are "
    "tension band injury and displacement, while compression and burst are both type A."
)


def peers() -> pd.DataFrame:
    """One row per system: `study`, `question`, `data`, `result`, `source`."""
    with files("helpers.evaluation").joinpath("peers.csv").open(encoding="utf-8") as stream:
        return pd.read_csv(stream, dtype=str)
