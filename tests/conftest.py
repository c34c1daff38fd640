import shutil
import subprocess
import sys
from collections.abc import Callable
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
