"""Where things lie: relative paths mean the same from a shell, from papermill and from a notebook opened by hand."""

from pathlib import Path

MARKERS = ("pyproject.toml", "notebooks")


def project_folder(start: Path | None = None) -> Path:
    """The nearest folder at or above `start` that holds `notebooks/` and `pyproject.toml`, else `start` itself."""
    start = (start or Path.cwd()).resolve()
    for folder in (start, *start.parents):
        if all((folder / marker).exists() for marker in MARKERS):
            return folder
    return start


def project_file(path: str | Path) -> Path:
    """Resolve `path`; a relative one is taken from the project folder, `~` is the home folder."""
    path = Path(path).expanduser()
    return path if path.is_absolute() else project_folder() / path


def short_path(path: str | Path) -> str:
    """`path` relative to the project folder where it lies inside, for people to read."""
    path = Path(path)
    return path.relative_to(project_folder()).as_posix() if path.is_relative_to(project_folder()) else str(path)


def phantom_weights(backbone: str) -> Path:
    """File of the weights that `study register-weights` keeps of a network trained on simulated images."""
    return project_file(f"weights/phantom_{backbone}.safetensors")
