"""Edges, against SciPy's derivatives and Canny's detector written out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from scipy import ndimage

from imgpipe.imaging.operations import find
from imgpipe.imaging.pixels import WHITE
from tests.witness import SHAPES, agree, grey, picture, smooth, unit

depths = pytest.mark.parametrize("depth", WHITE)
PHOTOGRAPH = min(
    (Path(__file__).parent.parent / "data" / "input").glob("*.png"), key=lambda p: p.stat().st_size
)

# Binomial smoothing and derivatives: those of 3, widened by (1, 2, 1) again and again.
SMOOTH = {1: [1], 3: [1, 2, 1], 5: [1, 4, 6, 4, 1], 7: [1, 6, 15, 20, 15, 6, 1]}
FIRST = {3: [-1, 0, 1], 5: [-1, -2, 0, 2, 1], 7: [-1, -4, -5, 0, 5, 4, 1]}
SECOND = {3: [1, -2, 1], 5: [1, 0, -2, 0, 1], 7: [1, 2, -1, -4, -1, 2, 1]}


def test_the_kernels_above_come_from_those_of_three():
    for size in (5, 7):
        for table in (SMOOTH, FIRST, SECOND):
            assert np.convolve(table[size - 2], [1, 2, 1]).tolist() == table[size]


def convolved(values, kernel):
    """By a kernel divided by half of the sum of its absolute weights."""
    kernel = np.array(kernel, float)
    return ndimage.correlate(values, kernel / (np.abs(kernel).sum() / 2), mode="mirror")


def gradient(direction, aperture):
    kernel = np.outer(SMOOTH[aperture], FIRST[aperture])

    def slope(values):
        across, down = convolved(grey(values), kernel), convolved(grey(values), kernel.T)
        return np.abs({"horizontal": across, "vertical": down, "both": np.hypot(across, down)}[direction])

    return slope


@depths
@pytest.mark.parametrize("direction", ["horizontal", "vertical", "both"])
@pytest.mark.parametrize("aperture", [3, 5, 7])
def test_sobel_is_the_gradient(depth, direction, aperture):
    # Grey is rounded before, and so may each of two derivatives be off by one level.
    witness = gradient(direction, aperture)
    agree("sobel", witness, picture, depth, levels=2.5, direction=direction, aperture=aperture)


def laplace(aperture):
    if aperture == 1:
        kernel = np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]])
    else:
        half = np.outer(SMOOTH[aperture], SECOND[aperture])
        kernel = half + half.T
    return lambda values: np.abs(convolved(grey(values), kernel))


@depths
@pytest.mark.parametrize("aperture", [1, 3, 5, 7])
def test_laplacian_is_the_second_derivative(depth, aperture):
    agree("laplacian", laplace(aperture), picture, depth, levels=2.5, aperture=aperture)


@depths
@pytest.mark.parametrize("scale", [0.3, 5.0])
def test_a_scale_multiplies(depth, scale):
    off = 1 + 1.5 * scale
    agree("sobel", lambda v: scale * gradient("both", 3)(v), smooth, depth, levels=off, scale=scale)
    agree("laplacian", lambda v: scale * laplace(1)(v), smooth, depth, levels=off, scale=scale)


@pytest.mark.parametrize("name", ["sobel", "laplacian"])
@pytest.mark.parametrize("depth", WHITE)
def test_the_largest_change_there_can_be_is_white(name, depth):
    image = np.zeros((9, 9), depth)
    white = {"uint8": 255, "uint16": 65535, "float32": 1}[depth]
    if name == "sobel":
        image[:, 5:] = white
    else:
        image[4, 4] = white
    found = find(name)(image)
    assert found.max() == found[4, 4] == white
    assert found[4, 0] == 0


# --- Canny ----------------------------------------------------------------------------------------


def canny(values, low, high, aperture, l2=False):
    """J. Canny's detector on ``(H, W)`` integers, with sectors of 45° and eight neighbours."""
    kernel = np.outer(SMOOTH[aperture], FIRST[aperture])
    x, y = (ndimage.correlate(values.astype(int), k, mode="nearest") for k in (kernel, kernel.T))
    if aperture == 7:  # OpenCV keeps gradients in 16 bits: these it takes, and the thresholds, in sixteenths
        x, y = (np.rint(each / 16).astype(int) for each in (x, y))
        low, high = low / 16, high / 16
    strength = x**2 + y**2 if l2 else abs(x) + abs(y)
    if l2:
        low, high = low**2, high**2
    ridge = _ridge(x, y, np.pad(strength, 1))
    strong, weak = ridge & (strength > high), ridge & (strength > low)
    joined, _ = ndimage.label(weak, np.ones((3, 3)))
    return np.isin(joined, np.unique(joined[strong])) & weak


def _ridge(x, y, around):
    """Where the gradient is not less than before it, and more than behind it; of equals, the first."""

    def at(down, right):
        height, width = x.shape
        return around[1 + down : 1 + down + height, 1 + right : 1 + right + width]

    here, tangent = at(0, 0), np.tan(np.radians(22.5))
    flat, steep = abs(y) < tangent * abs(x), abs(y) > abs(x) / tangent
    horizontal = (here > at(0, -1)) & (here >= at(0, 1))
    vertical = (here > at(-1, 0)) & (here >= at(1, 0))
    falling = (here > at(-1, -1)) & (here > at(1, 1))
    rising = (here > at(-1, 1)) & (here > at(1, -1))
    return np.select([flat, steep, (x < 0) == (y < 0)], [horizontal, vertical, falling], rising)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (8, 1), (13, 11), (40, 33)])
@pytest.mark.parametrize("make", [picture, smooth])
@pytest.mark.parametrize(
    ("low", "high", "aperture", "l2"),
    [(100, 200, 3, False), (60, 150, 5, True), (0, 0, 3, True), (900, 4000, 7, True)],
)
def test_canny_is_the_detector_written_out(shape, make, low, high, aperture, l2):
    image = make(shape)
    found = find("canny")(image, low=float(low), high=float(high), aperture=aperture, l2=l2)
    assert np.array_equal(found > 0, canny(image, low, high, aperture, l2))
    assert set(np.unique(found)) <= {0, 255}


@pytest.mark.parametrize("depth", ["uint16", "float32"])
def test_canny_sees_every_depth_in_eight_bits(depth):
    image = smooth((40, 33, 3))
    deep = image.astype(np.uint16) * 257 if depth == "uint16" else image.astype(np.float32) / 255
    assert np.array_equal(find("canny")(deep, low=20.0, high=40.0), find("canny")(image, low=20.0, high=40.0))


@depths
@pytest.mark.parametrize("end", [(), (3,), (4,)])
def test_canny_sees_the_brightness_of_every_kind(end, depth):
    image = smooth((41, 33, *end), depth)
    # Grey is rounded twice here: from colours, and to 8 bits.
    bright = np.rint(np.rint(grey(unit(image)) * WHITE[depth]) / WHITE[depth] * 255)
    if depth == "float32":
        bright = np.rint(grey(unit(image)) * 255)
    found = find("canny")(image, low=20.0, high=40.0)
    assert found.shape == (41, 33)
    assert found.dtype == np.uint8
    different = found != canny(bright.astype(int), 20, 40, 3) * 255
    assert different.mean() < (0.02 if end else 1e-9)  # a level of grey, rounded the other way, moves a ridge


@pytest.mark.parametrize("shape", SHAPES)
@depths
def test_edges_of_every_kind_are_those_written_out(shape, depth):
    image = smooth(shape, depth)
    eight = np.rint(unit(image) * 255).astype(np.uint8)
    shown = eight[:, :, :3] if eight.ndim == 3 else np.dstack([eight] * 3)
    assert np.array_equal(find("edges")(image), with_edges(shown))


def test_edges_of_a_photograph_are_those_written_out():
    with Pillow.open(PHOTOGRAPH) as opened:
        image = np.asarray(opened.convert("RGB"))[:256, :256, ::-1].copy()
    expected = with_edges(image)
    green = (expected == (0, 255, 0)).all(axis=2)
    assert 0.001 < green.mean() < 0.9
    assert np.array_equal(find("edges")(image), expected)


def with_edges(image):
    """`edges` of ``(H, W, 3)`` uint8."""
    # BT.601 in 15 bits, and a 3 × 3 mean, both rounded to nearest.
    seen = (image.astype(int) @ np.array([3735, 19235, 9798]) + (1 << 14)) >> 15
    sums = ndimage.correlate(seen, np.ones((3, 3), int), mode="mirror")
    found = canny((sums + 4) // 9, 10, 30, 5)
    expected = image // 2
    expected[found] = (0, 255, 0)
    return expected
