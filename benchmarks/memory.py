"""Measure the peak memory of each stage of a study.

    .venv/bin/python benchmarks/memory.py params/default.yaml --set training.epochs=1
    .venv/bin/python benchmarks/memory.py params/default.yaml --set training.epochs=1 --set splits.n_folds=2
        --set "cohort.phantom_images={A: 4000, B: 4220, C: 1780}" --set cohort.phantom_patients=5000   (one line)

Everything is handed to `study run`. The run gets a folder of its own; simulated images, weights and the ablation table
are those of the project. A number is the resident memory of the command and of all that it has started, looked at ten
times a second. Pages that processes share count once for each, and so do pages of mapped files, which the system lets
go when it needs them: what a stage cannot do without is less.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import yaml
from kills import REPOSITORY, events, new_project

POLL_S = 0.1
GIB = 2**30


def resident_bytes(process: psutil.Process) -> int:
    """Resident memory of a process and of all that it has started."""
    total = 0
    for member in (process, *process.children(recursive=True)):
        try:
            total += member.memory_info().rss
        except psutil.NoSuchProcess:  # it ended between the two questions
            continue
    return total


def peaks(project: Path, *, name: str, arguments: list[str]) -> dict[str, int]:
    """Run a study; gives the peak of each stage in bytes.

    Raises
    ------
    SystemExit
        If the run fails.
    """
    found: dict[str, int] = {}
    command = [sys.executable, "-m", "helpers.cli", "run", *arguments]
    with subprocess.Popen(command, cwd=project, stdout=subprocess.DEVNULL) as run:
        while run.poll() is None:
            started = [event["stage"] for event in events(project / "runs" / name) if event["event"] == "started"]
            if started:
                found[started[-1]] = max(found.get(started[-1], 0), resident_bytes(psutil.Process(run.pid)))
            try:
                run.wait(timeout=POLL_S)
            except subprocess.TimeoutExpired:
                continue
    if run.returncode != 0:
        raise SystemExit(f"the run failed, with these peaks so far: {found}")
    return found


def main() -> None:
    """Print one line for each stage."""
    arguments = sys.argv[1:] or ["params/default.yaml"]
    name = yaml.safe_load((REPOSITORY / arguments[0]).read_text(encoding="utf-8"))["study"]["name"]
    with tempfile.TemporaryDirectory() as folder:
        project = new_project(Path(folder) / "project")
        for shared in ("data", "weights", "reports"):
            (REPOSITORY / shared).mkdir(exist_ok=True)  # a link to nothing cannot be written to
            (project / shared).symlink_to(REPOSITORY / shared)
        for stage, peak in peaks(project, name=name, arguments=arguments).items():
            sys.stdout.write(f"{stage:18s} {peak / GIB:5.2f} GiB\n")


if __name__ == "__main__":
    main()
