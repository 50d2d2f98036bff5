"""Writing GIF: what Pillow reads of it, and OpenCV, is what was to be written."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageSequence

from imgpipe.imaging import codecs
from imgpipe.imaging.codecs import Picture, gif_writing
from imgpipe.imaging.codecs.containers import gif
from tests.colours import colours, decibels

RNG = np.random.default_rng(0)


@dataclass
class Read:
    """What Pillow finds: frames ``(H, W, 4)`` BGRA, ms, repeats (None: it is not repeated)."""

    frames: list[Any]
    durations: list[int]
    repeats: int | None


def by_pillow(data):
    frames, durations = [], []
    with Image.open(io.BytesIO(data)) as picture:
        repeats = picture.info.get("loop")
        for frame in ImageSequence.Iterator(picture):
            frames.append(np.array(frame.convert("RGBA"))[:, :, [2, 1, 0, 3]])
            durations.append(frame.info.get("duration", 0))
    return Read(frames, durations, repeats)


def by_opencv(data):
    read, frames = cv2.imdecodemulti(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert read
    return frames


def visible(image):
    """BGRA; what is not seen has no colour."""
    if image.shape[2] == 3:
        image = np.dstack([image, np.full(image.shape[:2], 255, np.uint8)])
    return np.where(image[:, :, 3:] > 0, image, 0)


def written(*frames, durations=None, loops=0):
    """The bytes, once both readers have found in them what went in."""
    data, remarks = gif_writing.encode(frames, durations or [100] * len(frames), loops)
    assert remarks == []
    for found in (by_pillow(data).frames, by_opencv(data)):
        assert len(found) == len(frames)
        for one, frame in zip(found, frames, strict=True):
            assert np.array_equal(visible(one), visible(frame))
    return data


def of_colours(count, height=24, width=32, alpha=False, seed=0):
    """Every one of so many colours, in no order; some pixels are not seen."""
    rng = np.random.default_rng(seed)
    numbers = np.resize(np.arange(count), height * width)
    rng.shuffle(numbers)
    image = colours(count, seed)[numbers].reshape(height, width, 3)
    if not alpha:
        return image
    return np.dstack([image, np.where(rng.random((height, width)) < 0.3, 0, 255).astype(np.uint8)])


# --- pixels -------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8, 9, 16, 17, 32, 33, 64, 65, 128, 129, 255, 256])
def test_up_to_256_colours_come_back(count):
    written(of_colours(count))


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 8, 127, 128, 254, 255])
def test_up_to_255_colours_and_transparency_come_back(count):
    written(of_colours(count, alpha=True))


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (2, 2), (1, 65_535), (65_535, 1)])
@pytest.mark.parametrize("alpha", [False, True])
def test_sizes(shape, alpha):
    height, width = shape
    written(of_colours(min(200, height * width), height, width, alpha))


@pytest.mark.parametrize("count", [1, 2, 256])
def test_runs_and_noise_through_many_dictionaries(count):
    written(of_colours(count, 300, 300))


def test_a_picture_of_nothing_is_one_of_nothing():
    data = written(np.zeros((5, 6, 4), np.uint8))
    assert codecs.decode(data).frames[0].shape == (5, 6, 4)


frames_of_one_size = st.tuples(
    st.integers(1, 12),  # height
    st.integers(1, 12),  # width
    st.integers(1, 5),  # colours
    st.integers(1, 4),  # frames
    st.sampled_from([0.0, 0.1, 0.9, 1.0]),  # how much of a frame is as it was
    st.sampled_from([None, 0.0, 0.1, 0.5, 1.0]),  # how much is not seen, if anything may be
    st.integers(0, 2**32 - 1),
)


@settings(max_examples=150)
@given(frames_of_one_size)
def test_any_frames_of_few_colours_come_back(case):
    height, width, count, number, same, unseen, seed = case
    rng = np.random.default_rng(seed)
    palette, frames = rng.integers(0, 256, (count, 3), np.uint8), []
    image = palette[rng.integers(0, count, (height, width))]
    for _ in range(number):
        fresh = palette[rng.integers(0, count, (height, width))]
        image = np.where(rng.random((height, width, 1)) < same, image, fresh)
        alpha = np.where(rng.random((height, width)) < (unseen or 0), 0, 255).astype(np.uint8)
        frames.append(image if unseen is None else np.dstack([image, alpha]))
    written(*frames)


# --- animation ----------------------------------------------------------------------------------


def test_frames_with_palettes_of_their_own():
    written(*(of_colours(256, seed=seed) for seed in range(4)))


def test_a_frame_that_is_seen_whole_among_others_that_are_not():
    whole = np.dstack([of_colours(9), np.full((24, 32), 255, np.uint8)])
    written(whole, of_colours(9, alpha=True, seed=1), whole, np.zeros_like(whole), of_colours(9, alpha=True))


def test_only_what_has_changed_is_written():
    still, moving = of_colours(256, 200, 200), of_colours(256, 200, 200)
    moving[50:53, 70:80] = 7
    moved = moving.copy()
    moved[199, 199] = 9
    alone = len(written(still))
    assert len(written(still, still, moving, moved)) < alone + 1000


@pytest.mark.parametrize(("loops", "repeats"), [(0, 0), (1, None), (2, 1), (5, 4), (65_536, 65_535)])
def test_how_often_it_is_shown(loops, repeats):
    data = written(of_colours(4), of_colours(5), loops=loops)
    assert by_pillow(data).repeats == repeats
    assert gif.header(data).loops == loops


def test_more_repeats_than_there_are_is_the_most():
    assert gif.header(written(of_colours(4), of_colours(5), loops=2**31)).loops == 65_536


def test_a_single_frame_is_no_animation():
    data = written(of_colours(4, alpha=True), durations=[70], loops=0)
    assert by_pillow(data).durations == [0]
    assert by_pillow(data).repeats is None


@pytest.mark.parametrize(
    ("durations", "told"),
    [
        ([100, 50, 0], [100, 50, 0]),
        ([33, 33, 34], [30, 40, 30]),
        ([25, 25, 25, 25], [30, 20, 30, 20]),
        ([1, 1, 28], [10, 10, 10]),  # for no time at all, browsers show a frame for 100 ms
        ([700_000, 100], [655_350, 44_750]),
    ],
)
def test_how_long_a_frame_is_shown(durations, told):
    frames = [of_colours(3, seed=number) for number in range(len(durations))]
    assert by_pillow(written(*frames, durations=durations)).durations == told


@given(st.lists(st.integers(10, 3000), min_size=2, max_size=50))
def test_rounding_does_not_add_up(durations):
    image = np.zeros((1, 1, 3), np.uint8)
    data, _ = gif_writing.encode([image] * len(durations), durations, 0)
    found = gif.header(data).durations
    assert all(abs(one - other) <= 10 for one, other in zip(found, durations, strict=True))
    assert abs(sum(found) - sum(durations)) <= 5


# --- in a recipe --------------------------------------------------------------------------------


def test_a_gif_read_and_written_again_is_as_it_was():
    frames = [of_colours(200, alpha=True, seed=seed) for seed in range(3)]
    data = written(*frames, durations=[40, 50, 60], loops=3)
    again, remarks = codecs.encode(codecs.decode(data, pages="all"), "gif")
    assert remarks == []
    assert by_pillow(again).durations == [40, 50, 60]
    assert by_pillow(again).repeats == 2
    for found, frame in zip(by_pillow(again).frames, frames, strict=True):
        assert np.array_equal(visible(found), visible(frame))


def test_frames_without_times_are_shown_for_a_tenth_of_a_second():
    data, _ = codecs.encode(Picture([of_colours(3), of_colours(4)]), "gif")
    assert gif.header(data).durations == (100, 100)


def test_more_colours_are_reduced_and_told():
    data, remarks = codecs.encode(Picture([of_colours(257)]), "gif")
    assert remarks == [("depth", "reduced to 256 colours: GIF has no more")]
    assert len(np.unique(by_pillow(data).frames[0].reshape(-1, 4), axis=0)) == 256


def test_half_transparency_is_all_or_nothing_and_told():
    image = np.dstack([of_colours(3), np.full((24, 32), 255, np.uint8)])
    image[0, :4, 3] = 0, 127, 128, 254
    data, remarks = codecs.encode(Picture([image]), "gif")
    assert remarks == [("alpha", "transparency became all or nothing: GIF has no more")]
    assert list(by_pillow(data).frames[0][0, :5, 3]) == [0, 0, 255, 255, 255]


def test_a_loss_is_told_once_for_all_frames():
    frames = [of_colours(300, alpha=True, seed=seed) for seed in range(2)]
    for frame in frames:
        frame[0, 0, 3] = 100
    _, remarks = codecs.encode(Picture(frames), "gif")
    assert [kind for kind, _ in remarks] == ["alpha", "depth"]


def test_grey_and_16_bits_and_float_are_written_as_8_bits_of_colour():
    ramp = np.arange(256, dtype=np.uint8).reshape(8, 32)
    for image in (ramp, ramp.astype(np.uint16) * 257, ramp.astype(np.float32) / 255):
        data, _ = codecs.encode(Picture([image]), "gif")
        assert np.array_equal(by_pillow(data).frames[0][:, :, 0], ramp)


def test_a_photograph_in_the_file_is_as_near_as_its_palette():
    smooth = cv2.GaussianBlur(RNG.integers(0, 256, (80, 90, 3), np.uint8), (0, 0), 5)
    wide = cv2.normalize(smooth, smooth.copy(), 0, 255, cv2.NORM_MINMAX)
    data, _ = codecs.encode(Picture([wide]), "gif")
    assert decibels(wide, by_pillow(data).frames[0][:, :, :3]) > 30
    assert np.array_equal(by_pillow(data).frames[0][:, :, :3], by_opencv(data)[0])
