"""Number formats of training and prediction."""

import torch


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """bf16 autocast where the parameters ask for it."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")
