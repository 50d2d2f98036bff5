"""The contact sheet: what thumbnails show, and that everything lies where there is room for it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image as Pillow

from imgpipe import limits
from imgpipe.imaging.sheet import Cell, Side, draw, layout_of, thumbnail, value_range

RNG = np.random.default_rng(0)


def noise(*shape: int) -> np.ndarray:
    return RNG.integers(0, 256, shape, np.uint8)


# --- thumbnails ---------------------------------------------------------------------------------


def test_it_is_reduced_by_area_as_pillow_does_it():
    image = noise(96, 64, 3)
    expected = np.asarray(Pillow.fromarray(image).reduce(2))
    assert np.abs(thumbnail(image, 48).astype(int) - expected).max() <= 1


def test_a_picture_that_fits_stays_as_it_is():
    image = noise(60, 80, 3)
    assert np.array_equal(thumbnail(image, 100), image)
    grey = noise(60, 80)
    assert np.array_equal(thumbnail(grey, 100), np.dstack([grey] * 3))


def test_sixteen_bits_are_scaled():
    image = noise(60, 80, 3)
    assert np.array_equal(thumbnail(image.astype(np.uint16) * 257, 100), image)


def test_floats_are_shown_as_they_are_or_from_their_own_range():
    ramp = np.tile(np.linspace(0, 1, 80, dtype=np.float32), (60, 1))
    expected = np.rint(ramp * 255)
    assert np.array_equal(thumbnail(ramp, 100)[..., 0], expected)
    assert np.abs(thumbnail(ramp * 8 - 2, 100)[..., 0] - expected).max() <= 1
    assert value_range(ramp * 8 - 2) == (-2, 6)


def test_what_is_no_number_is_black():
    image = np.full((50, 50), 0.5, np.float32)
    image[0, 0], image[1, 1] = np.nan, np.inf
    shown = thumbnail(image, 50)
    assert (shown[0, 0, 0], shown[1, 1, 0], shown[2, 2, 0]) == (0, 255, 128)


def test_a_checkerboard_is_seen_through_what_is_transparent():
    image = np.zeros((64, 64, 4), np.uint8)
    image[:, :32] = (10, 20, 30, 255)
    shown = thumbnail(image, 64)
    assert (shown[:, :32] == (10, 20, 30)).all()
    assert set(np.unique(shown[:, 32:])) == {204, 255}
    assert not np.array_equal(shown[0, 32], shown[0, 40])


def test_hidden_colours_do_not_seep_out():
    image = np.zeros((64, 64, 4), np.uint8)
    image[:, ::2] = (0, 0, 255, 0)  # red that nobody sees
    image[:, 1::2] = (0, 0, 0, 255)
    shown = thumbnail(image, 32)
    assert np.array_equal(shown[..., 0], shown[..., 2])


def test_a_picture_of_one_pixel_can_be_seen():
    shown = thumbnail(np.array([[[1, 2, 3]]], np.uint8), 300)
    assert shown.shape == (48, 48, 3)
    assert (shown == (1, 2, 3)).all()


@settings(max_examples=40)
@given(
    st.sampled_from([np.uint8, np.uint16, np.float32]),
    st.integers(1, 90),
    st.integers(1, 90),
    st.sampled_from([(), (3,), (4,)]),
    st.data(),
)
def test_every_picture_fits(dtype, height: int, width: int, channels: tuple[int, ...], data: st.DataObject):
    elements = st.floats(width=32) if dtype is np.float32 else None
    image = data.draw(arrays(dtype, (height, width, *channels), elements=elements, fill=elements))
    with np.errstate(all="ignore"):  # floats of any size
        shown = thumbnail(image, 64)
    assert shown.dtype == np.uint8
    assert shown.shape[2:] == (3,)
    assert max(shown.shape) <= 64


# --- the sheet ----------------------------------------------------------------------------------


def cell(side: int, number: int = 0, *, failed: bool = False) -> Cell:
    long = "a long name " * 20
    before = Side(np.full((side, side, 3), 90, np.uint8), "", (f"before {long}", long))
    after = Side(None, f"failed: {long * 5}", ("after: nothing",)) if failed else before
    return Cell(f"{number} {long}", before, after, [long, long, long], alarm=failed)


@pytest.mark.parametrize("count", [1, 2, 4, 7, 12, 33, limits.TRIED_MAX])
def test_a_sheet_stays_within_its_bounds(count: int):
    side = layout_of(count).side
    page = draw(["heading " * 60] * 3, [cell(side, number) for number in range(count)], ["footing " * 60] * 3)
    assert page.dtype == np.uint8
    assert max(page.shape) <= limits.SHEET_SIDE_MAX
    assert side >= 220


def test_nothing_is_written_outside_of_cells():
    layout = layout_of(4)
    page = draw(["x"], [cell(layout.side, number, failed=number > 1) for number in range(4)], ["x"])
    background = (page == page[0, 0]).all(axis=2)
    assert background[:, :20].all()
    assert background[:, -20:].all()
    between = 24 + layout.width + 12  # the middle of the gap between two columns
    assert background[150:-150, between - 8 : between + 8].all()


def test_pictures_stand_left_and_right():
    side = layout_of(1).side
    red, blue = np.zeros((2, side, side, 3), np.uint8)
    red[:], blue[:] = (0, 0, 255), (255, 0, 0)
    page = draw([], [Cell("name", Side(red), Side(blue))], [])
    is_red, is_blue = ((page == colour).all(axis=2) for colour in ((0, 0, 255), (255, 0, 0)))
    assert is_red.sum() == is_blue.sum() == side * side
    assert np.nonzero(is_red)[1].max() < np.nonzero(is_blue)[1].min()


def test_a_failure_is_seen():
    side = layout_of(1).side
    pages = [draw([], [cell(side, failed=failed)], []) for failed in (False, True)]
    alarmed = [(page[..., 2].astype(int) - page[..., 1] > 100).sum() for page in pages]
    assert alarmed[0] == 0
    assert alarmed[1] > 1000
