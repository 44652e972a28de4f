"""The learning rate of each step: linear warm-up, then half a cosine."""

import math


def lr_factor(step: int, steps: int, warmup: int, lowest: float = 0.0) -> float:
    """The share of the peak rate at `step` of `steps` (0-based): rises over `warmup` steps, falls to `lowest`.

    Source: the reference MAE (per-iteration half-cosine); lowest = min_lr / lr, 0..1.
    """
    if step < warmup:
        return (step + 1) / warmup
    progress = (step - warmup) / max(1, steps - warmup)
    return lowest + (1.0 - lowest) * 0.5 * (1.0 + math.cos(math.pi * progress))
