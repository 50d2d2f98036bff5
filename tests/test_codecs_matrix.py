"""Every readable format × every kind of pixels × identity, resize, blur, and into every other format.

The inputs come from Pillow, tifffile or `encoders`, the outputs are read by Pillow, tifffile or `readers`.
What they must hold is worked out here in NumPy: depth, grey and alpha are kept where the target can, else
they are reduced by value, and that is remarked on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from imgpipe.errors import Kind
from imgpipe.imaging.processing import process
from imgpipe.imaging.recipe import Recipe
from tests import encoders, readers
from tests.encoders import FILES, WHITE, made, pixels_of

STEPS = ("identity", "resize", "blur")
LOSSY = {"jpg": 0.05, "webp": 0.06, "avif": 0.05}  # quality 90, colours at half the resolution


@dataclass(frozen=True)
class Target:
    """What a format can hold: bits of integers, floating point, one channel, transparency."""

    bits: tuple[int, ...]
    floating: bool = False
    grey: bool = True
    alpha: bool = True

    def depth(self, given: str) -> str:
        wanted = {"uint8": 8, "uint16": 16}.get(given)
        if wanted in self.bits or (wanted is None and self.floating):
            return given
        return "float32" if self.floating else f"uint{max(self.bits)}"


TARGETS = {
    "jpg": Target((8,), alpha=False),
    "png": Target((8, 16)),
    "webp": Target((8,), grey=False),
    "tif": Target((8, 16), floating=True),
    "bmp": Target((8,)),
    "gif": Target((8,), grey=False),
    "avif": Target((8,)),
    "jp2": Target((8, 16)),
    "pnm": Target((8, 16), alpha=False),
    "pgm": Target((8, 16), alpha=False),
    "ppm": Target((8, 16), grey=False, alpha=False),
    "pam": Target((8, 16)),
    "pfm": Target((), floating=True, alpha=False),
}


# --- what must come out -------------------------------------------------------------------------


def stepped(pixels: Any, step: str) -> Any:
    """Each step written out, on values with white at 1: what mixes pixels weights colours by alpha."""
    work = scaled(pixels)
    if step == "identity":
        return work
    mixed = halved if step == "resize" else boxed
    if work.shape[2] == 3 or work.shape[2] == 1:
        return mixed(work)
    alpha = work[:, :, 3:]
    result = mixed(np.concatenate([work[:, :, :3] * alpha, alpha], axis=2))
    below = np.where(result[:, :, 3:] > 0, result[:, :, 3:], np.inf)
    return np.concatenate([result[:, :, :3] / below, result[:, :, 3:]], axis=2)


def halved(work: Any) -> Any:
    return work.reshape(work.shape[0] // 2, 2, work.shape[1] // 2, 2, -1).mean(axis=(1, 3))


def boxed(work: Any) -> Any:
    return ndimage.uniform_filter(work, (3, 3, 1), mode="mirror")


def scaled(pixels: Any) -> Any:
    """``(H, W, 1)``, ``(H, W, 3)`` or ``(H, W, 4)``, white at 1."""
    work = np.atleast_3d(pixels).astype(np.float64) / WHITE[depth_of(pixels)]
    return np.concatenate([work[:, :, [0, 0, 0]], work[:, :, 1:]], axis=2) if work.shape[2] == 2 else work


def depth_of(pixels: Any) -> str:
    return str(pixels.dtype.newbyteorder("="))


def check(found: Any, wanted: Any, depth: str, bound: float) -> None:
    """Colours are compared as they are seen: weighted by alpha, of which nothing may be lost."""
    assert found.shape == wanted.shape
    if wanted.shape[2] == 4:
        assert np.abs(found[:, :, 3] - wanted[:, :, 3]).max() <= max(bound, 0.51 / WHITE[depth])
        found, wanted = found[:, :, :3] * found[:, :, 3:], wanted[:, :, :3] * wanted[:, :, 3:]
    assert np.abs(found - wanted).max() <= bound


def bound_of(suffix: str, depth: str, exact: bool) -> float:
    """Nothing for what is only packed; half a level for rounding, a whole one for rounding twice."""
    rounding = 1e-6 if depth == "float32" else 1.01 / WHITE[depth]
    return LOSSY.get(suffix, 0.0 if exact else rounding)


def size_for(*suffixes: str) -> tuple[int, int]:
    """Height and width; JPEG 2000 is not written with less than 32 a side, halved."""
    return (64, 64) if "jp2" in suffixes else (24, 32)


def recipe_of(step: str, size: tuple[int, int]) -> Recipe:
    words = {"resize": f"resize:size={size[1] // 2}x{size[0] // 2},kernel=area"}
    return Recipe.from_options([words.get(step, step)], quality=95)


# --- the same format ----------------------------------------------------------------------------


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(("suffix", "kind"), [file for file in FILES if file[0] != "gif"])
def test_a_format_comes_back_in_itself(suffix, kind, step):
    size = size_for(suffix)
    given = pixels_of(kind, size)
    outcome = process(made(suffix, kind, size), recipe_of(step, size), suffix)
    assert outcome.failure is None
    assert outcome.notes == ()
    assert outcome.data is not None
    found = readers.read(outcome.data, suffix)
    assert depth_of(found) == depth_of(given)
    wanted = stepped(given, step)
    if suffix == "avif" and kind == "grey":  # Pillow writes and reads grey AVIF as colour
        wanted = wanted.repeat(3, axis=2)
    if suffix == "bmp" and kind == "alpha":  # Pillow does not declare it, so nobody may take it for alpha
        wanted = stepped(given[:, :, :3], step)
    exact = step == "identity"
    check(scaled(found), wanted, depth_of(given), bound_of(suffix, depth_of(given), exact))


@pytest.mark.parametrize("step", STEPS)
def test_a_gif_comes_out_as_the_colours_of_its_palette(step):
    given = pixels_of("grey", size_for("gif"))
    recipe = replace(recipe_of(step, size_for("gif")), format="png")
    outcome = process(made("gif", "grey", size_for("gif")), recipe, "gif")
    assert outcome.data is not None
    wanted = stepped(given, step).repeat(3, axis=2)
    check(scaled(readers.png(outcome.data)), wanted, "uint8", bound_of("png", "uint8", step == "identity"))


# --- every other format -------------------------------------------------------------------------


@pytest.mark.parametrize("target", [target for target in TARGETS if target != "gif"])
@pytest.mark.parametrize("kind", dict.fromkeys(kind for _, kind in FILES))
def test_every_kind_of_pixels_in_every_format(kind, target):
    source = next(suffix for suffix, held in FILES if held == kind and suffix not in ("jpg", "bmp"))
    size, can = size_for(source, target), TARGETS[target]
    given = pixels_of(kind, size)
    recipe = Recipe.from_options(["identity"], target, 95)
    outcome = process(made(source, kind, size), recipe, source)
    if target == "pgm" and ("colour" in kind or "alpha" in kind):
        assert outcome.failure is not None
        assert outcome.failure.kind is Kind.OPERATION
        assert "holds no colour" in outcome.failure.message
        return
    assert outcome.data is not None
    found = readers.read(outcome.data, target)
    depth = can.depth(depth_of(given))
    wanted = scaled(given)
    if wanted.shape[2] == 4 and not can.alpha:
        wanted = wanted[:, :, :3]
    if wanted.shape[2] == 1 and not can.grey:
        wanted = wanted.repeat(3, axis=2)
    if target == "jp2" and depth == "uint16" and wanted.shape[2] > 1:  # Pillow rounds it to its upper 8 bits
        wanted, depth = (np.rint(wanted * 65535) + 128) // 256 / 255, "uint8"
    assert depth_of(found) == depth
    exact = depth == depth_of(given)
    check(scaled(found), wanted, depth, bound_of(target, depth, exact))
    assert {note for note, _ in outcome.notes} == losses(given, can)


def losses(given: Any, can: Target) -> set[str]:
    bits = {"uint8": 8, "uint16": 16, "float32": 32}
    kept, has = bits[can.depth(depth_of(given))], bits[depth_of(given)]
    lost = {"depth"} if kept < has else set()
    return lost | ({"alpha"} if given.ndim == 3 and given.shape[2] in (2, 4) and not can.alpha else set())


def test_opaque_alpha_may_be_dropped_without_a_word():
    pixels = pixels_of("alpha")
    pixels[:, :, 3] = 255
    outcome = process(encoders.png(pixels), Recipe.from_options(["identity"], "jpg"), "png")
    assert outcome.notes == ()


@pytest.mark.parametrize("step", STEPS)
def test_float_beyond_white_and_black_survives(step):
    size = size_for("tif")
    given = pixels_of("colour float", size) * 3 - 1
    outcome = process(encoders.tiff(given), recipe_of(step, size), "tif")
    assert outcome.data is not None
    check(scaled(readers.tiff(outcome.data)), stepped(given, step), "float32", 1e-5)


@pytest.mark.parametrize(("suffix", "kind"), FILES)
def test_one_pixel(suffix, kind):
    outcome = process(made(suffix, kind, (1, 1)), Recipe.from_options(["blur"], "png"), suffix)
    assert outcome.data is not None
    assert readers.png(outcome.data).shape[:2] == (1, 1)
