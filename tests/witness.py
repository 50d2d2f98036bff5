"""Pictures for tests of operations, and what an operation must do with depth and alpha, in plain NumPy.

A witness here is a function of float64 with white at 1, and calls no OpenCV. `agree` holds an operation
against it on every kind of picture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any, TypeAlias

import numpy as np
from PIL import Image as Pillow

from imgpipe.imaging.operations import Alpha, find
from imgpipe.imaging.pixels import WHITE

Witness: TypeAlias = Callable[[Any], Any]

#: Grey, colour, alpha; one pixel, one row, one column, odd sides.
SHAPES = [(1, 1), (1, 9), (13, 11), (1, 1, 3), (8, 1, 3), (13, 11, 3), (1, 1, 4), (1, 9, 4), (13, 11, 4)]


def picture(shape: tuple[int, ...], depth: str = "uint8", seed: int = 0) -> Any:
    """Noise; where there is alpha, a third is hidden and a third is opaque."""
    rng = np.random.default_rng(seed)
    values = rng.random(shape)
    if len(shape) == 3 and shape[2] == 4:
        values[:, :, 3] = np.clip(values[:, :, 3] * 3 - 1, 0, 1)
    return np.rint(values * WHITE[depth]).astype(depth) if depth != "float32" else values.astype(depth)


def smooth(shape: tuple[int, ...], depth: str = "uint8", seed: int = 0) -> Any:
    """A picture of slopes with a little noise, alpha too: more like a photograph."""
    rng = np.random.default_rng(seed)
    channels = shape[2] if len(shape) == 3 else 1
    y, x = np.mgrid[: shape[0], : shape[1]]
    phases = rng.random((channels, 3)) * 6
    planes = [0.5 + 0.4 * np.sin(a + y / (3 + b)) * np.cos(c + x / 5) for a, b, c in phases]
    values = np.clip(np.stack(planes, 2).reshape(shape) + rng.normal(0, 0.02, shape), 0, 1)
    return np.rint(values * WHITE[depth]).astype(depth) if depth != "float32" else values.astype(depth)


def every(depth: str, make: Callable[[tuple[int, ...], str], Any] = picture) -> Iterator[Any]:
    """A picture of each shape."""
    return (make(shape, depth) for shape in SHAPES)


def unit(image: Any) -> Any:
    """float64 with white at 1."""
    return image.astype(np.float64) / WHITE[image.dtype.name]


def grey(values: Any) -> Any:
    return values if values.ndim == 2 else values[:, :, :3] @ np.array([0.114, 0.587, 0.299])


def png(pixels: Any) -> bytes:
    """A file by Pillow, of red, green, blue and alpha."""
    file = BytesIO()
    Pillow.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def per_channel(function: Witness) -> Witness:
    """``function`` of ``(H, W)`` for every channel by itself."""

    def every(values: Any) -> Any:
        if values.ndim == 2:
            return function(values)
        return np.stack([function(values[:, :, c]) for c in range(values.shape[2])], 2)

    return every


def past_alpha(function: Witness, alpha: Alpha, white: float) -> Witness:
    """``function`` as an operation declared ``alpha`` must do it to pixels with this ``white``."""

    def whole(values: Any) -> Any:
        if values.ndim == 2 or values.shape[2] == 3:
            return function(values)
        colours, weight = values[:, :, :3], values[:, :, 3:]
        if alpha in (Alpha.FILTERED, Alpha.WEIGHED):
            filtered = function(np.concatenate([colours * weight, weight], 2))
            left = filtered[:, :, 3:]
            straight = np.divide(filtered[:, :, :3], left, out=np.zeros_like(colours), where=left > 1e-6)
            return np.concatenate([straight, np.clip(left, 0, 1) if alpha is Alpha.FILTERED else weight], 2)
        seen = colours * weight if white == 1 else np.rint(colours * weight * white) / white
        result = function(seen if alpha is Alpha.SEEN else colours)
        result = result if result.ndim == 3 else np.stack([result] * 3, 2)
        return np.concatenate([result, weight], 2)

    return whole


def agree(
    name: str,
    witness: Witness,
    make: Callable[[tuple[int, ...], str], Any],
    depth: str,
    *,
    levels: float = 1.0,
    clipped: bool = False,
    **arguments: Any,
) -> None:
    """Of pictures of every shape the operation ``name`` makes what ``witness`` says, to ``levels`` of 8 bits.

    In 16 bits that is 4 of its own levels, and in float32 2e-5: a way through 8 bits would be found out.
    ``clipped``: float32 is, too. Where alpha is filtered, colours that can hardly be seen count by alpha.
    """
    operation = find(name)
    for shape in SHAPES:
        image = make(shape, depth)
        found = operation(image, **arguments)
        expected = past_alpha(witness, operation.alpha, WHITE[depth])(unit(image))
        assert found.dtype == image.dtype
        assert found.shape == expected.shape, f"of {shape}"
        if depth != "float32" or clipped:
            expected = np.clip(expected, 0, 1)
        difference = np.abs(unit(found) - expected)
        if operation.alpha in (Alpha.FILTERED, Alpha.WEIGHED) and shape[2:] == (4,):
            difference[:, :, :3] *= np.minimum(expected[:, :, 3:] * 50, 1)
        off = difference.max() / {"uint8": 1.001 / 255, "uint16": 4.001 / 65535, "float32": 2e-5}[depth]
        assert off <= levels, f"{shape} is off by {off:.3g} levels"
