"""Kill a study at many moments, go on each time, and compare the result with that of a run that nobody disturbed.

    .venv/bin/python benchmarks/kills.py              50 kills
    .venv/bin/python benchmarks/kills.py --kills 8

The study is that of params/smoke.yaml with half the images and fewer pictures, so that a cycle takes seconds. The
moments are spread evenly over each stage, as many for a short one as for a long one. At each of them the whole process
group gets SIGKILL, every artefact that is there must open, and the next run starts at once and goes on where this one
was stopped; what the killed one had started must be gone by the next kill. Training goes on from its checkpoints, so
later moments fall into later stages; where all stages are finished, the next run does a stage afresh.

The end must be equal, file by file: every artefact by its hash, and with it predictions and metrics, and nothing else
may lie in the run folder; the same holds for the simulated images. Both runs have folders of their own.
"""

import argparse
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
from safetensors import safe_open

REPOSITORY = Path(__file__).parents[1]
PARAMS, NAME = "params/smoke.yaml", "smoke"
SMALLER = (
    "cohort.phantom_images={A: 10, B: 10, C: 10}", "cohort.phantom_patients=15", "evaluation.n_bootstrap=100",
    "error_analysis.n_gallery=2", "error_analysis.n_saliency=1", "error_analysis.n_robustness=10",
)  # fmt: skip
POLL_S, START_S = 0.05, 900.0
MET = ("killed", "finished before")
TELL_THE_TIME = ("notebooks/", "report.html", "stages.json", "journal.jsonl", "provenance.json", ".lock")
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


def start(project: Path, *options: str) -> subprocess.Popen:
    """`study run` in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "helpers.cli", "run", PARAMS, *options, *(f"--set={value}" for value in SMALLER)],
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
    """Moments at equal distances over the time that each stage of a finished run took, as many for each stage."""
    times = [(event["stage"], event["seconds"]) for event in events(run) if event["event"] == "done"]
    for number in range(n):
        place, step = divmod(number * len(times), n)
        stage, seconds = times[place]
        yield Moment(stage, seconds * (step + len(times) / 2) / n)


def kill_at(moment: Moment, *, process: subprocess.Popen, run: Path) -> tuple[str, list[psutil.Process]]:
    """Kill the group `moment.seconds` after its stage has started; gives what was met, and what it had started."""
    known, deadline = len(events(run)), time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < deadline:
        new = events(run)[known:]
        if any(event["event"] == "started" and event["stage"] >= moment.stage for event in new):
            break
        time.sleep(POLL_S)
    try:
        process.wait(timeout=moment.seconds)
        return MET[1], []
    except subprocess.TimeoutExpired:
        followers = psutil.Process(process.pid).children(recursive=True)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return MET[0], followers


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


def differences(calm: Path, shaken: Path) -> list[str]:
    """Files that are in one run folder alone, or that are not the same in both."""
    before, after = (_hashes(run) for run in (calm, shaken))
    told = {name for name in before.keys() & after.keys() if name.startswith(TELL_THE_TIME)}
    return sorted(name for name in (before.keys() | after.keys()) - told if before.get(name) != after.get(name))


def _hashes(run: Path) -> dict[str, str]:
    files = (path for path in run.rglob("*") if path.is_file())
    return {path.relative_to(run).as_posix(): hashlib.sha256(_content(path)).hexdigest() for path in files}


def _content(path: Path) -> bytes:
    """Bytes of a file; the order in which safetensors writes its header is left to chance."""
    content = path.read_bytes()
    if path.suffix != ".safetensors":
        return content
    end = 8 + int.from_bytes(content[:8], "little")
    return json.dumps(json.loads(content[8:end]), sort_keys=True).encode() + content[end:]


def shake(project: Path, run: Path, *, planned: Iterable[Moment]) -> Counter[str]:
    """Kill run after run, one line each; stops at the first fault.

    Raises
    ------
    SystemExit
        If an artefact does not open, or something outlived its run.
    """
    counts: Counter[str] = Counter()
    afresh: tuple[str, ...] = ()
    followers: list[psutil.Process] = []
    for number, moment in enumerate(planned, start=1):
        met, new = kill_at(moment, process=start(project, *afresh), run=run)
        left = [process.pid for process in followers if process.is_running()]
        broken, followers = damaged(run) if run.is_dir() else [], new
        counts[met] += 1
        place = next((event["stage"] for event in reversed(events(run))), "nothing yet")
        say(f"{number:3d} {met} in {place} (meant: {moment.stage} + {moment.seconds:.1f} s)")
        if broken or left:
            raise SystemExit(f"damaged: {broken}; outlived their run: {left}")
        afresh = ("--from", moment.stage) if met == MET[1] else ()
    return counts


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    """Print one line for each kill, and the verdict."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        projects = calm, shaken = [new_project(Path(folder) / kind) for kind in ("calm", "shaken")]
        if start(calm).wait() != 0:
            raise SystemExit("the undisturbed run failed")
        runs = [project / "runs" / NAME for project in projects]
        counts = shake(shaken, runs[1], planned=moments(runs[0], n=options.kills))
        if start(shaken).wait() != 0:
            raise SystemExit("the last run failed")
        predictions = [pd.read_parquet(run / "predictions.parquet") for run in runs]
        same = predictions[0].equals(predictions[1])
        metrics = len({(run / "metrics.json").read_bytes() for run in runs}) == 1
        others = differences(*runs) + differences(*(project / "data" for project in projects))
    say(f"{dict(counts)}; predictions equal: {same}; metrics.json equal: {metrics}; other files that differ: {others}")
    return 0 if same and metrics and not others else 1


if __name__ == "__main__":
    sys.exit(main())
