"""Pictures that occur more than once: the same pixels, almost the same, or turned, mirrored and otherwise augmented.

A copy that lies in training and in test makes a score worthless, and it need not be identical to do so. Pictures are
compared by their thumbnails: first 64 bits of a perceptual hash for all pairs, then the correlation of what is finer
than the coarse layout, which all spines have in common. Black or white borders, which pictures of one export have in
common, are left out.

The limits were measured on the simulated cohort (350 patients) and on real CT; `tests/cohort/test_copies.py` repeats
the measurement on a small scale.
"""

from collections.abc import Iterator, Mapping
from itertools import combinations, product

import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter, maximum_filter, minimum_filter, rotate
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from helpers.cohort.pixels.copy_marks import stem_families
from helpers.cohort.pixels.measures import THUMBNAIL_SIDE, perceptual_hash

COLUMNS = ("sample_a", "sample_b", "kind", "correlation")
# Of a pair that is found in several ways the first kind stays: names that tell of a copy count more than likeness,
# and a turned picture that is symmetric is simply near.
NAMED = "named"
KINDS = ("identical", NAMED, "near", "augmented")
# Bits of 64 that may differ. Copies that were resized, compressed or brightened differ in 6 at most, strong contrast in
# 12; a thousandth of the pairs of different patients comes as close and goes on to the second step.
MAX_BITS = 12
# Of the detail of two thumbnails. Copies reach 0.9, mostly 0.95 and more; pictures of different patients 0.60 at most,
# and 0.73 where all were given the same wide black border.
MIN_CORRELATION = 0.85
MIN_COMMON_PX = 200  # of 1024: less than a fifth of a picture tells nothing
DETAIL_SIGMA = 2.0
CONTRAST_SIGMA = 3.0  # a sharp edge counts no more than the structure of bone
CONTRAST_FLOOR = 5.0  # grey levels, about the noise
BLACK, WHITE = 4, 251  # what is darker or brighter over three by three pixels of a thumbnail is border, or cut off
# Where file names tell of a copy, pictures turned by a few degrees only have to be alike.
MIN_STEM_CORRELATION = 0.75
ANGLES_DEG = tuple(range(-20, 21, 2))
ORIENTATIONS = tuple(product(range(4), (False, True)))  # quarter turns, mirrored or not; the first one changes nothing
HASH_BLOCK = 64
PAIR_BLOCK = 4096

Pair = tuple[int, int, str, float]


def find_copies(table: pd.DataFrame, *, thumbnails: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Find all pairs of pictures of which one is a copy of the other.

    Several samples of one picture, two vertebrae in one image, are no copies; the first of them by name stands for it.

    Parameters
    ----------
    table
        Cohort table with sample_id, source and pixel_sha256.
    thumbnails
        (32, 32) uint8 by `pixel_sha256`, as `Measures` has it. Without one only identical pixels are found.

    Returns
    -------
    Columns ``sample_a`` < ``sample_b``, ``kind`` and ``correlation`` of their thumbnails:

    - ``identical``: the same pixels in different files; each file is paired with the first one;
    - ``near``: the same picture resized, compressed, brightened, sharpened or with noise, or a neighbouring slice;
    - ``augmented``: also turned or mirrored, or told by the file names (see `copy_marks`) and alike.
    """
    rows = table.sort_values("sample_id")
    files = rows.drop_duplicates(["pixel_sha256", "source"])
    pictures = rows.drop_duplicates("pixel_sha256")
    pictures = pictures[pictures["pixel_sha256"].isin(list(thumbnails))].reset_index(drop=True)
    stack = np.array([thumbnails[name] for name in pictures["pixel_sha256"]], dtype=np.uint8)
    stack = stack.reshape(-1, THUMBNAIL_SIDE, THUMBNAIL_SIDE)
    found = [*_similar_pairs(stack), *_family_pairs(pictures["source"], stack)]
    names = pictures["sample_id"]
    pairs = [_named(names[first], names[second], kind, value) for first, second, kind, value in found]
    copies = pd.DataFrame([*_identical_pairs(files), *pairs], columns=list(COLUMNS))
    copies["kind"] = pd.Categorical(copies["kind"], KINDS, ordered=True)
    copies = copies.sort_values(["sample_a", "sample_b", "kind", "correlation"], ascending=[True, True, True, False])
    copies = copies.drop_duplicates(["sample_a", "sample_b"], ignore_index=True)
    copies = copies.astype({"sample_a": "str", "sample_b": "str", "kind": "str", "correlation": "float64"})
    return copies.assign(kind=copies["kind"].replace(NAMED, "augmented"))


def copy_groups(table: pd.DataFrame, *, copies: pd.DataFrame) -> pd.Series:
    """Number of the group of pictures that each sample belongs to through copies; missing where it has no copy.

    Samples of one picture belong together; so do all that a chain of copies links. The index is that of `table`.
    """
    picture, _ = pd.factorize(table["pixel_sha256"])
    of_sample = pd.Series(picture, index=table["sample_id"])
    known = copies[copies["sample_a"].isin(of_sample.index) & copies["sample_b"].isin(of_sample.index)]
    start, end = of_sample[known["sample_a"]].to_numpy(), of_sample[known["sample_b"]].to_numpy()
    n_pictures = int(picture.max(initial=-1)) + 1
    graph = coo_array((np.ones(len(start), bool), (start, end)), shape=(n_pictures, n_pictures))
    _, group = connected_components(graph, directed=False)
    linked = np.isin(picture, np.concatenate([start, end]))
    return pd.Series(group[picture], index=table.index, dtype="Int64").where(linked)


def _named(first: str, second: str, kind: str, value: float) -> tuple[str, str, str, float]:
    return min(first, second), max(first, second), kind, round(float(value), 4)


def _identical_pairs(files: pd.DataFrame) -> Iterator[tuple[str, str, str, float]]:
    """Each file with the first one that holds the same pixels."""
    first = files.groupby("pixel_sha256")["sample_id"].transform("first")
    for name, other in zip(first, files["sample_id"], strict=True):
        if name != other:
            yield _named(name, other, "identical", 1.0)


def _similar_pairs(stack: np.ndarray) -> Iterator[Pair]:
    """Pairs of thumbnails that are alike as they are, or once one of them is turned or mirrored."""
    detail, seen = _detail(stack)
    usable = np.flatnonzero(detail.any(axis=(1, 2)))  # blank pictures resemble nothing
    detail, seen, stack = detail[usable], seen[usable], stack[usable]
    hashes = _hashes(stack, ORIENTATIONS[0])
    for orientation in ORIENTATIONS:
        kind = "near" if orientation == ORIENTATIONS[0] else "augmented"
        for first, second in _close_hashes(_hashes(stack, orientation), hashes):
            value = _correlation(
                (_turned(detail[first], orientation), _turned(seen[first], orientation)), (detail[second], seen[second])
            )
            alike = np.flatnonzero(value >= MIN_CORRELATION)
            for pair in alike:
                yield int(usable[first[pair]]), int(usable[second[pair]]), kind, value[pair]


def _close_hashes(turned: np.ndarray, hashes: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Blocks of pairs of positions, the first one smaller, whose hashes differ in few bits.

    All pairs are compared, so that none is missed: 100,000 pictures take some 15 seconds for each orientation.
    """
    for start in range(0, len(hashes), HASH_BLOCK):
        bits = np.bitwise_count(turned[start : start + HASH_BLOCK, None] ^ hashes[None, start:])
        first, second = np.divmod(np.flatnonzero(bits <= MAX_BITS), bits.shape[1])
        first, second = first[second > first], second[second > first]
        for block in range(0, len(first), PAIR_BLOCK):
            yield first[block : block + PAIR_BLOCK] + start, second[block : block + PAIR_BLOCK] + start


def _family_pairs(sources: pd.Series, stack: np.ndarray) -> Iterator[Pair]:
    """Pairs whose file names tell of one original, and whose thumbnails are alike however one of them is turned."""
    disc = _disc()
    for family in stem_families(sources):
        upright = _unit(stack[family].astype(np.float32)[:, disc])
        best = np.full((len(family),) * 2, -1.0)
        for turned in _all_turns(stack[family]):
            best = np.maximum(best, _unit(turned[:, disc]) @ upright.T)
        best = np.maximum(best, best.T)
        for one, other in combinations(range(len(family)), 2):
            if best[one, other] >= MIN_STEM_CORRELATION:
                yield family[one], family[other], NAMED, best[one, other]


def _all_turns(stack: np.ndarray) -> Iterator[np.ndarray]:
    """Thumbnails turned by quarters and by a few degrees, and mirrored."""
    for angle in ANGLES_DEG:
        tilted = rotate(stack.astype(np.float32), angle, axes=(1, 2), reshape=False, order=1, mode="nearest")
        for orientation in ORIENTATIONS:
            yield _turned(tilted, orientation)


def _turned(stack: np.ndarray, orientation: tuple[int, bool]) -> np.ndarray:
    """(N, 32, 32) turned by quarters and perhaps mirrored."""
    quarters, mirrored = orientation
    turned = np.rot90(stack, quarters, axes=(1, 2))
    return turned[:, :, ::-1] if mirrored else turned


def _hashes(stack: np.ndarray, orientation: tuple[int, bool]) -> np.ndarray:
    """(N,) uint64: perceptual hash of each thumbnail once it is turned."""
    hashes = np.empty(len(stack), np.uint64)
    for block in _blocks(len(stack)):
        hashes[block] = perceptual_hash(_turned(stack[block], orientation))
    return hashes


def _correlation(one: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """(N,) correlation of details, each given with its mask, where both are seen; 0 where that is too little."""
    common = (one[1] & other[1]).reshape(len(one[1]), -1)
    count = common.sum(axis=1)
    first, second = (_within(detail, common=common, count=count) for detail, _ in (one, other))
    value = np.einsum("np,np->n", first, second)
    return np.where(count >= MIN_COMMON_PX, value, 0.0)


def _within(detail: np.ndarray, *, common: np.ndarray, count: np.ndarray) -> np.ndarray:
    """(N, 1024) float32 of mean 0 and norm 1 over the common pixels, 0 elsewhere."""
    values = np.where(common, detail.reshape(common.shape), 0).astype(np.float32)
    mean = values.sum(axis=1) / np.maximum(count, 1)
    centred = np.where(common, values - mean[:, None], 0)
    return centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-6)


def _detail(stack: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What is finer than the coarse layout, in units of its local contrast, and where there is a picture at all.

    Returns
    -------
    (N, 32, 32) float16, and (N, 32, 32) bool, false in borders and up to two pixels beside them.
    """
    detail, seen = np.empty(stack.shape, np.float16), np.empty(stack.shape, bool)
    for block in _blocks(len(stack)):
        seen[block] = _seen(stack[block])
        weight = seen[block].astype(np.float32)
        grey = stack[block].astype(np.float32)
        fine = (grey - _local_mean(grey, weight=weight, sigma=DETAIL_SIGMA)) * weight
        contrast = np.sqrt(_local_mean(fine**2, weight=weight, sigma=CONTRAST_SIGMA))
        detail[block] = fine / (contrast + CONTRAST_FLOOR)
    return detail, seen


def _seen(stack: np.ndarray) -> np.ndarray:
    """False where a thumbnail is black or white throughout, as around a pasted picture, and close to that."""
    cut = (maximum_filter(stack, (1, 3, 3)) <= BLACK) | (minimum_filter(stack, (1, 3, 3)) >= WHITE)
    return ~maximum_filter(cut, (1, 5, 5))


def _local_mean(values: np.ndarray, *, weight: np.ndarray, sigma: float) -> np.ndarray:
    """Mean around each pixel of the pixels that are seen."""
    around = (0, sigma, sigma)
    return gaussian_filter(values * weight, around) / np.maximum(gaussian_filter(weight, around), 1e-3)


def _blocks(count: int) -> Iterator[slice]:
    """Pieces that keep intermediate arrays small however many pictures there are."""
    return (slice(start, start + PAIR_BLOCK) for start in range(0, count, PAIR_BLOCK))


def _unit(rows: np.ndarray) -> np.ndarray:
    """Rows of mean 0 and norm 1; rows of one value become 0."""
    centred = rows - rows.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(centred, axis=1, keepdims=True)
    return np.divide(centred, norm, out=np.zeros_like(centred), where=norm > 1e-3)


def _disc() -> np.ndarray:
    """Mask of the circle within a thumbnail: what stays in view when it is turned."""
    place = np.arange(THUMBNAIL_SIDE) - (THUMBNAIL_SIDE - 1) / 2
    return np.hypot(place[:, None], place[None]) < THUMBNAIL_SIDE / 2
