"""The samples of one fold as rows of the cached images, and the batches that are drawn from them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
import pandas as pd
import torch
from torch import Generator, Tensor

from helpers.training.augmentation import InputTransform

HEIGHT_RATIOS = ("anterior_ratio", "middle_ratio", "posterior_ratio")


class TrainingDataError(ValueError):
    """Images, labels and splits that cannot be trained on; the message says what to change."""


@dataclass(frozen=True)
class Samples:
    """All samples of a run, aligned with the cached images.

    Parameters
    ----------
    images
        (N, H, W) or (N, 3, H, W) cached images, memory-mapped.
    table
        N rows with `sample_id`, `PatientID`, `label`, and those of `HEIGHT_RATIOS` that are known, in the order of
        `images`.
    classes
        Class keys in order; the position is the target index.
    """

    images: np.ndarray
    table: pd.DataFrame
    classes: tuple[str, ...]

    @classmethod
    def align(
        cls, images: np.ndarray, *, image_index: pd.DataFrame, cohort: pd.DataFrame, classes: tuple[str, ...]
    ) -> Self:
        """Put the cohort's rows in the order of the cached images.

        Raises
        ------
        TrainingDataError
            If images and cohort do not hold the same samples.
        """
        ordered = image_index.sort_values("row").reset_index(drop=True)
        if len(ordered) != len(images) or set(ordered["sample_id"]) != set(cohort["sample_id"]):
            raise TrainingDataError("images and cohort hold different samples: run 02_preprocessing again")
        known = [name for name in HEIGHT_RATIOS if name in cohort]
        facts = cohort[["sample_id", "PatientID", "label", *known]]
        table = ordered[["sample_id"]].merge(facts, on="sample_id", how="left")
        return cls(images, table, classes)

    @property
    def is_hu(self) -> bool:
        """Whether the cached pixels are HU rather than 8-bit grey."""
        return self.images.dtype != np.uint8

    def rows(self, sample_ids: Iterable[str]) -> list[int]:
        """Row numbers of some samples, in the order given."""
        row_of = {sample: row for row, sample in enumerate(self.table["sample_id"])}
        return [row_of[sample] for sample in sample_ids]

    def targets(self) -> np.ndarray:
        """(N,) int64 class indices."""
        index = {key: position for position, key in enumerate(self.classes)}
        return np.array([index[label] for label in self.table["label"]], dtype=np.int64)

    def heights(self) -> np.ndarray:
        """(N, 3) float32 height of the body in front, in the middle and behind over its normal one; NaN: unknown."""
        columns = self.table.reindex(columns=list(HEIGHT_RATIOS))
        return columns.apply(pd.to_numeric, errors="coerce").to_numpy(dtype=np.float32, copy=True)

    def rows_of(self, splits: pd.DataFrame, *, fold: int) -> dict[str, np.ndarray]:
        """Row numbers of the train, validation and test samples of a fold, each sorted.

        Raises
        ------
        TrainingDataError
            If a class is missing from the training part.
        """
        split = self.table.merge(splits[splits["fold"] == fold], on="sample_id", how="left")["split"]
        rows = {name: np.flatnonzero(split == name) for name in ("train", "validation", "test")}
        present = set(self.table["label"].iloc[rows["train"]])
        missing = [key for key in self.classes if key not in present]
        if missing:
            raise TrainingDataError(
                f"fold {fold}: no training sample of class {', '.join(missing)}; use fewer folds or merge classes"
            )
        return rows


class Batch(NamedTuple):
    """What one step learns from: images (B, 3, S, S), targets (B,) and heights (B, 3) with NaN where unknown."""

    images: Tensor
    targets: Tensor
    heights: Tensor


def training_batches(
    samples: Samples, rows: np.ndarray, *, transform: InputTransform, batch_size: int, generator: Generator
) -> Iterator[Batch]:
    """Shuffled, augmented batches; a last batch of one is left out, batch norm cannot use it."""
    targets, heights = torch.from_numpy(samples.targets()), torch.from_numpy(samples.heights())
    shuffled = rows[torch.randperm(len(rows), generator=generator).numpy()]
    for start in range(0, len(shuffled), batch_size):
        batch = shuffled[start : start + batch_size]
        if len(batch) > 1:
            images = transform.augmented(samples.images[batch], generator=generator)
            yield Batch(images, targets[batch], heights[batch])


def n_batches(n_rows: int, *, batch_size: int) -> int:
    """How many batches `training_batches` gives."""
    full, rest = divmod(n_rows, batch_size)
    return full + (rest > 1)
