"""How fast is the cohort read? The same files in one run: ours against a plain loop of pydicom, and over cores.

    .venv/bin/python benchmarks/reading.py [--headers 1000 10000 100000] [--images 800]

Everything is generated in a temporary folder: CT slices of 512 x 512 pixels with the header of the simulated cohort,
images of that cohort itself, and small files for the scan of headers. Files are read once before anything is timed, so
that the disk does not count. Times are the best of three rounds, in which the contestants take turns.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd
import pydicom
from pydicom.pixels import apply_rescale
from scipy import ndimage

from helpers.cohort.decoding import chunked, decode
from helpers.cohort.files.dicom import open_ct
from helpers.cohort.files.headers import scan_headers
from helpers.cohort.files.hounsfield import hounsfield
from helpers.cohort.files.storage import Storage
from helpers.cohort.picture import View
from helpers.cohort.sources import DicomTree
from helpers.cohort.workers import share_out
from helpers.phantom import PhantomSpec, simulate_cohort
from helpers.study import CohortParams

ROUNDS = 3
SIDE = 512
FOLDERS_OF = 1000
SCAN = "scan"


@dataclass(frozen=True)
class Decode:
    """Picklable `decode` of a view, as `decode_all` uses it."""

    tree: DicomTree

    def __call__(self, view: View) -> bool:
        """Whether the view could be decoded; the picture itself would have to travel back."""
        return hasattr(decode(self.tree, view), "columns")


def template(folder: Path) -> bytes:
    """A file of the simulated cohort, as bytes."""
    simulate_cohort(PhantomSpec(images={"A": 12, "B": 12, "C": 12}, patients=20, seed=1), folder)
    return min(folder.rglob("*.dcm")).read_bytes()


def write_slices(folder: Path, *, like: bytes, count: int) -> None:
    """CT slices of full size: one simulated image, enlarged, each with noise of its own."""
    rng = np.random.default_rng(0)
    dataset = pydicom.dcmread(BytesIO(like))
    small = dataset.pixel_array.astype(float)
    large = ndimage.zoom(small, (SIDE / small.shape[0], SIDE / small.shape[1]), order=1)
    dataset.Rows = dataset.Columns = SIDE
    folder.mkdir()
    for number in range(count):
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{number}"
        dataset.PixelData = (large + rng.normal(0, 10, large.shape)).clip(0, 4095).astype("<u2").tobytes()
        dataset.save_as(folder / f"{number:06}.dcm")


def write_headers(folder: Path, *, like: bytes, count: int) -> None:
    """Small files with full headers: 8 x 8 pixels, SOPInstanceUID and position of their own."""
    dataset = pydicom.dcmread(BytesIO(like))
    dataset.Rows = dataset.Columns = 8
    dataset.PixelData = bytes(128)
    dataset.SOPInstanceUID = marker = "1.2.3.4.5678901"
    buffer = BytesIO()
    dataset.save_as(buffer)
    content = buffer.getvalue()
    for number in range(count):
        path = folder / f"{number // FOLDERS_OF:03}" / f"{number:07}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.replace(marker.encode(), f"1.2.3.4.5{number:06}".encode()))


def best_ms(contestants: dict[str, Callable[[], None]], *, files: int) -> dict[str, float]:
    """Milliseconds per file of each contestant, the best of the rounds."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(ROUNDS):
        for name, work in contestants.items():
            started = perf_counter()
            work()
            times[name].append((perf_counter() - started) / files * 1000)
    return {name: min(values) for name, values in times.items()}


def plain_hu(path: Path) -> None:
    """What the plain loop would have to do to give HU."""
    dataset = pydicom.dcmread(path)
    apply_rescale(dataset.pixel_array, dataset)


def compare(folder: Path) -> dict[str, float]:
    """One core: the plain loop, the same with the rescale; ours in HU, with header and identifiers, with measures."""
    paths = sorted(folder.rglob("*.dcm"))
    tree = DicomTree(folder, None, params=CohortParams())
    views = [View(path.relative_to(folder).as_posix()) for path in paths]
    contestants = {
        "pydicom loop": lambda: [pydicom.dcmread(path).pixel_array.shape for path in paths],
        "and apply_rescale": lambda: [plain_hu(path) for path in paths],
        "ours: HU": lambda: [hounsfield(open_ct(path.read_bytes(), name=""), name="").shape for path in paths],
        "ours: and header": lambda: [tree.read(view).spacing_mm for view in views],
        "ours: and measures": lambda: [decode(tree, view) for view in views],
    }
    contestants["pydicom loop"]()
    return {"files": len(paths), **best_ms(contestants, files=len(paths))}


def scaling(folder: Path, *, workers: Sequence[int]) -> pd.DataFrame:
    """Pictures with measures by processes that have started already, as they are in a long cohort."""
    views = [View(path.relative_to(folder).as_posix()) for path in sorted(folder.rglob("*.dcm"))]
    job = Decode(DicomTree(folder, None, params=CohortParams()))
    rows = []
    for count in workers:
        warm = [[views[0]] for _ in range(4 * count)]
        results = share_out(job, [*warm, *chunked(views, most=16)], workers=count)
        for _ in warm:
            next(results)
        started = perf_counter()
        done = sum(1 for _ in results)
        rows.append({"processes": count, "ms per picture": (perf_counter() - started) / done * 1000})
    table = pd.DataFrame(rows)
    return table.assign(speedup=table["ms per picture"].iloc[0] / table["ms per picture"])


def scan(folder: Path) -> None:
    """Body of a process of its own: time per header and peak memory."""
    storage = Storage(folder)
    started = perf_counter()
    files = storage.files()
    listed = perf_counter()
    found = {item.instance for item in scan_headers(storage, files)}
    ended = perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.write(
        f"{len(found)} {(listed - started) * 1e6 / len(files)} {(ended - listed) * 1e6 / len(files)} {peak}"
    )


def headers(like: bytes, *, counts: Sequence[int]) -> pd.DataFrame:
    """The scan of ever more headers, each in a fresh process."""
    rows = []
    for count in counts:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            write_headers(folder, like=like, count=count)
            command = [sys.executable, __file__, SCAN, str(folder)]
            told = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        found, listed_us, scanned_us, peak_mib = map(float, told)
        rows.append({"headers": int(found), "list, us": listed_us, "scan, us": scanned_us, "peak, MiB": peak_mib})
    return pd.DataFrame(rows)


def main() -> None:
    """Print the tables."""
    if sys.argv[1:2] == [SCAN]:
        scan(Path(sys.argv[2]))
        return
    parser = argparse.ArgumentParser(description="Time the reading of a cohort.")
    parser.add_argument("--headers", type=int, nargs="*", default=[1000, 10_000, 100_000])
    parser.add_argument("--images", type=int, default=800)
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        simulated, slices = Path(temporary) / "simulated", Path(temporary) / "slices"
        like = template(simulated)
        write_slices(slices, like=like, count=options.images)
        rows = {"simulated": compare(simulated), f"{SIDE} x {SIDE}": compare(slices)}
        tables = {
            "ms per file, one core": pd.DataFrame(rows).T,
            "over processes": scaling(slices, workers=options.workers),
            "headers": headers(like, counts=options.headers),
        }
    for title, table in tables.items():
        sys.stdout.write(f"\n{title}\n{table.round(2).to_string()}\n")


if __name__ == "__main__":
    main()
