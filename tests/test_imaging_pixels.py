"""Depth and channels by themselves, and modules that load when they are used."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from imgpipe.imaging.lazy import lazy
from imgpipe.imaging.pixels import (
    BAND,
    WHITE,
    beside_alpha,
    by_bands,
    colour8,
    each_channel,
    joined,
    over_black,
    premultiplied,
    problem,
    weighed,
    with_depth,
)


@pytest.mark.parametrize("source", WHITE)
@pytest.mark.parametrize("target", WHITE)
def test_white_stays_white_and_black_black(source, target):
    image = np.array([[0, WHITE[source]]], source)
    assert with_depth(image, target).tolist() == [[0, WHITE[target]]]


def test_a_byte_survives_more_depth_and_back():
    every = np.arange(256, dtype=np.uint8).reshape(16, 16)
    for depth in WHITE:
        assert np.array_equal(with_depth(with_depth(every, depth), "uint8"), every)


def test_less_depth_rounds_to_nearest():
    every = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    assert np.array_equal(with_depth(every, "uint8"), (every.astype(int) * 2 + 257) // 514)


def test_floats_out_of_range_are_clipped():
    image = np.array([[-1.0, 2.0, np.nan, np.inf]], np.float32)
    assert with_depth(image, "uint8").tolist() == [[0, 255, 0, 255]]


@pytest.mark.parametrize("depth", WHITE)
def test_premultiplying_changes_nothing_that_can_be_seen(depth):
    values = np.random.default_rng(0).random((9, 9, 4))
    values[:, :, 3] = np.maximum(values[:, :, 3], 0.1)
    image = (values * WHITE[depth]).astype(depth)
    assert np.abs(premultiplied(np.copy, image) / 1.0 - image).max() <= 2e-7 * WHITE[depth]


def test_a_filtered_alpha_stays_in_range():
    image = np.full((3, 3, 4), 0.75, np.float32)
    found = premultiplied(lambda weighted: weighted * 2, image)
    assert found[:, :, 3].max() == 1
    assert np.allclose(found[:, :, :3], 0.75)


def test_over_black_gives_the_colours_that_are_seen_and_keeps_alpha():
    image = np.array([[[200, 100, 51, 0], [200, 100, 51, 102], [200, 100, 51, 255]]], np.uint8)
    found = over_black(lambda colours: 255 - colours, image)
    assert (255 - found[:, :, :3]).tolist() == [[[0, 0, 0], [80, 40, 20], [200, 100, 51]]]
    assert found[0, :, 3].tolist() == [0, 102, 255]
    assert found[0, 1].tolist() == [175, 215, 235, 102]


@pytest.mark.parametrize("depth", WHITE)
def test_colours_may_be_mixed_by_alpha_while_alpha_stays_bit_by_bit(depth):
    image = (np.random.default_rng(0).random((9, 9, 4)) * WHITE[depth]).astype(depth)
    found = weighed(lambda pixels: pixels[::-1] * np.float32(0.9), image)
    assert np.array_equal(found[:, :, 3], image[:, :, 3])
    turned = premultiplied(lambda pixels: pixels[::-1] * np.float32(0.9), image)
    assert np.array_equal(found[:, :, :3], turned[:, :, :3])


@pytest.mark.parametrize("shape", [(7, BAND // 2), (BAND * 2 + 1, 1), (3, 4, 3), (2, BAND + 5, 3)])
def test_bands_cover_every_row_once(shape):
    image = np.random.default_rng(0).integers(0, 255, shape, np.uint8)
    sizes = []

    def counted(band):
        sizes.append(len(band))
        return band + 1

    found = by_bands(counted, image)
    assert np.array_equal(found, image + 1)
    assert sum(sizes) == shape[0]
    assert max(sizes) * shape[1] <= max(BAND, shape[1])


def test_a_band_may_have_other_channels_and_another_depth_than_the_picture():
    image = np.ones((BAND, 3, 3), np.uint8)
    found = by_bands(lambda band: band[:, :, 0].astype(np.float32), image)
    assert found.shape == (BAND, 3)
    assert found.dtype == np.float32


def test_each_channel_is_done_by_itself():
    image = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    found = each_channel(image, lambda channel: channel - channel.min())
    assert np.array_equal(found, image - np.arange(4))


def test_alpha_is_put_back_beside_grey_too():
    image = np.random.default_rng(0).integers(0, 255, (5, 6, 4), np.uint8)
    found = beside_alpha(lambda colours: colours[:, :, 0], image)
    assert np.array_equal(found, joined(image[:, :, 0], image[:, :, 3]))
    assert np.array_equal(found[:, :, 3], image[:, :, 3])
    assert np.array_equal(found[:, :, 2], image[:, :, 0])


def test_colour8_drops_alpha_and_depth():
    image = np.full((2, 2, 4), 65535, np.uint16)
    assert np.array_equal(colour8(image), np.full((2, 2, 3), 255, np.uint8))


@pytest.mark.parametrize("shape", [(2, 2), (2, 2, 3), (1, 1, 4)])
def test_an_image_has_no_problem(shape):
    assert problem(np.zeros(shape, np.uint8)) == ""


def test_a_lazy_module_is_loaded_by_its_first_attribute():
    code = """if True:
        import sys
        from imgpipe.imaging.lazy import lazy
        module = lazy("colorsys")
        print("ONE_THIRD" in object.__getattribute__(module, "__dict__"), module.ONE_THIRD > 0)
        import colorsys
        print(module is colorsys is lazy("colorsys"))
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True", "True"]


def test_a_lazy_module_that_is_not_installed_is_missed_at_once():
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        lazy("no_such_module")


def test_bands_of_several_images_lie_beside_each_other():
    chance = np.random.default_rng(0)
    one, other = (chance.integers(0, 255, (BAND // 2, 5), np.uint8) for _ in range(2))
    assert np.array_equal(by_bands(np.maximum, one, other), np.maximum(one, other))
