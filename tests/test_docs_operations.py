"""docs/operations.md is current: its text to the letter, its pictures as far as encoders agree."""

from __future__ import annotations

import re
from typing import Any

import cv2
import numpy as np
import pytest

from imgpipe.imaging.operations import find
from imgpipe.imaging.operations.table import BUILT_IN
from tools import operations_page
from tools.operations_page import FOLDER, PAGE, built_in, pictures, shown

FRESH = "it is not what the declarations say: run `make docs`, and look at the page"
FAMILIES = built_in()
PLACES = [shown(operation) for family in FAMILIES for operation in family.operations]
OF = {operation.name: family for family in FAMILIES for operation in family.operations}


def decoded(data: bytes) -> Any:
    image: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    return image.astype(int)


def test_the_text_is_current() -> None:
    assert PAGE.read_text() == operations_page.page(FAMILIES), FRESH


def test_there_is_a_picture_for_everything_and_no_other() -> None:
    files = {f"{name}.jpg" for place in PLACES for name in (place.before, place.after)}
    assert {path.name for path in FOLDER.iterdir()} == files, FRESH
    assert set(re.findall(r"\]\(operations/(.+?)\)", PAGE.read_text())) == files


def test_the_pictures_are_small_files() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 1_500_000


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_the_pictures_are_current(name: str) -> None:
    family = type(OF[name])(OF[name].title, OF[name].about, (find(name),))
    for file, data in pictures([family]):
        kept, made = decoded((FOLDER / file).read_bytes()), decoded(data)
        assert kept.shape == made.shape, f"{file}: {FRESH}"
        # OpenCV 4 and 5 bring their own JPEG libraries, and may round a filter differently: a level or two.
        assert np.abs(kept - made).mean() < 2, f"{file}: {FRESH}"


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.operation.name)
def test_an_example_shows_something(place: Any) -> None:
    before, after = (decoded((FOLDER / f"{name}.jpg").read_bytes()) for name in (place.before, place.after))
    same = np.array_equal(before, after)
    assert same == (place.operation.name == "identity")


def test_every_link_within_the_page_leads_to_a_heading() -> None:
    text = PAGE.read_text()
    links = set(re.findall(r"\]\(#(.+?)\)", text))
    headings = [heading.lower() for heading in re.findall(r"^#+ (.+)$", text, re.M)]
    assert links == set(BUILT_IN)
    assert all(
        headings.count(link) == 1 for link in links
    )  # a second one of a name would have the anchor name-1


def test_pictures_with_alpha_are_shown_on_chequers() -> None:
    clear = np.zeros((16, 16, 4), np.uint8)
    assert set(np.unique(operations_page.opaque(clear))) == {204, 255}
    solid = np.full((16, 16, 4), 255, np.uint8)
    solid[:, :, :3] = 7
    assert (operations_page.opaque(solid) == 7).all()
