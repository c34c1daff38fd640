"""What does the audit find, and how long does it take? Copies, burned-in text and a telling header, all planted.

    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/audit.py [--copies 60] [--prints 60] [--thumbnails 1000 3000 10000]

Everything is generated: the default simulated cohort is read and audited by one process, and what should be found is
planted in it. Rates come with exact 95 % intervals (Clopper and Pearson 1934). A clean image or pair that is reported
is a false alarm; that the same holds for images of a hospital does not follow.
"""

import argparse
import io
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from scipy.ndimage import affine_transform, gaussian_filter, rotate
from statsmodels.stats.proportion import proportion_confint

from helpers.cohort import Cohort, audit_cohort, load_pixels, read_cohort, split_cohort
from helpers.cohort.audit.confounds import acquisition_columns
from helpers.cohort.audit.metadata_model import AurocEstimate, metadata_auroc
from helpers.cohort.audit.patients import per_patient
from helpers.cohort.pixels.burned_in import count_glyphs
from helpers.cohort.pixels.copies import find_copies
from helpers.cohort.pixels.measures import thumbnail
from helpers.phantom import PhantomSpec, simulate_cohort
from helpers.study import CohortParams, SplitParams

SEED = 0
# Copies are images for the screen: the values between these percentiles, spread over 8 bits.
WINDOW_PERCENTILES = (0.1, 99.9)
TEXTS = ("DOE^JANE 1954-03-12", "Max Muster", "MRN 4711234", "31.01.2024", "St. Elsewhere Hospital", "SMITH, JOHN M")
HEIGHTS_PX = (5, 6, 7, 8, 10, 12, 16, 24, 32)  # of a capital letter
BONE_HU = 1000.0
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
# Thumbnails for the timing are those of the cohort, moved about so that each is a picture of its own.
MOST_TURN_DEG, MOST_SHIFT_PX, SCALES = 25, 6, (0.8, 1.2)

Change = Callable[[np.ndarray], np.ndarray]


def resized(pixels: np.ndarray, *, factor: float) -> np.ndarray:
    """The same picture with more or fewer pixels."""
    size = (round(pixels.shape[1] * factor), round(pixels.shape[0] * factor))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))


def jpeg(pixels: np.ndarray, *, quality: int) -> np.ndarray:
    """Compressed and read again."""
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream))


def stretched(pixels: np.ndarray, *, contrast: float = 1.0, brightness: float = 0.0) -> np.ndarray:
    """Contrast about mid-grey, then brightness in grey levels; what leaves the scale is cut off."""
    return np.clip((pixels - 128.0) * contrast + 128 + brightness, 0, 255).astype(np.uint8)


def noisy(pixels: np.ndarray, *, sigma: float) -> np.ndarray:
    """White noise of that many grey levels."""
    noise = np.random.default_rng(SEED).normal(0, sigma, pixels.shape)
    return np.clip(pixels + noise, 0, 255).astype(np.uint8)


def sharpened(pixels: np.ndarray) -> np.ndarray:
    """Unsharp mask."""
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.UnsharpMask(3, 200)))


def tilted(pixels: np.ndarray, *, degrees: float) -> np.ndarray:
    """Turned by a few degrees; corners become black."""
    return rotate(pixels, degrees, reshape=False, order=1, mode="constant")


CHANGES: dict[str, Change] = {
    "half size": lambda pixels: resized(pixels, factor=0.5),
    "0.73 of its size": lambda pixels: resized(pixels, factor=0.73),
    "1.7 times its size": lambda pixels: resized(pixels, factor=1.7),
    "JPEG, quality 50": lambda pixels: jpeg(pixels, quality=50),
    "brighter by 40 of 255": lambda pixels: stretched(pixels, brightness=40),
    "contrast 0.6": lambda pixels: stretched(pixels, contrast=0.6),
    "contrast 1.4": lambda pixels: stretched(pixels, contrast=1.4),
    "noise of 10 of 255": lambda pixels: noisy(pixels, sigma=10),
    "sharpened": sharpened,
    "blurred by 2 px": lambda pixels: gaussian_filter(pixels, 2),
    "quarter turn": np.rot90,
    "half turn": lambda pixels: np.rot90(pixels, 2),
    "mirrored": np.fliplr,
    "upside down": np.flipud,
    "turned, mirrored and JPEG": lambda pixels: jpeg(np.rot90(pixels)[:, ::-1], quality=50),
    "tilted by 2 degrees": lambda pixels: tilted(pixels, degrees=2),
    "tilted by 7 degrees": lambda pixels: tilted(pixels, degrees=7),
}
# The same once more, in a file whose name tells of it.
MARKED = ("tilted by 2 degrees", "tilted by 7 degrees")


def rate(hits: int, *, of: int) -> dict[str, float]:
    """Share with its exact 95 % interval."""
    low, high = proportion_confint(hits, of, method="beta")
    return {"found": hits, "of": of, "rate": hits / of, "low": low, "high": high}


def grey(pixels: np.ndarray) -> np.ndarray:
    """HU windowed to 8 bits."""
    low, high = np.percentile(pixels, WINDOW_PERCENTILES)
    return np.clip((pixels - low) / (high - low) * 255, 0, 255).astype(np.uint8)


def drawn(cohort: Cohort, *, count: int) -> list[tuple[pd.Series, np.ndarray]]:
    """Rows of the cohort and their pixels, at random without replacement."""
    rows = cohort.table.sample(min(count, len(cohort.table)), random_state=SEED)
    return [(row, load_pixels(row, source=cohort.source)) for _, row in rows.iterrows()]


def copies_found(cohort: Cohort, *, count: int) -> pd.DataFrame:
    """Near-duplicate search in the whole cohort with one altered copy of some images, for each kind of change."""
    originals = [(row, grey(pixels)) for row, pixels in drawn(cohort, count=count)]
    rows = [
        {"copy": f"{name}, so named" if marked else name} | recall(cohort, originals, change=change, marked=marked)
        for name, change in CHANGES.items()
        for marked in ((False, True) if name in MARKED else (False,))
    ]
    return pd.DataFrame(rows)


def recall(
    cohort: Cohort, originals: Sequence[tuple[pd.Series, np.ndarray]], *, change: Change, marked: bool
) -> dict[str, float]:
    """Share of the copies that are paired with their originals."""
    planted = pd.DataFrame([row for row, _ in originals])
    # Files of the cohort are numbered alike in every folder; a mark tells of an original whose name is its own.
    own = {name: f"scan{number}.png" for number, name in enumerate(planted["sample_id"])}
    clean = cohort.table.assign(source=cohort.table["sample_id"].map(own).fillna(cohort.table["source"]))
    stem = "scan{}-rotated" if marked else "other{}"
    planted["source"] = [f"copies/{stem.format(number)}.png" for number in range(len(planted))]
    planted["pixel_sha256"] = [f"copy {number}" for number in range(len(planted))]
    wanted = {tuple(sorted((name, f"{name} copy"))) for name in planted["sample_id"]}
    planted["sample_id"] += " copy"
    small = {
        name: thumbnail(change(pixels)) for name, (_, pixels) in zip(planted["pixel_sha256"], originals, strict=True)
    }
    table = pd.concat([clean, planted], ignore_index=True)
    found = find_copies(table, thumbnails={**cohort.thumbnails, **small})
    return rate(len(wanted & set(zip(found["sample_a"], found["sample_b"], strict=True))), of=len(wanted))


def false_pairs(cohort: Cohort) -> pd.DataFrame:
    """Pairs of the clean cohort that are taken for copies, by whether they show one patient."""
    patient = cohort.table.set_index("sample_id")["PatientID"]
    same = patient[cohort.copies["sample_a"]].to_numpy() == patient[cohort.copies["sample_b"]].to_numpy()
    within = sum(size * (size - 1) // 2 for size in patient.value_counts())
    across = len(list(combinations(patient.index, 2))) - within
    return pd.DataFrame(
        [
            {"pairs": "of different patients"} | rate(int((~same).sum()), of=across),
            {"pairs": "of one patient"} | rate(int(same.sum()), of=within),
        ]
    )


def typeface(height: int) -> ImageFont.FreeTypeFont:
    """The font of Pillow in the size at which a capital letter is that many pixels high."""
    sizes = map(ImageFont.load_default, range(4, 4 * height))
    return next(font for font in sizes if _capital_px(font) >= height)


def _capital_px(font: ImageFont.FreeTypeFont) -> float:
    _, top, _, bottom = font.getbbox("H")
    return bottom - top


def printed(
    pixels: np.ndarray, text: str, *, font: ImageFont.FreeTypeFont, at: Sequence[float], hu: float
) -> np.ndarray:
    """Pixels with a line of text; `at` is its place between (0, 0), top left, and (1, 1), as far as it fits."""
    canvas = Image.new("L", pixels.shape[::-1])
    draw = ImageDraw.Draw(canvas)
    left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
    column, row = at[1] * max(0, canvas.width - (right - left)), at[0] * max(0, canvas.height - (bottom - top))
    draw.text((round(column - left), round(row - top)), text, fill=255, font=font)
    ink = np.asarray(canvas, np.float32) / 255
    return np.rint(pixels * (1 - ink) + hu * ink).astype(np.float32)


def prints_found(cohort: Cohort, *, count: int) -> pd.DataFrame:
    """Burned-in text by its height and brightness, and the clean images that are said to hold text."""
    images = [pixels for _, pixels in drawn(cohort, count=count)]
    rng = np.random.default_rng(SEED)
    rows = []
    for height in HEIGHTS_PX:
        font = typeface(height)
        for ink in ("white", "as bone"):
            hits = 0
            for pixels in images:
                hu = float(pixels.max()) if ink == "white" else BONE_HU
                text = printed(pixels, str(rng.choice(TEXTS)), font=font, at=rng.random(2), hu=hu)
                hits += count_glyphs(text) > 0
            rows.append({"text": f"{height} px, {ink}"} | rate(hits, of=len(images)))
    clean = cohort.table.drop_duplicates("pixel_sha256")
    return pd.DataFrame([*rows, {"text": "none"} | rate(int((clean["text_glyphs"] > 0).sum()), of=len(clean))])


def scanners_found(cohort: Cohort) -> pd.DataFrame:
    """AUROC of the model that sees headers only, with a scanner per class planted in ever more patients."""
    rows = []
    for share in SHARES:
        found = header_model(with_scanners(cohort.table, share=share))
        rows.append({"share": share, "AUROC": found.auroc, "low": found.ci_low, "high": found.ci_high})
    return pd.DataFrame(rows)


def with_scanners(table: pd.DataFrame, *, share: float) -> pd.DataFrame:
    """A share of the patients was imaged by the scanner of their class, the others by any; 0 leaves all as it is."""
    if share == 0:
        return table
    rng = np.random.default_rng(SEED)
    patients = table["PatientID"].unique()
    chosen = table["PatientID"].isin(rng.choice(patients, round(share * len(patients)), replace=False))
    anyone = rng.choice(table["label"].unique(), len(patients))
    model = table["label"].where(chosen, table["PatientID"].map(dict(zip(patients, anyone, strict=True))))
    return table.assign(ManufacturerModelName="SCANNER " + model)


def header_model(table: pd.DataFrame) -> AurocEstimate:
    """The model as the audit fits it."""
    columns = acquisition_columns(table)
    return metadata_auroc(per_patient(table, by="label", columns=columns), columns=columns)


def moved(small: np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
    """A thumbnail turned, scaled and shifted at random."""
    angle = np.deg2rad(rng.uniform(-MOST_TURN_DEG, MOST_TURN_DEG))
    matrix = rng.uniform(*SCALES) * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = (np.array(small.shape) - 1) / 2
    offset = middle - matrix @ (middle + rng.uniform(-MOST_SHIFT_PX, MOST_SHIFT_PX, 2))
    return np.rint(affine_transform(small.astype(np.float32), matrix, offset, order=1, mode="nearest")).astype(np.uint8)


def search_times(cohort: Cohort, *, counts: Sequence[int]) -> pd.DataFrame:
    """Seconds of the search for copies among ever more pictures."""
    rng = np.random.default_rng(SEED)
    stack = list(cohort.thumbnails.values())
    rows = []
    for count in counts:
        names = [f"{number:07}" for number in range(count)]
        places = rng.integers(len(stack), size=count)
        small = {name: moved(stack[place], rng=rng) for name, place in zip(names, places, strict=True)}
        table = pd.DataFrame({"sample_id": names, "source": names, "pixel_sha256": names})
        started = perf_counter()
        find_copies(table, thumbnails=small)
        rows.append({"pictures": count, "seconds": perf_counter() - started})
    return pd.DataFrame(rows)


def measured(folder: Path) -> tuple[Cohort, pd.DataFrame]:
    """The default cohort, and how long one process takes to read, to divide and to audit it."""
    params = CohortParams(
        source="dicom", folder=str(folder), labels=str(folder / "labels.csv"), pseudonymise=False, workers=1
    )
    times = {}
    started = perf_counter()
    cohort = read_cohort(params)
    times["read, with the search for copies"] = perf_counter() - started
    started = perf_counter()
    splits = split_cohort(cohort.table, SplitParams(), copies=cohort.copies)
    times["divide"] = perf_counter() - started
    started = perf_counter()
    audit_cohort(cohort, splits, cohort_params=params, split_params=SplitParams())
    times["audit"] = perf_counter() - started
    rows = [{"step": step, "images": len(cohort.table), "seconds": seconds} for step, seconds in times.items()]
    return cohort, pd.DataFrame(rows)


def tables(options: argparse.Namespace, *, folder: Path) -> Iterator[tuple[str, pd.DataFrame]]:
    """Title and table of each measurement."""
    cohort, times = measured(simulate_cohort(PhantomSpec(), folder))
    yield "time of one process", times
    yield "near-duplicates, by what was done to the copy", copies_found(cohort, count=options.copies)
    yield "false alarms among all pairs of the clean cohort", false_pairs(cohort)
    yield "burned-in text, by the height of capitals", prints_found(cohort, count=options.prints)
    yield "class told by headers alone, by share of patients with a scanner of their class", scanners_found(cohort)
    yield "search for copies", search_times(cohort, counts=options.thumbnails)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="Measure what the audit finds in a simulated cohort.")
    parser.add_argument("--copies", type=int, default=60, help="altered images of each kind")
    parser.add_argument("--prints", type=int, default=60, help="images with text of each height")
    parser.add_argument("--thumbnails", type=int, nargs="*", default=[1000, 3000, 10_000])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        for title, table in tables(options, folder=Path(temporary)):
            shown = table.to_string(index=False, float_format="{:.4g}".format)
            sys.stdout.write(f"\n{title}\n{shown}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
