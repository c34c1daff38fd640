"""Whether a run's numbers still follow from its predictions, and how far they are from released ones.

Two tolerances:

* `SAME`, for numbers that are computed again from the same artefacts of a run, and for the word "exact". Sums of floats
  depend in their last digits on the processor and the library; nothing that anybody reads is smaller. The same kind of
  machine with the same versions and threads gives a difference of 0.
* A quarter of the width of the released interval, for a run that was trained again elsewhere. Rounding differs between
  kinds of processors, grows over the epochs, and in the end turns the answers of a few images that lie between two
  classes. What differs by less than that changes no conclusion that the interval allows.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from helpers.evaluation.findings import Findings
from helpers.runs.comparison import MAIN_SECTIONS
from helpers.runs.numbers import Place, metrics_by_place, values_by_place
from helpers.runs.side import RunMismatch, Side, open_side
from helpers.study.artefacts import ArtefactError
from helpers.study.paths import short_path
from helpers.study.stages import STAGES, output_hashes, read_records

SAME = 1e-9
SHARE_OF_INTERVAL = 0.25
EXACT, WITHIN, OUTSIDE = "exact", "within", "outside"
# Thresholds, calibration and single folds hang on a few images each: they are compared for equality only.
JUDGED_SECTIONS = (*MAIN_SECTIONS, "baseline")
LIMITS = ("estimate", "ci_low", "ci_high")


@dataclass(frozen=True)
class Deviation:
    """A value that is not what it should be; `expected` is None where it should not be there, and the reverse."""

    place: Place
    expected: Any
    found: Any


@dataclass(frozen=True)
class Agreement:
    """One metric of a run beside the released one.

    Attributes
    ----------
    place
        In metrics.json.
    found, released
        Estimates.
    distance
        The largest difference of estimate and limits; infinite where only one of the two has a value.
    tolerance
        Up to which `verdict` is not `outside`.
    """

    place: Place
    found: float | None
    released: float | None
    distance: float
    tolerance: float

    @property
    def verdict(self) -> str:
        """`exact`, `within` the tolerance, or `outside`."""
        if self.distance <= SAME:
            return EXACT
        return WITHIN if self.distance <= self.tolerance else OUTSIDE


@dataclass(frozen=True)
class Verification:
    """What `study verify` found of one run.

    Attributes
    ----------
    name
        Of the run.
    n_values
        Values of metrics.json, all computed again from the artefacts of earlier notebooks.
    deviations
        Those that are no longer what these give.
    n_files
        Files with a recorded hash.
    changed_files
        Those that are missing, new, or no longer what their stage wrote.
    agreements
        Main metrics beside released ones, those farthest apart first; empty where none were given.
    n_released, n_equal
        Values of the released file, and how many of them this run has exactly.
    """

    name: str
    n_values: int
    deviations: tuple[Deviation, ...]
    n_files: int
    changed_files: tuple[str, ...]
    agreements: tuple[Agreement, ...] = field(default=(), repr=False)
    n_released: int = 0
    n_equal: int = 0

    @property
    def holds(self) -> bool:
        """Whether nothing has changed and nothing lies outside."""
        is_near = all(found.verdict != OUTSIDE for found in self.agreements)
        return not self.deviations and not self.changed_files and is_near


def verify_run(folder: Path, *, against: Path | None = None) -> Verification:
    """Compute the metrics of a run again, check its files, and hold it against released numbers.

    Parameters
    ----------
    folder
        A run that has reached its evaluation.
    against
        A metrics.json of another run of the same study, such as reports/default_metrics.json.

    Raises
    ------
    RunMismatch
        If the run is not complete, or `against` is of another cohort.
    ArtefactError, ParameterError
        If a file is missing, damaged or of another version.
    """
    side = open_side(folder)
    recomputed = recompute(side)
    n_files, changed_files = _files(folder)
    released = {} if against is None else _released(against, side=side)
    return Verification(
        name=side.name,
        n_values=len(values_by_place(recomputed)),
        deviations=deviations(expected=recomputed, found=side.record.metrics),
        n_files=n_files,
        changed_files=changed_files,
        agreements=agreements(side.record.metrics, released),
        n_released=len(values_by_place(released)),
        n_equal=_equal_values(released, side.record.metrics),
    )


def recompute(side: Side) -> dict[str, Any]:
    """What notebook 04 finds in the predictions of a run, as metrics.json would hold it."""
    found = Findings(side.run, side.record.study.evaluation)
    return json.loads(json.dumps(found.to_json_dict()))  # as it is read back


def deviations(*, expected: Mapping[str, Any], found: Mapping[str, Any]) -> tuple[Deviation, ...]:
    """Values of either document that the other has not, numbers up to `SAME`."""
    wanted, present = values_by_place(expected), values_by_place(found)
    return tuple(
        Deviation(place, wanted.get(place), present.get(place))
        for place in {**wanted, **present}
        if place not in wanted or place not in present or not _is_same(wanted[place], present[place])
    )


def _is_same(first: Any, second: Any) -> bool:
    if isinstance(first, float) or isinstance(second, float):
        return _distance(first, second) <= SAME
    return first == second


def _equal_values(released: Mapping[str, Any], found: Mapping[str, Any]) -> int:
    wanted, present = values_by_place(released), values_by_place(found)
    return sum(place in present and _is_same(value, present[place]) for place, value in wanted.items())


def _distance(first: float | None, second: float | None) -> float:
    if first is None or second is None:
        return 0.0 if first is second else float("inf")
    return abs(first - second)


def agreements(found: Mapping[str, Any], released: Mapping[str, Any]) -> tuple[Agreement, ...]:
    """Main metrics of a run beside released ones, the worst first in units of their tolerance.

    Parameters
    ----------
    found, released
        Contents of metrics.json; nothing is compared with an empty `released`.
    """
    if not released:
        return ()
    ours, theirs = (metrics_by_place(document) for document in (found, released))
    judged = [place for place in {**theirs, **ours} if place[0] in JUDGED_SECTIONS]
    fallback = _tolerance(released["overall"]["accuracy"], fallback=SAME)
    rows = [_agreement(place, found=ours.get(place), released=theirs.get(place), fallback=fallback) for place in judged]
    return tuple(sorted(rows, key=lambda row: -row.distance / row.tolerance))


def _agreement(
    place: Place, *, found: Mapping[str, Any] | None, released: Mapping[str, Any] | None, fallback: float
) -> Agreement:
    ours, theirs = (metric or dict.fromkeys(LIMITS) for metric in (found, released))
    # an entry that only one of the two has is far, also where its value is null
    is_alone = found is None or released is None
    distance = float("inf") if is_alone else max(_distance(ours[name], theirs[name]) for name in LIMITS)
    return Agreement(place, ours["estimate"], theirs["estimate"], distance, _tolerance(theirs, fallback=fallback))


def _tolerance(metric: Mapping[str, Any], *, fallback: float) -> float:
    """A quarter of the released interval; a metric without one gets what the accuracy gets."""
    if metric["ci_low"] is None:
        return fallback
    return max(SAME, SHARE_OF_INTERVAL * (metric["ci_high"] - metric["ci_low"]))


def _released(file: Path, *, side: Side) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        theirs, _ = content["cohort"], content["overall"]["accuracy"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtefactError(f"{short_path(file)} is no metrics.json of this version ({error})") from error
    ours = side.record.metrics["cohort"]
    if ours != theirs:
        differing = [
            f"{name} {ours.get(name)} and {theirs.get(name)}" for name in theirs if ours.get(name) != theirs[name]
        ]
        raise RunMismatch(f"{side.name} and {short_path(file)} are not of the same cohort: {'; '.join(differing)}")
    return content


def _files(folder: Path) -> tuple[int, tuple[str, ...]]:
    """Hold the files of the notebooks against the hashes recorded when their stages ended.

    `study report` builds the report again at any time, so it is not one of them.
    """
    records = read_records(folder)
    recorded: dict[str, str] = {}
    present: dict[str, str] = {}
    for stage in STAGES:
        if stage.is_notebook and stage.key in records:
            recorded |= records[stage.key].outputs
            present |= output_hashes(stage, folder)
    changed = {name for name, _ in recorded.items() ^ present.items()}
    return len(recorded), tuple(sorted(changed))
