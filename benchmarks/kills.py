"""Kill a study at many moments, go on each time, and compare the result with that of a run that nobody disturbed.

    .venv/bin/python benchmarks/kills.py                              50 kills of params/smoke.yaml, about half an hour
    .venv/bin/python benchmarks/kills.py --kills 8

The moments are spread evenly over the time that each stage of the undisturbed run took. At each of them the whole
process group gets SIGKILL, every artefact that is there must open, and the next run goes on where this one was stopped.
The end must be equal: predictions value by value, metrics.json byte by byte. Both runs have folders of their own.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from safetensors import safe_open

REPOSITORY = Path(__file__).parents[1]
POLL_S, START_S = 0.05, 120.0
OPENERS = {
    ".parquet": pd.read_parquet,
    ".json": lambda path: json.loads(path.read_text(encoding="utf-8")),
    ".npy": lambda path: np.load(path, mmap_mode="r"),
    ".safetensors": lambda path: safe_open(path, framework="np").keys(),
}


@dataclass(frozen=True)
class Moment:
    """So many seconds after a stage has started."""

    stage: str
    seconds: float


def new_project(folder: Path) -> Path:
    """A project folder with its own runs."""
    folder.mkdir()
    shutil.copy(REPOSITORY / "pyproject.toml", folder)
    for name in ("notebooks", "params"):
        shutil.copytree(REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
    return folder


def start(project: Path, params: str) -> subprocess.Popen:
    """`study run` in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "helpers.cli", "run", params],
        cwd=project,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def events(run: Path) -> list[dict]:
    """Lines of the journal that are whole."""
    file = run / "journal.jsonl"
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


def moments(run: Path, *, n: int) -> Iterator[Moment]:
    """Moments at equal distances over the time that the stages of a finished run took."""
    times = {event["stage"]: event["seconds"] for event in events(run) if event["event"] == "done"}
    for place in np.linspace(0, sum(times.values()), n, endpoint=False) + sum(times.values()) / (2 * n):
        for stage, seconds in times.items():
            if place < seconds:
                yield Moment(stage, float(place))
                break
            place -= seconds


def kill_at(moment: Moment, *, process: subprocess.Popen, run: Path) -> str:
    """Kill the group `moment.seconds` after its stage has started; returns what was met."""
    known, deadline = len(events(run)), time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < deadline:
        new = events(run)[known:]
        if any(event["event"] == "started" and event["stage"] >= moment.stage for event in new):
            break
        time.sleep(POLL_S)
    try:
        process.wait(timeout=moment.seconds)
        return "finished before"
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return "killed"


def damaged(run: Path) -> list[str]:
    """Artefacts that do not open."""
    found = []
    for path in sorted(run.rglob("*")):
        opener = OPENERS.get(path.suffix)
        if opener is None or path.name.startswith(".") or not path.is_file():
            continue
        try:
            opener(path)
        except Exception as error:
            found.append(f"{path.relative_to(run)}: {error}")
    return found


def main() -> int:
    """Print one line for each kill, and the verdict."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--params", default="params/smoke.yaml")
    options = parser.parse_args()
    name = yaml.safe_load((REPOSITORY / options.params).read_text(encoding="utf-8"))["study"]["name"]
    with tempfile.TemporaryDirectory() as folder:
        calm, shaken = (new_project(Path(folder) / kind) for kind in ("calm", "shaken"))
        if start(calm, options.params).wait() != 0:
            raise SystemExit("the undisturbed run failed")
        runs = [project / "runs" / name for project in (calm, shaken)]
        counts: dict[str, int] = {}
        for number, moment in enumerate(moments(runs[0], n=options.kills), start=1):
            met = kill_at(moment, process=start(shaken, options.params), run=runs[1])
            broken = damaged(runs[1]) if runs[1].is_dir() else []
            counts[met] = counts.get(met, 0) + 1
            sys.stdout.write(f"{number:3d} {moment.stage:18s} {moment.seconds:6.1f} s: {met}; damaged: {broken}\n")
            sys.stdout.flush()
            if broken:
                return 1
        if start(shaken, options.params).wait() != 0:
            raise SystemExit("the last run failed")
        predictions = [pd.read_parquet(run / "predictions.parquet") for run in runs]
        same = predictions[0].equals(predictions[1])
        same_metrics = len({(run / "metrics.json").read_bytes() for run in runs}) == 1
    sys.stdout.write(f"{counts}; predictions equal: {same}; metrics.json equal: {same_metrics}\n")
    return 0 if same and same_metrics else 1


if __name__ == "__main__":
    sys.exit(main())
