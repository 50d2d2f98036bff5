"""Arithmetic in bands gives what it gives at once."""

import numpy as np
import pytest

from imgpipe.imaging import pixels
from imgpipe.imaging.codecs import bands
from imgpipe.imaging.codecs.animation import over


@pytest.mark.parametrize("height", [1, 2, 7, 8, 9])
def test_bands_of_any_height_give_what_the_whole_gives(height, monkeypatch):
    chance = np.random.default_rng(height)
    top, below = chance.integers(0, 65536, (2, height, 5, 4), np.uint16)
    whole = over(top, below), pixels.straight(top)
    seen = []

    def noted(one, other):
        seen.append(len(one))
        return over(one, other)

    monkeypatch.setattr(bands, "_PIXELS", 11)  # two rows of five
    found = bands.banded(noted, top, below)
    assert np.array_equal(found, whole[0])
    assert np.array_equal(bands.banded(pixels.straight, top), whole[1])
    assert sum(seen) == height
    assert max(seen) <= 2


def test_a_row_that_is_wider_than_a_band_is_one(monkeypatch):
    monkeypatch.setattr(bands, "_PIXELS", 1)
    image = np.arange(30, dtype=np.uint8).reshape(3, 10)
    assert np.array_equal(bands.banded(lambda rows: 255 - rows, image), 255 - image)
