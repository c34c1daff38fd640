import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import matplotlib as mpl
import pytest

mpl.use("Agg")

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with real images beside the repository; tests that need it are skipped where it is absent."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("needs the real images in ../shared/data, which are not part of the repository")
    return folder


@pytest.fixture(scope="session")
def make_project() -> Callable[[Path], Path]:
    """make_project(folder): a project of its own with the real notebooks, so that runs do not meet the user's."""

    def make(folder: Path) -> Path:
        folder.mkdir()
        shutil.copy(REPOSITORY / "pyproject.toml", folder)
        for name in ("notebooks", "params"):
            shutil.copytree(REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
        return folder

    return make


@pytest.fixture(scope="session")
def study() -> Callable[..., str]:
    """study(project, *arguments): run the console command in a project; fails with everything it printed."""

    def run(project: Path, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "helpers.cli", *arguments], cwd=project, capture_output=True, text=True, timeout=900
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


@contextmanager
def _dask_cluster(folder: Path, *, n_workers: int = 2, n_threads: int = 1) -> Iterator[tuple[str, list]]:
    file = folder / "scheduler.json"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    options = ["--scheduler-file", str(file), "--host", "127.0.0.1", "--no-dashboard"]
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
    processes = [subprocess.Popen([*command, *options, "--port", "0"], **quiet)]
    command = [sys.executable, "-m", "distributed.cli.dask_worker", "--nthreads", str(n_threads), "--no-nanny"]
    for _ in range(n_workers):
        processes.append(subprocess.Popen([*command, *options, "--local-directory", str(folder)], **quiet))
    from distributed import Client

    try:
        with Client(scheduler_file=str(file), timeout=60) as client:
            client.wait_for_workers(n_workers, timeout=60)
            address = client.scheduler.address
        yield address, processes[1:]
    finally:
        for process in reversed(processes):
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=30)


@pytest.fixture(scope="session")
def dask_cluster() -> Callable[..., AbstractContextManager[tuple[str, list]]]:
    """A scheduler and workers as processes of their own, on loopback; gives its address and the workers."""
    return _dask_cluster


@pytest.fixture
def change_json() -> Callable[[Path, Callable[[dict], None]], None]:
    """A function that reads a JSON file, lets another one edit its content, and writes it back."""

    def change(file: Path, edit: Callable[[dict], None]) -> None:
        content = json.loads(file.read_text(encoding="utf-8"))
        edit(content)
        file.write_text(json.dumps(content), encoding="utf-8")

    return change
