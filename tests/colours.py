"""Pictures of so many colours, and how near two pictures are."""

from __future__ import annotations

import numpy as np


def colours(count, seed=0):
    """``(count, 1, 3)``: so many different ones."""
    numbers = np.random.default_rng(seed).choice(1 << 16, count, replace=False) * 251
    return np.stack([numbers & 255, numbers >> 8 & 255, numbers >> 16], axis=1).astype(np.uint8)[:, None]


def decibels(image, other):
    """Peak signal to noise ratio."""
    return 10 * np.log10(255**2 / np.mean((image.astype(float) - other) ** 2))
