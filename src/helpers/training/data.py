"""The samples of one fold as rows of the cached images, and the batches that are drawn from them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Optional, Self

import numpy as np
import pandas as pd
import torch
from torch import Generator, Tensor

from helpers.study.errors import StudyError

HEIGHT_RATIOS = ("anterior_ratio", "middle_ratio", "posterior_ratio")
FEW_PATIENTS = 20  # of a class, in one validation part
LABEL_STREAM, PATIENT_STREAM = 0, 1  # which labels and which patients are drawn, apart from each other


class TrainingDataError(StudyError, ValueError):
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

    def __getstate__(self) -> dict[str, Any]:
        """What travels to another process: memory-mapped images go as the path of their file."""
        images = Path(self.images.filename) if isinstance(self.images, np.memmap) else self.images
        return {**self.__dict__, "images": images}

    def __setstate__(self, state: dict[str, Any]) -> None:
        images = state["images"]
        self.__dict__.update(state, images=np.load(images, mmap_mode="r") if isinstance(images, Path) else images)

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

    def with_shuffled_labels(self, *, seed: int) -> Self:
        """Deal the labels out anew between patients: a control in which there is nothing to learn about new patients.

        All images of a patient get one label, that of an image of another patient. A network that
        meets a patient again can remember it, so that a division by image scores above chance and one by patient does
        not (Yagis et al. 2021, 10.1038/s41598-021-01681-w).
        """
        rng = np.random.default_rng([seed, LABEL_STREAM])
        # of one image each, drawn at random: the most frequent label would often be a tie, and ties favour one class
        drawn = self.table.sort_values("sample_id").sample(frac=1, random_state=rng)
        labels = drawn.groupby("PatientID")["label"].first()
        dealt = rng.permutation(labels.to_numpy())
        label_of = dict(zip(labels.index, dealt, strict=True))
        return replace(self, table=self.table.assign(label=self.table["PatientID"].map(label_of)))

    def rows_of(
        self, splits: pd.DataFrame, *, fold: int, train_patients: Optional[int] = None
    ) -> dict[str, np.ndarray]:
        """Row numbers of the train, validation and test samples of a fold, each sorted.

        Parameters
        ----------
        splits
            Long table sample_id, fold, split.
        fold
            Which of its folds.
        train_patients
            Keep so many patients of the training part, see `nested_patients`; None keeps all.

        Raises
        ------
        TrainingDataError
            If a class is missing from the training part, or it has fewer patients than asked for.
        """
        split = self.table.merge(splits[splits["fold"] == fold], on="sample_id", how="left")["split"]
        rows = {name: np.flatnonzero(split == name) for name in ("train", "validation", "test")}
        if train_patients is not None:
            trained = self.table.iloc[rows["train"]]
            kept = nested_patients(trained, n_patients=train_patients, fold=fold)
            rows["train"] = rows["train"][trained["PatientID"].isin(kept)]
        present = set(self.table["label"].iloc[rows["train"]])
        missing = [key for key in self.classes if key not in present]
        if missing:
            raise TrainingDataError(
                f"fold {fold}: no training sample of class {', '.join(missing)}; use fewer folds or merge classes"
            )
        return rows


def nested_patients(trained: pd.DataFrame, *, n_patients: int, fold: int) -> list[str]:
    """Draw some of the training patients of a fold, in the class mix of all; a larger draw holds the smaller ones.

    Parameters
    ----------
    trained
        Training samples with PatientID and label.
    n_patients
        How many patients to draw.
    fold
        Seeds the draw, so that it depends on nothing else.

    Raises
    ------
    TrainingDataError
        If there are fewer.
    """
    shown = trained.groupby("PatientID")["label"].agg(lambda labels: " ".join(sorted(set(labels))))
    if n_patients > len(shown):
        raise TrainingDataError(
            f"training.train_patients: {n_patients}, but fold {fold} has {len(shown)} training patients"
        )
    shuffled = shown.sample(frac=1, random_state=np.random.default_rng([fold, PATIENT_STREAM]))
    strata = shuffled.groupby(shuffled)
    # each stratum spread evenly from first to last, so that every beginning of the order has about the mix of all
    place = (strata.cumcount() + 0.5) / strata.transform("size")
    return place.sort_values(kind="stable").index[:n_patients].tolist()


def scarce_validation(table: pd.DataFrame, splits: pd.DataFrame) -> str:
    """A warning where validation holds few patients of a class, or an empty string.

    With few, the chosen epoch, the temperature and the thresholds rest on chance.
    """
    known = splits.query("split == 'validation'").merge(table[["sample_id", "PatientID", "label"]], on="sample_id")
    counts = known.groupby(["fold", "label"])["PatientID"].nunique()
    # a class that a fold's validation part lacks is counted with 0
    fewest = counts.unstack(fill_value=0).reindex(columns=sorted(set(table["label"])), fill_value=0).min()
    scarce = fewest[fewest < FEW_PATIENTS]
    if scarce.empty:
        return ""
    listed = ", ".join(f"{label} {number}" for label, number in scarce.items())
    return (
        f"Validation parts hold fewer than {FEW_PATIENTS} patients of some classes (fewest in a fold: {listed}): the "
        "chosen epochs, and all that is fitted on validation later, rest partly on chance."
    )


class Batch(NamedTuple):
    """What one step learns from, for B samples; NaN where heights are unknown.

    Images are pixels (B, 3, S, S) or maps of the frozen stages (B, C, h, w); targets (B,), heights (B, 3).
    """

    images: Tensor
    targets: Tensor
    heights: Tensor


def balanced_draw(rows: np.ndarray, *, targets: Tensor, generator: Generator) -> np.ndarray:
    """As many rows as given, drawn with replacement so that every class is equally frequent on average."""
    counts = targets.bincount()
    drawn = torch.multinomial(1 / counts[targets], len(rows), replacement=True, generator=generator)
    return rows[drawn.numpy()]


def shuffled_batches(rows: np.ndarray, *, batch_size: int, generator: Generator) -> Iterator[np.ndarray]:
    """Row numbers of each batch in random order; a last batch of one is left out, batch norm cannot use it."""
    shuffled = rows[torch.randperm(len(rows), generator=generator).numpy()]
    for start in range(0, len(shuffled), batch_size):
        batch = shuffled[start : start + batch_size]
        if len(batch) > 1:
            yield batch


def n_batches(n_rows: int, *, batch_size: int) -> int:
    """How many batches `shuffled_batches` gives."""
    full, rest = divmod(n_rows, batch_size)
    return full + (rest > 1)
