"""Every file is accounted for: listed, named by the labels table or told as left over, and counted step by step."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from typing import Any, Optional

from helpers.cohort.exclusions import Exclusion, NotUsable, Reason
from helpers.cohort.sources.protocol import Source


def unnamed_files(files: Sequence[str], *, labels: Iterable[str], source: Source) -> list[Exclusion]:
    """Files that no row names, and files in the folder of a named series that are not its slices.

    Parameters
    ----------
    files
        As `list_files` gives them.
    labels
        The names in the labels table.
    source
        Knows what kind of file belongs to it.
    """
    named = _normal(labels)
    exclusions = []
    for file in files:
        if file in named:
            continue
        in_series = _is_named(file, named)
        found = source.unnamed(file)
        if isinstance(found, NotUsable):
            exclusions.append(Exclusion(file, found.reason, found.detail))
        elif not in_series:
            exclusions.append(Exclusion(file, found, "no row of the labels table names it"))
        elif found != Reason.UNLABELLED_FILE:
            exclusions.append(Exclusion(file, found, "lies in the folder of a series"))
    return exclusions


def flow_step(
    step: str,
    *,
    files: Sequence[str],
    rows: Optional[Sequence[tuple[Optional[str], Optional[str]]]] = None,
    excluded: Sequence[Exclusion] = (),
) -> dict[str, Any]:
    """One step on the way from the files to the samples.

    Parameters
    ----------
    step
        What is counted, in words.
    files
        Files of the cohort folder that can be counted at this step.
    rows
        (file or series folder, patient) of each row or sample that is left, either None where not known; None at the
        step before any row is read.
    excluded
        What was left out between the step before and this one.

    Returns
    -------
    dict of step, n_files, n_samples, n_patients (None where not known), excluded (count by reason).
    """
    reasons = dict(sorted(Counter(item.reason.value for item in excluded).items()))
    if rows is None:
        return {"step": step, "n_files": len(files), "n_samples": None, "n_patients": None, "excluded": reasons}
    named = _normal(source for source, _ in rows if source)
    patients = {patient for _, patient in rows}
    return {
        "step": step,
        "n_files": sum(_is_named(file, named) for file in files),
        "n_samples": len(rows),
        "n_patients": None if None in patients else len(patients),
        "excluded": reasons,
    }


def _normal(names: Iterable[str]) -> set[str]:
    return {PurePosixPath(name.replace("\\", "/")).as_posix() for name in names}


def _is_named(file: str, named: set[str]) -> bool:
    """Whether a row names the file, or a folder that it lies in."""
    return file in named or any(parent.as_posix() in named for parent in PurePosixPath(file).parents)
