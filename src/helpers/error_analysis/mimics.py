"""Degenerative changes of simulated vertebrae that may be taken for a fracture, or hide one.

The table of truth does not hold them. A simulated patient follows from the parameters alone, so each is drawn anew,
without images; a patient takes some fifty milliseconds.
"""

from collections.abc import Iterator
from pathlib import PurePosixPath

import numpy as np
import pandas as pd

from helpers.cohort.sources import phantom_spec
from helpers.phantom import plan_cohort, plan_images, sample_patient
from helpers.phantom.spine import Spine
from helpers.study import CohortParams

#: Smaller osteophytes are hardly seen: two millimetres are three pixels of the default study.
OSTEOPHYTE_MM = 2.0
#: An osteophyte begins so deep in the body.
ROOT_MM = 2.0


def simulated_mimics(cohort: pd.DataFrame, *, params: CohortParams) -> pd.Series:
    """What each simulated target has beside its class.

    Parameters
    ----------
    cohort
        The cohort table: source, which names the patient's folder, and level.
    params
        Section `cohort` of the parameters that it was made with.

    Returns
    -------
    Words in the order of `cohort`, empty where there is nothing: Schmorl node, osteophyte of at least `OSTEOPHYTE_MM`,
    sclerotic end plate, gas in a disc beside the body.
    """
    known = {
        (patient, level): ", ".join(mimics_of(spine, level=level))
        for patient, spine in _spines(params)
        for level in spine.vertebrae
    }
    patients = cohort["source"].map(lambda source: PurePosixPath(source).parent.name)
    return pd.Series([known[key] for key in zip(patients, cohort["level"], strict=True)], index=cohort.index)


def _spines(params: CohortParams) -> Iterator[tuple[str, Spine]]:
    """Every patient's spine, drawn as `helpers.phantom.simulation.simulate_patient` draws it."""
    spec = phantom_spec(params)
    weights = {} if spec.levels is None else {"level_weights": dict.fromkeys(spec.levels, 1.0)}
    for task in plan_cohort(spec):
        rng = np.random.default_rng(task.seed)
        fractures, _ = plan_images(rng, labels=task.labels, orientation=spec.orientation, **weights)
        patient = sample_patient(rng, patient_id=task.patient_id, fractures=fractures, correlation=spec.correlation)
        yield task.patient_id, patient.spine


def mimics_of(spine: Spine, *, level: str) -> list[str]:
    """The degenerative changes at one level, in words."""
    target, levels = spine.at(level), list(spine.vertebrae)
    above = levels[max(levels.index(level) - 1, 0)]
    discs = (spine.at(above).disc, target.disc)
    lengths = [np.abs(np.subtract(*spur.ends))[:2].max() - ROOT_MM for spur in target.shape.spurs]
    found = {
        "Schmorl node": bool(target.shape.nodes),
        "osteophyte": max(lengths, default=0.0) >= OSTEOPHYTE_MM,
        "sclerotic end plate": any(disc.sclerosis_hu > 0 for disc in discs),
        "gas in a disc": any(disc.vacuum for disc in discs),
    }
    return [name for name, is_there in found.items() if is_there]
