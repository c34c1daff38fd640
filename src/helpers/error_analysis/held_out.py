"""Each sample with the network that was kept from it: no sample is judged by a network that has learned from it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
import torch
from torch import nn

from helpers.training import InputTransform, Samples, load_network
from helpers.training.inputs import predict

EIGHT_BIT_WINDOW = (127.5, 255.0)


@dataclass(frozen=True)
class HeldOut:
    """The tested samples of a run and their networks.

    Parameters
    ----------
    samples
        Cached images with labels.
    tested
        One row per tested sample: sample_id, fold and seed of a network that had it in its test part.
    transform
        Input transform of the run; its `params` are those of training.
    checkpoints
        Folder of the trained networks.
    """

    samples: Samples
    tested: pd.DataFrame
    transform: InputTransform
    checkpoints: Path

    @classmethod
    def of(cls, predictions: pd.DataFrame, *, samples: Samples, transform: InputTransform, checkpoints: Path) -> Self:
        """Take the first seed, and of several folds that tested a sample the first."""
        tested = predictions[predictions["split"] == "test"].sort_values(["seed", "fold"])
        tested = tested.drop_duplicates("sample_id")[["sample_id", "fold", "seed"]].reset_index(drop=True)
        return cls(samples, tested, transform, checkpoints)

    def network(self, *, fold: int, seed: int) -> nn.Module:
        """The trained network of one fold and seed, in evaluation mode on the CPU."""
        torch.set_num_threads(self.transform.params.threads)
        file = self.checkpoints / f"fold{fold}_seed{seed}.safetensors"
        return load_network(file, params=self.transform.params, n_classes=len(self.samples.classes))

    @property
    def window(self) -> tuple[float, float]:
        """Centre and width of what the networks see, in the unit of the pixels."""
        params = self.transform.params
        return (params.window_center, params.window_width) if self.transform.is_hu else EIGHT_BIT_WINDOW

    def logits(self, network: nn.Module, pixels: np.ndarray) -> np.ndarray:
        """Answers of a network to (N, ..., H, W) cached pixels: (N, K) float32."""
        everything = np.arange(len(pixels))
        device = torch.device("cpu")
        return predict(network, pixels, rows=everything, transform=self.transform, device=device).numpy()

    def groups(self, sample_ids: Iterable[str]) -> Iterator[tuple[nn.Module, np.ndarray]]:
        """Each network that tested some of the samples, with their positions among `sample_ids`."""
        wanted = pd.DataFrame({"sample_id": list(sample_ids)}).merge(self.tested, how="left", on="sample_id")
        for (fold, seed), group in wanted.groupby(["fold", "seed"]):
            yield self.network(fold=int(fold), seed=int(seed)), group.index.to_numpy()
