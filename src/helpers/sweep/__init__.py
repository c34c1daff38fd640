"""Sweep room: several variants of one study, trained alike and compared on the same images.

It stands above all notebooks: a row of a sweep is a run of its own, and the table compares what the runs predict.
"""

from helpers.sweep.page import write_sweep
from helpers.sweep.rows import row_problem, run_rows
from helpers.sweep.variations import Row, Sweep, load_sweep

__all__ = ["Row", "Sweep", "load_sweep", "row_problem", "run_rows", "write_sweep"]
