"""What is said of one picture. Pillow and tifffile write the pictures."""

from __future__ import annotations

import io

import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow

from imgpipe import limits
from imgpipe.trial.looking import Look, glance, look


def encoded(picture: Pillow.Image, format_: str, **options) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format_, **options)
    return buffer.getvalue()


def told(found: Look) -> tuple[int, int, str, list[str]]:
    return found.width, found.height, found.format, list(found.traits)


def turned() -> bytes:
    exif = Pillow.Exif()
    exif[0x0112] = 6
    return encoded(Pillow.new("RGB", (40, 20)), "JPEG", exif=exif)


def sixteen_bits() -> bytes:
    return encoded(Pillow.fromarray(np.zeros((20, 30), np.uint16)), "PNG")


def frames() -> bytes:
    pages = [Pillow.new("RGB", (30, 20), colour) for colour in ("red", "blue", "green")]
    return encoded(pages[0], "GIF", save_all=True, append_images=pages[1:])


@pytest.mark.parametrize(
    ("data", "suffix", "expected"),
    [
        (encoded(Pillow.new("RGB", (30, 20)), "PNG"), "png", (30, 20, "PNG", [])),
        (encoded(Pillow.new("RGBA", (30, 20)), "PNG"), "png", (30, 20, "PNG", ["alpha"])),
        (encoded(Pillow.new("CMYK", (30, 20)), "JPEG"), "jpg", (30, 20, "JPEG", ["CMYK"])),
        (sixteen_bits(), "png", (30, 20, "PNG", ["16 bit", "grey"])),
        (turned(), "jpg", (20, 40, "JPEG", ["orientation 6"])),
        (frames(), "gif", (30, 20, "GIF", ["several frames"])),
    ],
)
def test_size_format_and_traits(data: bytes, suffix: str, expected: tuple[int, int, str, list[str]]):
    found = look(data, suffix, 64)
    assert told(found) == told(glance(data, "why")) == expected
    assert found.size == len(data)
    assert found.problem == ""
    assert found.image is not None
    assert max(found.image.shape) <= 64
    assert glance(data, "why").problem == "why"


def test_upright_pixels():
    found = look(turned(), "jpg", 64)
    assert found.image is not None
    assert found.image.shape == (40, 20, 3)


def test_notes_are_about_the_thumbnail_alone():
    assert look(encoded(Pillow.new("RGB", (9, 9)), "JPEG"), "png", 64).notes == []
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, np.array([[-1, 0.5], [1, 3]], np.float32))
    found = look(buffer.getvalue(), "tif", 64)
    assert told(found) == (2, 2, "TIFF", ["float", "grey"])
    assert found.notes == ["values from -1 to 3, shown as black to white"]


def test_a_large_picture_is_reduced():
    found = look(encoded(Pillow.new("RGB", (900, 300), "white"), "JPEG"), "jpg", 90)
    assert found.image is not None
    assert found.image.shape == (30, 90, 3)


@pytest.mark.parametrize("data", [b"", b"no picture", sixteen_bits()[:-30]])
def test_what_cannot_be_shown_says_why(data: bytes):
    found = look(data, "png", 64)
    assert found.image is None
    assert found.problem.startswith("cannot be shown: ")
    assert glance(data, "why").problem == "cannot be shown"


def test_the_limit_of_pixels_may_be_raised_by_the_recipe(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "PIXELS_MAX", 100)
    data = encoded(Pillow.new("RGB", (30, 20)), "PNG")
    assert "too_large" in look(data, "png", 64).problem
    assert look(data, "png", 64, pixels_max=600).problem == ""
