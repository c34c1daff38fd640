"""From cached pixels to network input: crop, window, and for training small changes that keep the anatomy true.

All images of a batch are changed at once, each by its own draw, in millimetres, degrees and HU; torchvision's
transforms change whole batches alike. Top and bottom are never exchanged, and the sides only where the parameters say
that they are left and right: front and back carry the diagnosis on a sagittal image.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, product

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn import functional

from helpers.study.params import THREE_WINDOWS, TrainingParams

EIGHT_BIT_WINDOW = (127.5, 255.0)
SHOWN_CHANNEL = 1  # the middle one of three neighbouring planes
STRETCH_RANGE = (0.01, 0.995)  # shares of a crop's pixels: few are darker or brighter by accident of noise and metal
STRETCH_STRIDE = 3  # every third pixel of both axes is enough for a percentile, in a ninth of the time
FLAT = 1e-3  # a crop whose values span less than this share of the window is left as it is
EDGE_RANGE = (0.2, 0.5)  # how far from the middle of the crop, in its sides, a picture may end
# Views in the order in which they are used: the plain crop first, then steps of half the training's own changes.
VIEW_SHIFTS = ((0.0, 0.0), (-0.5, 0.0), (0.5, 0.0), (0.0, -0.5), (0.0, 0.5))
VIEW_SCALES = (0.0, -0.5, 0.5)


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
        return self._finished(_with_channels(pixels[..., cut, cut]))

    def views(self, pixels: np.ndarray) -> Iterator[Tensor]:
        """The `params.views` versions of each image whose logits are averaged, each as `plain` gives it.

        The first is the plain crop; the next are shifted by half of `shift_mm` along one axis; then the same five
        again, smaller and larger by half of `scale_percent`. They are the same in every run.
        """
        yield self.plain(pixels)
        images = _with_channels(pixels)
        for scale, (row, column) in islice(product(VIEW_SCALES, VIEW_SHIFTS), 1, self.params.views):
            shift_mm = torch.tensor([column, row]).expand(len(images), 2) * self.params.shift_mm
            zoom = torch.full((len(images),), 1 + scale * self.params.scale_percent / 100)
            yield self._finished(self._resampled(images, angle=torch.zeros(len(images)), zoom=zoom, shift_mm=shift_mm))

    def augmented(self, pixels: np.ndarray, *, generator: Generator) -> Tensor:
        """Randomly turned, shifted, scaled, windowed and noisy: (N, H, W) or (N, 3, H, W) → (N, 3, S, S) float32.

        Rotation stands for the patient's posture and the set-up of the reformat, shift for where a reader puts the
        centre, scale for body size, blur for kernel and slice thickness, window for the reader's and the scanner's
        habits, noise for dose, gamma for what a viewer or an export does to grey values; a black edge above or below
        for pictures and scan ranges that end near the vertebra; mirror, where allowed, for bodies that are near even.
        """
        images = self._moved(_with_channels(pixels), generator)
        if self.params.mirror:
            is_mirrored = torch.rand(len(images), generator=generator) < 0.5
            images = torch.where(is_mirrored.view(-1, 1, 1, 1), images.flip(-1), images)
        if self.params.blur_mm:
            sigma = torch.rand(len(images), generator=generator) * self.params.blur_mm
            images = blurred(images, sigma_px=sigma / self.spacing_mm)
        images = self._windowed(images, generator)
        noise = torch.randn(images.shape, generator=generator) * self.params.noise
        strength = torch.rand(len(images), 1, 1, 1, generator=generator)
        images = (images + noise * strength).clamp(0, 1)
        if self.params.edge_share:
            images = self._ended(images, generator)
        images = self._stretched(images)
        if self.params.gamma:
            images = images ** _uniform(len(images), math.log1p(self.params.gamma), generator).exp().view(-1, 1, 1, 1)
        return self._normalise(images)

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

    def _window(self) -> tuple[Tensor, Tensor]:
        """Centre and width for each channel, (1, 1 or 3, 1, 1)."""
        windows = [(self.params.window_center, self.params.window_width) if self.is_hu else EIGHT_BIT_WINDOW]
        if self.params.channels == "windows" and self.is_hu:
            windows = THREE_WINDOWS
        center, width = torch.tensor(windows).T
        return center.view(1, -1, 1, 1), width.view(1, -1, 1, 1)

    def _finished(self, images: Tensor) -> Tensor:
        """Cropped pixels → network input, without chance."""
        center, width = self._window()
        return self._normalise(self._stretched(((images - center) / width + 0.5).clamp(0, 1)))

    def _moved(self, images: Tensor, generator: Generator) -> Tensor:
        n = len(images)
        angle = _uniform(n, math.radians(self.params.rotation_deg), generator)
        zoom = 1 + _uniform(n, self.params.scale_percent / 100, generator)
        shift_mm = _uniform(2 * n, self.params.shift_mm, generator).view(n, 2)
        return self._resampled(images, angle=angle, zoom=zoom, shift_mm=shift_mm)

    def _resampled(self, images: Tensor, *, angle: Tensor, zoom: Tensor, shift_mm: Tensor) -> Tensor:
        """Cut a square that is turned (radians), larger by `zoom` and moved (N, 2: along columns, along rows)."""
        n, side, out = len(images), images.shape[-1], self.params.input_size
        zoom = zoom * out / side  # the crop's share of the cached square, in grid_sample's units
        theta = torch.zeros(n, 2, 3)
        theta[:, 0, 0] = theta[:, 1, 1] = zoom * torch.cos(angle)
        theta[:, 0, 1] = -zoom * torch.sin(angle)
        theta[:, 1, 0] = zoom * torch.sin(angle)
        theta[:, :, 2] = shift_mm * 2 / (side * self.spacing_mm)
        grid = functional.affine_grid(theta, [n, 1, out, out], align_corners=False)
        return functional.grid_sample(images, grid, padding_mode="border", align_corners=False)

    def _windowed(self, images: Tensor, generator: Generator) -> Tensor:
        center, width = self._window()
        jitter = self.params.window_jitter
        center = center + width * _uniform(len(images), jitter / 2, generator).view(-1, 1, 1, 1)
        width = width * (1 + _uniform(len(images), jitter, generator).view(-1, 1, 1, 1))
        return (images - center) / width + 0.5

    def _ended(self, images: Tensor, generator: Generator) -> Tensor:
        """Make a share of the images end above or below, black as padding is."""
        n, side = len(images), images.shape[-1]
        nearest, farthest = EDGE_RANGE
        distance = (nearest + (farthest - nearest) * torch.rand(n, generator=generator)) * side
        direction = torch.where(torch.rand(n, generator=generator) < 0.5, -1.0, 1.0)
        is_cut = torch.rand(n, generator=generator) < self.params.edge_share
        row = torch.arange(side) - (side - 1) / 2
        outside = is_cut[:, None] & (direction[:, None] * row > distance[:, None])
        return images.masked_fill(outside[:, None, :, None], 0.0)

    def _stretched(self, images: Tensor) -> Tensor:
        """With `intensity: image`, set each crop's own percentiles to 0 and 1, whatever window it came with."""
        if self.params.intensity == "window":
            return images
        ordered = images[..., ::STRETCH_STRIDE, ::STRETCH_STRIDE].flatten(1).sort(dim=1).values
        low, high = (ordered[:, round(share * (ordered.shape[1] - 1))].view(-1, 1, 1, 1) for share in STRETCH_RANGE)
        is_flat = high - low < FLAT
        return torch.where(is_flat, images, (images - low) / (high - low).clamp(min=FLAT)).clamp(0, 1)

    def _normalise(self, images: Tensor) -> Tensor:
        mean, std = torch.tensor(self.mean).view(1, 3, 1, 1), torch.tensor(self.std).view(1, 3, 1, 1)
        return ((images - mean) / std).contiguous(memory_format=torch.channels_last)


def blurred(images: Tensor, *, sigma_px: Tensor) -> Tensor:
    """Smooth each image with a Gaussian of its own: (N, C, H, W) and (N,) sigma in pixels → (N, C, H, W)."""
    n, channels, height, width = images.shape
    radius = max(1, math.ceil(3 * float(sigma_px.max())))
    place = torch.arange(-radius, radius + 1)
    kernel = torch.exp(-0.5 * (place / sigma_px.clamp(min=0.05).view(-1, 1)) ** 2)
    kernel = (kernel / kernel.sum(dim=1, keepdim=True)).repeat_interleave(channels, dim=0)
    stack = functional.pad(images.reshape(1, n * channels, height, width), (radius,) * 4, mode="replicate")
    stack = functional.conv2d(stack, kernel.view(-1, 1, 1, len(place)), groups=n * channels)
    stack = functional.conv2d(stack, kernel.view(-1, 1, len(place), 1), groups=n * channels)
    return stack.view(images.shape)


def _with_channels(pixels: np.ndarray) -> Tensor:
    """(N, H, W) → (N, 1, H, W), shown to all three channels alike; (N, 3, H, W) planes stay as they are."""
    images = torch.from_numpy(np.array(pixels, dtype=np.float32))  # a copy: cached images are read-only
    return images if images.ndim == 4 else images[:, None]


def _uniform(n: int, limit: float, generator: Generator) -> Tensor:
    """`n` values between ± `limit`."""
    return (torch.rand(n, generator=generator) * 2 - 1) * limit
