"""Outputs of the frozen stages, computed once and shared by all folds, seeds and heads.

While stages are frozen, batch-norm statistics included, what they make of an image never changes. So each image is
changed at random in a number of versions, each version passes the frozen stages once, and training starts from what is
stored. Epochs take the versions in turn: with fewer versions than epochs a network meets each several times.
"""

import hashlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from numpy.lib import format as array_format
from torch import Generator, Tensor, nn

from helpers.study.artefacts import write_atomic
from helpers.study.params import TrainingParams
from helpers.training.augmentation import InputTransform
from helpers.training.data import Samples
from helpers.training.model import frozen_stages
from helpers.training.precision import autocast

VERSION_SEED = 0xF0  # apart from those of models and epochs
CHUNK = 64  # images that are changed at random together
PASS = 16  # images that pass the stages together: with more, maps no longer fit the processor's cache
FEW_VERSIONS = 4  # with fewer than this, training on stored versions would see too little variety


@dataclass(frozen=True)
class Route:
    """How training gets its input, and why.

    Parameters
    ----------
    n_versions
        Stored random versions of each image; 0: every fit starts from pixels.
    reason
        A sentence for the log.
    """

    n_versions: int
    reason: str


def choose_route(
    params: TrainingParams, *, n_images: int, fit_sizes: Sequence[tuple[int, int]], image_bytes: int
) -> Route:
    """Store the frozen stages' output where that saves passes through them and fits the limit.

    Parameters
    ----------
    params
        `frozen_stages`, `epochs`, `feature_versions`, `views` and `feature_cache_gb`.
    n_images
        Images of the run, each of which every fit predicts.
    fit_sizes
        Training and validation images of each fit.
    image_bytes
        Size of one stored image.
    """
    if params.frozen_stages == 0:
        return Route(0, "every fit starts from pixels: no stage is frozen")
    room = int(params.feature_cache_gb * 1e9 // (n_images * image_bytes)) - params.views
    wanted = min(params.epochs, params.feature_versions)
    n_versions = min(wanted, room)
    if n_versions < min(FEW_VERSIONS, wanted):
        return Route(0, f"every fit starts from pixels: stored maps would pass {params.feature_cache_gb:g} GB")
    direct = sum(
        params.epochs * (train + validation * params.views) + n_images * params.views for train, validation in fit_sizes
    )
    stored = n_images * (n_versions + params.views)
    if stored >= direct:
        return Route(0, f"every fit starts from pixels: {direct} passes, {stored} with stored maps")
    size = stored * image_bytes / 1e9
    return Route(
        n_versions,
        f"frozen stages are passed once: {stored} passes instead of {direct}, {n_versions} random "
        f"version{'s' * (n_versions > 1)} of each image, {size:.2g} GB on disk until training ends",
    )


class FrozenFeatures:
    """Stored outputs of the frozen stages for all images of a run.

    Each version or view is one file of shape (N, h, w, C): the memory order of `channels_last`.

    Parameters
    ----------
    folder
        Where the files lie; a file is there as a whole or not at all.
    n_versions
        Random versions for training.
    """

    def __init__(self, folder: Path, *, n_versions: int) -> None:
        self.folder, self.n_versions = folder, n_versions

    def read(self, name: str, rows: np.ndarray) -> Tensor:
        """Stored maps of some images: (len(rows), C, h, w), bfloat16 or float32."""
        stored = np.load(self.folder / f"{name}.npy", mmap_mode="r")
        maps = torch.from_numpy(stored[rows])
        maps = maps.view(torch.bfloat16) if maps.dtype == torch.int16 else maps
        return maps.permute(0, 3, 1, 2)

    def training(self, epoch: int, rows: np.ndarray) -> Tensor:
        """Maps of the random version that an epoch uses."""
        return self.read(version_name(epoch % self.n_versions), rows)

    def compute(
        self, network: nn.Module, *, samples: Samples, transform: InputTransform, device: torch.device,
        report: Callable[[str], None],
    ) -> None:  # fmt: skip
        """Pass every version and view through the frozen stages of `network`; files that are there stay."""
        self.folder.mkdir(parents=True, exist_ok=True)
        frozen = nn.Sequential(*frozen_stages(network, params=transform.params)).eval().to(device)
        versions, n_images = range(self.n_versions), len(samples.images)
        for version in versions:
            report(f"frozen stages, version {version + 1}/{self.n_versions}")
            batches = augmented_version(samples, version=version, transform=transform)
            maps = _outputs(frozen, batches, params=transform.params, device=device)
            self._write(version_name(version), maps, n_images=n_images)
        for view in range(transform.params.views):
            batches = (_nth_view(part, view, transform=transform) for part in _chunks(samples))
            maps = _outputs(frozen, batches, params=transform.params, device=device)
            self._write(view_name(view), maps, n_images=n_images)

    def _write(self, name: str, parts: Iterator[Tensor], *, n_images: int) -> None:
        file = self.folder / f"{name}.npy"
        if not file.is_file():
            write_atomic(file, lambda stream: _save_parts(stream, parts, n_images=n_images), flush=False)


def version_name(version: int) -> str:
    """File stem of a random version."""
    return f"version_{version:03d}"


def view_name(view: int) -> str:
    """File stem of a view without chance."""
    return f"view_{view:02d}"


def features_folder(checkpoints: Path, *, digest: str, n_versions: int) -> Path:
    """Where maps of one combination of images, parameters and start lie; those of others are removed."""
    name = hashlib.sha256(f"{digest}{n_versions}".encode()).hexdigest()[:16]
    remove_features(checkpoints, but=name)
    return checkpoints / "features" / name


def remove_features(checkpoints: Path, *, but: str = "") -> None:
    """Delete stored maps; they are large and follow from the images."""
    for folder in (checkpoints / "features").glob("*"):
        if folder.name != but:
            shutil.rmtree(folder)
    if not but:
        shutil.rmtree(checkpoints / "features", ignore_errors=True)


def augmented_version(samples: Samples, *, version: int, transform: InputTransform) -> Iterator[Tensor]:
    """All images in one random version, in order and in parts: (n, 3, S, S) each."""
    generator = Generator().manual_seed(int(np.random.SeedSequence([VERSION_SEED, version]).generate_state(1)[0]))
    for part in _chunks(samples):
        yield transform.augmented(part, generator=generator)


def map_shape(network: nn.Module, *, params: TrainingParams) -> tuple[int, ...]:
    """(C, h, w) of the frozen stages' output for one image."""
    frozen = nn.Sequential(*frozen_stages(network, params=params)).eval()
    with torch.inference_mode():
        image = torch.zeros(1, 3, params.input_size, params.input_size, device=next(network.parameters()).device)
        return tuple(frozen(image).shape[1:])


def _chunks(samples: Samples) -> Iterator[np.ndarray]:
    for start in range(0, len(samples.images), CHUNK):
        yield samples.images[start : start + CHUNK]


def _nth_view(pixels: np.ndarray, number: int, *, transform: InputTransform) -> Tensor:
    return next(view for place, view in enumerate(transform.views(pixels)) if place == number)


def _save_parts(stream: BinaryIO, parts: Iterator[Tensor], *, n_images: int) -> None:
    """One array file of maps that come in parts, (n, C, h, w) each: all of them together may not fit in memory."""
    for number, part in enumerate(parts):
        maps = part.permute(0, 2, 3, 1).contiguous()
        stored = (maps.view(torch.int16) if maps.dtype == torch.bfloat16 else maps).numpy()
        if number == 0:
            header = array_format.header_data_from_array_1_0(stored)
            array_format.write_array_header_1_0(stream, header | {"shape": (n_images, *stored.shape[1:])})
        stream.write(stored.data)


def _outputs(
    frozen: nn.Module, batches: Iterator[Tensor], *, params: TrainingParams, device: torch.device
) -> Iterator[Tensor]:
    for images in (part for batch in batches for part in batch.split(PASS)):
        with torch.inference_mode(), autocast(device, params.precision):
            maps = frozen(images.to(device, memory_format=torch.channels_last)).cpu()
        yield maps
