"""From cached pixels to network input: crop, window, and for training small changes that keep the anatomy true.

Flips are left out on purpose: front and back, top and bottom carry the diagnosis on a sagittal image.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn import functional

from helpers.study.params import TrainingParams

EIGHT_BIT_WINDOW = (127.5, 255.0)
SHOWN_CHANNEL = 1  # the middle one of three neighbouring planes


@dataclass(frozen=True)
class InputTransform:
    """Turns cached images into network input.

    Parameters
    ----------
    params
        Crop, window and the size of each change, in millimetres, degrees and relative window units.
    spacing_mm
        Pixel size of the cached images.
    is_hu
        Whether pixels are HU; 8-bit pixels are scaled from 0–255 instead, their window being unknown.
    mean, std
        Channel normalisation of the initialisation.
    """

    params: TrainingParams
    spacing_mm: float
    is_hu: bool
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def plain(self, pixels: np.ndarray) -> Tensor:
        """Centre crop and window: (N, H, W) or (N, 3, H, W) cached pixels → (N, 3, S, S) float32."""
        offset = (pixels.shape[-1] - self.params.input_size) // 2
        cut = slice(offset, offset + self.params.input_size)
        images = _with_channels(pixels[..., cut, cut])
        center, width = self._window()
        return self._normalise(((images - center) / width + 0.5).clamp(0, 1))

    def augmented(self, pixels: np.ndarray, *, generator: Generator) -> Tensor:
        """Randomly turned, shifted, scaled, windowed and noisy: (N, H, W) or (N, 3, H, W) → (N, 3, S, S) float32.

        Rotation stands for the patient's posture and the set-up of the reformat, shift for where a reader puts the
        centre, scale for body size, window for the reader's and the scanner's habits, noise for dose.
        """
        images = _with_channels(pixels)
        images = self._moved(images, generator)
        images = self._windowed(images, generator)
        noise = torch.randn(images.shape, generator=generator) * self.params.noise
        strength = torch.rand(len(images), 1, 1, 1, generator=generator)
        return self._normalise((images + noise * strength).clamp(0, 1))

    def examples(self, pixels: np.ndarray, *, n_versions: int) -> np.ndarray:
        """Random versions to look at: (N, H, W) → (N, n_versions, S, S) in [0, 1], without channel normalisation."""
        generator = Generator().manual_seed(0)
        versions = [self.augmented(pixels, generator=generator)[:, SHOWN_CHANNEL] for _ in range(n_versions)]
        return self.to_display(torch.stack(versions, dim=1))

    def pictures(self, pixels: np.ndarray) -> np.ndarray:
        """The plain crops as pictures: (N, H, W) → (N, S, S) in [0, 1]."""
        return self.to_display(self.plain(pixels)[:, SHOWN_CHANNEL])

    def to_display(self, channel: Tensor) -> np.ndarray:
        """Undo the normalisation of the middle channel, for pictures."""
        return (channel * self.std[SHOWN_CHANNEL] + self.mean[SHOWN_CHANNEL]).clamp(0, 1).numpy()

    def _window(self) -> tuple[float, float]:
        return (self.params.window_center, self.params.window_width) if self.is_hu else EIGHT_BIT_WINDOW

    def _moved(self, images: Tensor, generator: Generator) -> Tensor:
        n, side, out = len(images), images.shape[-1], self.params.input_size
        angle = _uniform(n, math.radians(self.params.rotation_deg), generator)
        scale = 1 + _uniform(n, self.params.scale_percent / 100, generator)
        field_mm = side * self.spacing_mm
        shift = _uniform(2 * n, 2 * self.params.shift_mm / field_mm, generator).view(n, 2)
        zoom = scale * out / side  # the crop's share of the cached square, in grid_sample's units
        theta = torch.zeros(n, 2, 3)
        theta[:, 0, 0] = theta[:, 1, 1] = zoom * torch.cos(angle)
        theta[:, 0, 1] = -zoom * torch.sin(angle)
        theta[:, 1, 0] = zoom * torch.sin(angle)
        theta[:, :, 2] = shift
        grid = functional.affine_grid(theta, [n, 1, out, out], align_corners=False)
        return functional.grid_sample(images, grid, padding_mode="border", align_corners=False)

    def _windowed(self, images: Tensor, generator: Generator) -> Tensor:
        center, width = self._window()
        jitter = self.params.window_jitter
        center = center + _uniform(len(images), jitter * width / 2, generator).view(-1, 1, 1, 1)
        width = width * (1 + _uniform(len(images), jitter, generator).view(-1, 1, 1, 1))
        return (images - center) / width + 0.5

    def _normalise(self, images: Tensor) -> Tensor:
        mean, std = torch.tensor(self.mean).view(1, 3, 1, 1), torch.tensor(self.std).view(1, 3, 1, 1)
        return ((images - mean) / std).contiguous(memory_format=torch.channels_last)


def _with_channels(pixels: np.ndarray) -> Tensor:
    """(N, H, W) → (N, 1, H, W), shown to all three channels alike; (N, 3, H, W) planes stay as they are."""
    images = torch.from_numpy(np.ascontiguousarray(pixels)).float()
    return images if images.ndim == 4 else images[:, None]


def _uniform(n: int, limit: float, generator: Generator) -> Tensor:
    """`n` values between ± `limit`."""
    return (torch.rand(n, generator=generator) * 2 - 1) * limit
