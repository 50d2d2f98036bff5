"""Morphology, against SciPy, and by the laws it must obey."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from imgpipe.imaging.operations import find
from imgpipe.imaging.operations.shape import element
from imgpipe.imaging.pixels import WHITE
from tests.witness import agree, per_channel, picture, unit

depths = pytest.mark.parametrize("depth", WHITE)
elements = pytest.mark.parametrize(
    ("size", "form", "times"), [(1, "rectangle", 1), (3, "cross", 2), (5, "ellipse", 1), (51, "rectangle", 3)]
)


def grown(values, size, form, times):
    for _ in range(times):
        values = ndimage.grey_dilation(values, footprint=element(size, form), mode="constant", cval=-np.inf)
    return values


def shrunk(values, size, form, times):
    for _ in range(times):
        values = ndimage.grey_erosion(values, footprint=element(size, form), mode="constant", cval=np.inf)
    return values


WITNESSES = {
    "dilate": grown,
    "erode": shrunk,
    "open": lambda values, *element: grown(shrunk(values, *element), *element),
    "close": lambda values, *element: shrunk(grown(values, *element), *element),
    "top-hat": lambda values, *element: values - grown(shrunk(values, *element), *element),
    "black-hat": lambda values, *element: shrunk(grown(values, *element), *element) - values,
}


@depths
@elements
@pytest.mark.parametrize("name", WITNESSES)
def test_it_is_scipys(name, depth, size, form, times):
    witness = per_channel(lambda values: WITNESSES[name](values, size, form, times))
    agree(name, witness, picture, depth, size=size, shape=form, iterations=times)


@pytest.mark.parametrize("name", ["dilate", "erode", "open", "close"])
@pytest.mark.parametrize("depth", WHITE)
def test_every_value_is_one_there_was(name, depth):
    image = picture((13, 11), depth)
    assert np.isin(find(name)(image, size=5, shape="ellipse"), image).all()


def test_elements_have_their_forms():
    assert element(3, "ellipse").tolist() == element(3, "cross").tolist() == [[0, 1, 0], [1, 1, 1], [0, 1, 0]]
    assert element(5, "ellipse").tolist() == [
        [0, 0, 1, 0, 0],
        [0, 1, 1, 1, 0],
        [1, 1, 1, 1, 1],
        [0, 1, 1, 1, 0],
        [0, 0, 1, 0, 0],
    ]
    assert element(5, "rectangle").all()
    assert element(51, "ellipse").sum() == pytest.approx(np.pi * 25**2, rel=0.01)


sides = st.integers(1, 9).map(lambda half: 2 * half - 1)
forms = st.sampled_from(["rectangle", "ellipse", "cross"])


@settings(max_examples=30)
@given(sides, forms, st.sampled_from([(9, 8), (5, 7, 3)]), st.integers(0, 9))
def test_opening_and_closing_obey_their_laws(size, form, shape, seed):
    image = picture(shape, seed=seed)
    opened, closed = (find(name)(image, size=size, shape=form) for name in ("open", "close"))
    assert (opened <= image).all()
    assert (closed >= image).all()
    assert np.array_equal(find("open")(opened, size=size, shape=form), opened)
    assert np.array_equal(find("close")(closed, size=size, shape=form), closed)
    negative = find("dilate")(255 - image, size=size, shape=form)
    assert np.array_equal(255 - negative, find("erode")(image, size=size, shape=form))


@pytest.mark.parametrize("name", ["dilate", "erode", "open", "close"])
def test_an_even_colour_is_kept_while_alpha_grows_and_shrinks(name):
    image = picture((13, 11, 4))
    image[:, :, :3] = (10, 200, 90)
    hidden = image[:, :, 3] == 0
    image[hidden, :3] = 255  # not to be seen, and not to come forth
    found = find(name)(image, size=3)
    seen = found[:, :, 3] > 0
    assert (found[seen][:, :3] == (10, 200, 90)).all()
    alone = find(name)(np.ascontiguousarray(image[:, :, 3]), size=3)
    assert np.array_equal(found[:, :, 3], alone)


def test_the_hats_of_an_opaque_picture_are_opaque():
    image = picture((13, 11, 4))
    image[:, :, 3] = 255
    for name in ("top-hat", "black-hat"):
        found = find(name)(image)
        assert (found[:, :, 3] == 255).all()
        assert np.array_equal(found[:, :, :3], find(name)(np.ascontiguousarray(image[:, :, :3])))
        assert unit(found)[:, :, :3].max() > 0
