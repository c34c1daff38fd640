"""Convolutions of small maps as matrix products.

oneDNN, which computes torch's convolutions on a CPU, loses most where maps have few positions and many channels, as in
the last stage of a ResNet: above all in the gradients of strided and of 3 x 3 convolutions. There, gathering each
position's patch and multiplying once (Chellapilla, Puri & Simard 2006, "High performance convolutional neural networks
for document processing") is up to twice as fast, and of equal result but for rounding.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

SMALL_MAP = 64  # positions of the output; with more, oneDNN is as fast


class SmallMapConv2d(nn.Conv2d):
    """`nn.Conv2d` that turns into a matrix product on the CPU where the output has at most `SMALL_MAP` positions."""

    def forward(self, maps: Tensor) -> Tensor:
        """(N, C, H, W) → (N, out_channels, h, w) in `channels_last`."""
        height, width = self._output_size(maps)
        if maps.device.type != "cpu" or height * width > SMALL_MAP:
            return super().forward(maps)
        patches = self._patches(maps.permute(0, 2, 3, 1), height=height, width=width)
        weight = self.weight.permute(0, 2, 3, 1).flatten(1)
        return functional.linear(patches, weight, self.bias).permute(0, 3, 1, 2)

    def _output_size(self, maps: Tensor) -> tuple[int, int]:
        sizes = zip(maps.shape[2:], self.kernel_size, self.stride, self.padding, strict=True)
        height, width = ((size + 2 * padding - kernel) // stride + 1 for size, kernel, stride, padding in sizes)
        return height, width

    def _patches(self, maps: Tensor, *, height: int, width: int) -> Tensor:
        """(N, H, W, C) → (N, h, w, kernel rows * kernel columns * C), in the order of `channels_last` weights."""
        above, left = self.padding
        padded = functional.pad(maps, (0, 0, left, left, above, above))
        (rows, columns), (down, right) = self.kernel_size, self.stride
        places = [
            (slice(row, row + down * (height - 1) + 1, down), slice(column, column + right * (width - 1) + 1, right))
            for row in range(rows)
            for column in range(columns)
        ]
        return _Gathered.apply(padded, places)


class _Gathered(torch.autograd.Function):
    """Parts of maps side by side. As plain slices, the gradient of each part would be a whole map of its own."""

    @staticmethod
    def forward(context: Any, maps: Tensor, places: list[tuple[slice, slice]]) -> Tensor:
        """(N, H, W, C) → (N, h, w, len(places) * C)."""
        context.shape, context.places = maps.shape, places
        return torch.cat([maps[:, rows, columns] for rows, columns in places], dim=-1)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:
        """Add the gradient of each part where it was taken from."""
        gathered = gradient.new_zeros(context.shape)
        for (rows, columns), part in zip(context.places, gradient.split(context.shape[-1], dim=-1), strict=True):
            gathered[:, rows, columns] += part
        return gathered, None


def quicken_small_maps(stage: nn.Module) -> None:
    """Let plain convolutions of a stage compute as `SmallMapConv2d`; weights and their names stay."""
    for module in stage.modules():
        is_plain = type(module) is nn.Conv2d and module.groups == 1 and module.dilation == (1, 1)
        if is_plain and module.padding_mode == "zeros" and not isinstance(module.padding, str):
            module.__class__ = SmallMapConv2d  # the same module with another forward pass
