"""JPEGs that are reduced while they are decoded look as good as those that are not.

The measure is the mean SSIM on luma (Z. Wang et al., *Image quality assessment: from error visibility to
structural similarity*, 2004), written out here, against Pillow's Lanczos reduction of the full picture. Of a
photograph it is at most `WORSE` below that of the full path, of patterns that no photograph has at most
`WORSE_OF_PATTERNS`; and it is at least `GOOD` where that of the full path is.
"""

from __future__ import annotations

import io
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from imgpipe.imaging import codecs
from imgpipe.imaging.codecs.containers import jpeg
from imgpipe.imaging.codecs.reducing import FACTORS, MARGIN, reduction
from imgpipe.imaging.operations import find
from imgpipe.imaging.processing import process
from imgpipe.imaging.recipe import Recipe
from tests import encoders, readers
from tests.encoders import segment, smooth

PHOTOGRAPHS = sorted((Path(__file__).parent.parent / "data" / "input").glob("*.*"))
WORSE, WORSE_OF_PATTERNS, GOOD = 0.0075, 0.02, 0.97
SIZE = (1024, 768)


def ssim(one: Any, other: Any) -> float:
    """Mean over all windows of 11×11, Gaussian of σ 1.5, that lie within the picture; K1 0.01, K2 0.03."""

    def mean(values: Any) -> Any:
        return ndimage.gaussian_filter(values, 1.5, radius=5)[5:-5, 5:-5]

    x, y = one.astype(float), other.astype(float)
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mx, my = mean(x), mean(y)
    vx, vy, cov = mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my
    return float(((2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))).mean())


def luma(data: bytes | None) -> Any:
    assert data is not None
    return np.asarray(readers.opened(data).convert("L"))


@cache
def photograph(path: Path) -> bytes:
    """Enlarged: what the camera would have given, without more detail than there is."""
    picture = Image.open(path).convert("RGB").resize(SIZE, Image.Resampling.LANCZOS)
    return encoders.by_pillow(picture, "JPEG", quality=90)


@cache
def pattern(name: str) -> bytes:
    y, x = np.mgrid[0 : SIZE[1], 0 : SIZE[0]]
    if name.startswith("zone"):
        distance = (x - SIZE[0] / 2) ** 2 + (y - SIZE[1] / 2) ** 2
        values = 127.5 + 127.5 * np.cos(np.pi * distance / SIZE[0] / int(name[5:]))
    else:  # like text: black or white, in cells of so many pixels
        cell = int(name[5:])
        values = np.random.default_rng(0).integers(0, 2, (y[-1, 0] // cell + 1, x[0, -1] // cell + 1)) * 255
        values = np.kron(values, np.ones((cell, cell)))
    return encoders.by_pillow(values.astype(np.uint8), "JPEG", quality=90)


def compared(data: bytes, side: int) -> tuple[float, float]:
    """SSIM of the full path and of the reduced one; a step before it is enough for the full one."""
    words = f"thumbnail:size={side}"
    full = process(data, Recipe.from_options(["identity", words], "png"), "jpg")
    reduced = process(data, Recipe.from_options([words], "png"), "jpg")
    picture = readers.opened(data).convert("L")
    found = luma(full.data)
    reference = np.asarray(picture.resize(found.shape[::-1], Image.Resampling.LANCZOS))
    return ssim(found, reference), ssim(luma(reduced.data), reference)


def sides() -> list[int]:
    """For each factor the largest longest side that is made with it, where it is worst; and its own size."""
    return [int(SIZE[0] / factor / MARGIN) for factor in FACTORS] + [SIZE[0] // 4]


def check(data: bytes, worse: float) -> None:
    for side in sides():
        full, reduced = compared(data, side)
        assert reduced >= full - worse, side
        assert reduced >= GOOD or full - worse < GOOD, side


# --- quality ------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PHOTOGRAPHS, ids=lambda path: path.stem)
def test_photographs_look_as_good(path):
    check(photograph(path), WORSE)


@pytest.mark.parametrize("name", ["zone 1", "zone 4", "text 2", "text 4", "text 8"])
def test_fine_patterns_look_nearly_as_good(name):
    check(pattern(name), WORSE_OF_PATTERNS)


def test_twelve_megapixels_of_all_photographs():
    whole = Image.new("RGB", (4000, 3000))
    for number, path in enumerate(PHOTOGRAPHS):
        picture = Image.open(path).convert("RGB").resize((1000, 1000))
        whole.paste(picture, (number % 4 * 1000, number // 4 * 1000))
    data = encoders.by_pillow(whole, "JPEG", quality=90)
    full, reduced = compared(data, 256)
    assert reduced >= full - WORSE
    assert reduced >= GOOD


def test_ssim_is_that_of_the_paper():
    one = smooth(1)
    assert ssim(one, one) == 1
    assert ssim(one, 255 - one) < 0
    # Two plain pictures differ in luminance alone: (2ab + C1) / (a² + b² + C1).
    dark, light = np.full((20, 20), 100), np.full((20, 20), 120)
    assert ssim(dark, light) == pytest.approx((2 * 100 * 120 + 6.5025) / (100**2 + 120**2 + 6.5025))


# --- which factor -------------------------------------------------------------------------------


def header(width: int, height: int, turned: int = 1) -> Any:
    data = encoders.by_pillow(Image.new("L", (width, height)), "JPEG")
    return jpeg.header(encoders.with_segments(data, segment(0xE1, b"Exif\0\0" + encoders.exif(turned))))


def thumbnail(side: int) -> Any:
    size_of = find("thumbnail").size
    assert size_of is not None
    return partial(size_of, size=side)


@pytest.mark.parametrize(
    ("width", "height", "side", "factor"),
    [
        (4000, 3000, 256, 8),
        (4000, 3000, 263, 8),
        (4000, 3000, 264, 4),
        (4000, 3000, 500, 8),  # its own size
        (4000, 3000, 501, 4),
        (4000, 3000, 527, 2),
        (4000, 3000, 1052, 2),
        (4000, 3000, 1053, 1),
        (4000, 3001, 100, 1),  # no multiple of 2
        (4001, 3000, 100, 1),
        (4002, 3000, 100, 2),  # of 2 alone
        (4004, 3000, 100, 4),
        (4000, 8, 100, 4),  # an eighth has one row, which is too few to make one of
        (64, 64, 1, 8),
        (8, 8, 256, 1),  # nothing is reduced
    ],
)
def test_the_factor_is_the_largest_that_is_good(width, height, side, factor):
    assert reduction(header(width, height), thumbnail(side)) == factor
    assert reduction(header(width, height, 6), thumbnail(side)) == factor
    assert reduction(header(height, width), thumbnail(side)) == factor


def test_nothing_is_reduced_for_steps_that_do_not_resample():
    assert reduction(header(4000, 3000), None) == 1
    assert Recipe.from_options(["identity", "thumbnail:size=10"]).bind().resampled is None


@pytest.mark.parametrize("kernel", ["nearest", "linear", "cubic", "lanczos"])
def test_nothing_is_reduced_for_a_kernel_that_does_not_average(kernel):
    """``nearest`` picks pixels there are, and Lanczos is asked for by who wants all of its sharpness."""
    assert Recipe.from_options([f"resize:long=10,kernel={kernel}"]).bind().resampled is None
    stored = np.random.default_rng(0).integers(0, 256, (240, 320), np.uint8)
    data = encoders.by_pillow(stored, "JPEG", quality=95)
    both = [process(data, recipe, "jpg").data for recipe in recipes(f"resize:long=40,kernel={kernel}")]
    assert both[0] == both[1]


@pytest.mark.parametrize("words", ["resize:long=10", "resize:long=10,kernel=area", "thumbnail:size=10"])
def test_a_picture_is_reduced_for_kernels_that_average(words):
    resampled = Recipe.from_options([words]).bind().resampled
    assert resampled is not None
    assert resampled(40, 20) == (10, 5)


@pytest.mark.parametrize("turned", range(1, 9))
def test_orientation_is_applied_to_a_reduced_picture_too(turned):
    stored = smooth(3, size=(240, 320))
    data = encoders.with_segments(
        encoders.by_pillow(stored, "JPEG", quality=95), segment(0xE1, b"Exif\0\0" + encoders.exif(turned))
    )
    sizes = [process(data, recipe, "jpg").data or b"" for recipe in recipes("thumbnail:size=38")]
    full, reduced = (np.asarray(readers.opened(data)).astype(int) for data in sizes)
    assert codecs.decode(data, resampled=thumbnail(38)).frames[0].shape[0] < 100
    assert full.shape == reduced.shape == ((38, 28, 3) if turned >= 5 else (28, 38, 3))
    assert np.abs(full - reduced).max() <= 4


def recipes(words: str) -> list[Recipe]:
    return [Recipe.from_options(operations, "png") for operations in (["identity", words], [words])]


@pytest.mark.parametrize(
    "words", ["thumbnail:size=33", "resize:size=33x", "resize:size=x21", "resize:size=40x9"]
)
@pytest.mark.parametrize("width", [*range(320, 337), 400, 501, 777])
def test_the_size_is_that_of_the_full_path(width, words):
    data = encoders.by_pillow(Image.new("L", (width, 248)), "JPEG")
    sizes = [readers.opened(process(data, recipe, "jpg").data or b"").size for recipe in recipes(words)]
    assert sizes[0] == sizes[1]


def test_a_picture_with_a_grey_channel_stays_grey():
    buffer = io.BytesIO()
    Image.fromarray(smooth(1, size=(240, 320))).save(buffer, "JPEG")
    assert codecs.decode(buffer.getvalue(), resampled=thumbnail(38)).frames[0].shape == (60, 80)
