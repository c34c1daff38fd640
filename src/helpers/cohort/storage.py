"""The files of a cohort folder, wherever they lie in it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Optional

from helpers.cohort.identity import KEY_FILE
from helpers.study.paths import project_file


def list_files(folder: Path, *, without: Sequence[Optional[Path]]) -> list[str]:
    """Every file below `folder`, relative and sorted, but hidden ones and those `without` which a cohort is counted."""
    apart = {path.resolve() for path in (*without, project_file(KEY_FILE)) if path is not None}
    files = (path for path in folder.rglob("*") if path.is_file() and path.resolve() not in apart)
    relative = (path.relative_to(folder) for path in files)
    return sorted(path.as_posix() for path in relative if not any(part.startswith(".") for part in path.parts))
