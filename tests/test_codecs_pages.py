"""Pages of TIFF and frames of animations: which are read, what each shows, and how long."""

from __future__ import annotations

import io
import struct
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from imgpipe.errors import ImageError, Kind
from imgpipe.imaging import codecs
from imgpipe.imaging.codecs import Ceiling
from imgpipe.imaging.processing import Outcome, process
from imgpipe.imaging.recipe import Recipe
from tests import encoders, readers
from tests.encoders import chunk, noise, smooth
from tests.judges import rgb

SIZE = (20, 30)
MS = [40, 70, 100, 250]
ANIMATED = ("gif", "webp", "png", "avif")


def film(count: int = 4) -> list[Image.Image]:
    """Few colours, so that a GIF holds them, of one hue, so that colours may be of half the resolution."""
    tiles = [np.random.default_rng(n).integers(0, 4, (5, 6, 1)) * 60 + (0, 25, 50) for n in range(count)]
    return [Image.fromarray(np.kron(tile, np.ones((4, 5, 1))).astype(np.uint8)) for tile in tiles]


def animated(suffix: str, frames: list[Image.Image], **options: Any) -> bytes:
    lossless: dict[str, Any] = {"webp": {"lossless": True}, "avif": {"quality": 100, "subsampling": "4:4:4"}}
    buffer = io.BytesIO()
    options = {"duration": MS[: len(frames)], "loop": 3, **lossless.get(suffix, {}), **options}
    frames[0].save(buffer, suffix.upper(), save_all=True, append_images=frames[1:], **options)
    return buffer.getvalue()


def seen(data: bytes | None, mode: str = "RGB") -> tuple[list[Any], list[float | None], int | None]:
    """Frames, how long each is shown, and how often all are repeated: by Pillow."""
    assert data is not None
    image = Image.open(io.BytesIO(data))
    frames, durations = [], []
    for number in range(getattr(image, "n_frames", 1)):
        image.seek(number)
        image.load()  # WebP says how long only now
        frames.append(np.asarray(image.convert(mode)))
        durations.append(image.info.get("duration"))
    return frames, durations, image.info.get("loop")


def done(data: bytes, suffix: str, target: str | None = None, pages: str = "all") -> Outcome:
    return process(data, replace(Recipe.from_options(["identity"], target, 95), pages=pages), suffix)


# --- which pages --------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [*ANIMATED, "tif"])
def test_first_all_or_error(suffix):
    frames = film()
    pages: list[tuple[Any, dict[str, Any]]] = [(np.asarray(frame), {}) for frame in frames]
    data = encoders.tiff_pages(pages) if suffix == "tif" else animated(suffix, frames)
    first = codecs.decode(data)
    assert len(first.frames) == 1
    assert first.remarks == [("pages", "4 pages or frames, the first was read")]
    every = codecs.decode(data, pages="all")
    assert every.remarks == []
    for found, wanted in zip(every.frames, seen(data)[0] if suffix != "tif" else frames, strict=True):
        assert np.array_equal(rgb(found)[:, :, :3], np.asarray(wanted))
    assert np.array_equal(first.frames[0], every.frames[0])
    with pytest.raises(ImageError, match="4 pages or frames, and the recipe says pages = error"):
        codecs.decode(data, pages="error")


@pytest.mark.parametrize("suffix", [*ANIMATED, "tif"])
def test_the_limits_count_all_that_is_read(suffix):
    pages: list[tuple[Any, dict[str, Any]]] = [(np.asarray(frame), {}) for frame in film()]
    data = encoders.tiff_pages(pages) if suffix == "tif" else animated(suffix, film())
    ceiling = Ceiling(pixels=SIZE[0] * SIZE[1] * 3)
    assert len(codecs.decode(data, ceiling=ceiling).frames) == 1
    for limit in (ceiling, Ceiling(pages=3)):
        with pytest.raises(ImageError) as caught:
            codecs.decode(data, pages="all", ceiling=limit)
        assert caught.value.kind is Kind.TOO_LARGE


@pytest.mark.parametrize("target", ["jpg", "bmp", "ppm", "pam"])
def test_several_pages_do_not_fit_into_a_format_of_one(target):
    outcome = done(animated("gif", film()), "gif", target)
    assert outcome.failure is not None
    assert "holds one page, this has 4: use --pages first" in outcome.failure.message


# --- timing -------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ANIMATED)
@pytest.mark.parametrize("suffix", ANIMATED)
def test_frames_and_timing_come_out_again(suffix, target):
    outcome = done(animated(suffix, film()), suffix, target)
    # Three times: OpenCV neither reads that of an AVIF nor writes it.
    assert [kind for kind, _ in outcome.notes] == ["timing"] * (target == "avif" != suffix)
    frames, durations, loop = seen(outcome.data)
    assert durations == MS
    # A GIF says how often it is repeated, the others how often it is shown.
    shown = 0 if suffix == "avif" else 4 if suffix == "gif" else 3
    assert loop == (None if target == "avif" else max(0, shown - 1) if target == "gif" else shown)
    for found, wanted in zip(frames, film(), strict=True):
        bound = 3 if suffix == "avif" else 0
        assert np.abs(found.astype(int) - wanted).mean() <= {"png": bound, "gif": 20}.get(target, 8)


def test_for_ever_and_once_are_told_apart():
    frames = film(2)
    for loop, wanted in ((0, 0), (None, 1)):
        options = {} if loop is None else {"loop": loop}
        buffer = io.BytesIO()
        frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:], **options)
        assert codecs.decode(buffer.getvalue(), pages="all").loops == wanted
        assert seen(done(buffer.getvalue(), "gif", "png").data)[2] == wanted


def test_tiff_tells_that_it_has_no_timing():
    outcome = done(animated("gif", film()), "gif", "tif")
    assert [kind for kind, _ in outcome.notes] == ["timing"]
    for number, wanted in enumerate(film()):
        assert np.array_equal(readers.tiff(outcome.data or b"", number), np.asarray(wanted))


def test_a_frame_without_a_time_keeps_none_and_one_frame_is_no_animation():
    data = encoders.apng(SIZE, [(noise(4, size=SIZE), 0, 0, 0, 0, 0)])
    found = codecs.decode(data, pages="all")
    assert (len(found.frames), found.durations) == (1, ())
    frames, _, _ = seen(done(data, "png").data, "RGBA")
    assert np.array_equal(frames[0], noise(4, size=SIZE))


# --- pages of TIFF ------------------------------------------------------------------------------


def test_pages_of_differing_size_and_kind_stay_what_they_are():
    given = [noise(1), noise(3, "uint16", (8, 9)), noise(4, size=(50, 7)), noise(1, "float32", (3, 3))]
    data = encoders.tiff_pages([(pixels, {}) for pixels in given])
    found = codecs.decode(data, pages="all")
    for frame, wanted in zip(found.frames, given, strict=True):
        assert frame.dtype == wanted.dtype
        assert np.array_equal(rgb(frame), wanted)
    outcome = done(data, "tif")
    for number, wanted in enumerate(given):
        assert np.array_equal(readers.tiff(outcome.data or b"", number), wanted), number


@pytest.mark.parametrize("channels", [(4, 3, 1), (1, 3, 4), (3, 4, 1, 4)])
def test_each_written_page_says_itself_whether_it_has_alpha(channels):
    given = [noise(count, seed=count) for count in channels]
    data = done(encoders.tiff_pages([(pixels, {}) for pixels in given]), "tif").data or b""
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        extra: list[Any] = [page.extrasamples for page in file.pages]  # type: ignore[union-attr]
    assert extra == [(tifffile.EXTRASAMPLE.UNASSALPHA,) if count == 4 else () for count in channels]
    image = readers.opened(data)
    for number, wanted in enumerate(given):
        image.seek(number)
        assert image.mode == {1: "L", 3: "RGB", 4: "RGBA"}[channels[number]]
        assert np.array_equal(np.asarray(image), wanted)
        assert np.array_equal(readers.tiff(data, number), wanted)


def test_the_largest_page_is_held_against_the_limit():
    data = encoders.tiff_pages([(noise(1, size=(2, 2)), {}), (noise(1, size=(90, 90)), {})])
    assert codecs.inspect(data)[1].frames == 2
    with pytest.raises(ImageError) as caught:
        codecs.decode(data, pages="all", ceiling=Ceiling(pixels=90 * 90))
    assert caught.value.kind is Kind.TOO_LARGE
    assert codecs.decode(data, ceiling=Ceiling(pixels=4)).frames[0].shape == (2, 2)


@pytest.mark.parametrize(
    ("pixels", "options", "reason"),
    [
        (noise(1), {"photometric": 4}, "photometric interpretation 4"),
        (noise(1).astype(np.int8), {"photometric": "minisblack"}, "signed"),
        (noise(2), {"photometric": "minisblack", "planarconfig": "contig"}, "differ"),
    ],
    ids=["mask", "signed", "differing"],
)
def test_a_page_that_cannot_be_read_spoils_only_itself(pixels, options, reason):
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        writer.write(noise(3), photometric="rgb", metadata=None)
        writer.write(pixels, metadata=None, **options)
    deep = struct.pack("<HHIHH", 258, 3, 2, 8, 8)  # the depth of two channels
    data = buffer.getvalue().replace(deep, deep[:-2] + b"\7\0")
    found = codecs.decode(data)
    assert np.array_equal(rgb(found.frames[0]), noise(3))
    assert [kind for kind, _ in found.remarks] == ["pages"]
    with pytest.raises(ImageError, match=f"not supported: .*{reason}"):
        codecs.decode(data, pages="all")


def test_a_later_page_that_is_not_all_there_is_told_of_the_file():
    data = encoders.tiff_pages([(noise(3), {}), (noise(3), {})])
    with pytest.raises(ImageError) as caught:
        codecs.decode(data[:-1])
    assert caught.value.kind is Kind.TRUNCATED


@pytest.mark.parametrize("sub", [True, False], ids=["with sub-directories", "without"])
def test_a_small_copy_is_not_taken_for_the_picture_in_its_sub_directory(sub):
    small = noise(3, size=(5, 7))
    pages = [(small, {"subfiletype": 1} | ({"subifds": 1} if sub else {}))]
    data = encoders.tiff_pages([*pages, (noise(3), {"subfiletype": 0})] if sub else pages)
    if not sub:
        assert np.array_equal(rgb(codecs.decode(data).frames[0]), small)
        return
    with pytest.raises(ImageError, match=r"not supported: .* in a sub-directory"):
        codecs.decode(data)


def test_pages_of_reduced_resolution_are_no_pages():
    given = noise(3), noise(3, seed=2)
    small: tuple[Any, dict[str, Any]] = (noise(3, size=(5, 7)), {"subfiletype": 1})
    for pages in (
        [(given[0], {}), small],
        [small, (given[0], {})],
        [(given[0], {}), small, (given[1], {}), small],
    ):
        found = codecs.decode(encoders.tiff_pages(pages), pages="all")
        wanted = given[: len(found.frames)]
        assert len(found.frames) == sum("subfiletype" not in options for _, options in pages)
        assert all(np.array_equal(rgb(f), w) for f, w in zip(found.frames, wanted, strict=True))
        assert np.array_equal(rgb(codecs.decode(encoders.tiff_pages(pages)).frames[0]), given[0])


def test_sub_directories_are_no_pages():
    data = encoders.tiff_pages([(noise(3), {"subifds": 1}), (noise(3, size=(5, 7)), {"subfiletype": 1})])
    found = codecs.decode(data, pages="all")
    assert [frame.shape for frame in found.frames] == [(20, 30, 3)]


def test_directories_in_a_circle_are_refused():
    data = bytearray(encoders.tiff_pages([(noise(1), {}), (noise(1), {})]))
    first = struct.unpack_from("<I", data, 4)[0]
    count = struct.unpack_from("<H", data, first)[0]
    second = struct.unpack_from("<I", data, first + 2 + 12 * count)[0]
    count = struct.unpack_from("<H", data, second)[0]
    struct.pack_into("<I", data, second + 2 + 12 * count, first)
    with pytest.raises(ImageError, match="go round in a circle"):
        codecs.decode(bytes(data), pages="all")


# --- frames of animated PNGs --------------------------------------------------------------------


def shown(canvas: tuple[int, int], frames: Any) -> list[Any]:
    """What PNG (Third Edition), 11.3.6.2, says is to be seen at each frame."""
    depth = frames[0][0].dtype
    white = encoders.WHITE[str(depth)]
    buffer, result = np.zeros((*canvas, 4)), []
    for number, (pixels, left, top, _, disposal, blend) in enumerate(frames):
        previous = buffer.copy()
        place = buffer[top : top + pixels.shape[0], left : left + pixels.shape[1]]
        place[:] = _over(pixels / white, place) if blend else pixels / white
        buffer = np.rint(buffer * white) / white
        result.append(np.rint(buffer * white).astype(depth))
        place = buffer[top : top + pixels.shape[0], left : left + pixels.shape[1]]
        if disposal == 1 or (disposal == 2 and number == 0):
            place[:] = 0
        elif disposal == 2:
            buffer = previous
    return result


def _over(top: Any, below: Any) -> Any:
    """In premultiplied colours."""
    alpha = top[:, :, 3:] + below[:, :, 3:] * (1 - top[:, :, 3:])
    colours = top[:, :, :3] * top[:, :, 3:] + below[:, :, :3] * below[:, :, 3:] * (1 - top[:, :, 3:])
    return np.concatenate([colours / np.where(alpha > 0, alpha, 1), alpha], axis=2)


def check_apng(frames: Any, default: Any = None) -> None:
    data = encoders.apng(SIZE, frames, default=default)
    found = codecs.decode(data, pages="all")
    assert found.durations == (tuple(frame[3] for frame in frames) if len(frames) > 1 else ())
    for picture, wanted in zip(found.frames, shown(SIZE, frames), strict=True):
        assert picture.dtype == wanted.dtype
        off = np.abs(visible(with_alpha(rgb(picture))).astype(int) - visible(wanted))
        assert off.max() <= 1


def with_alpha(pixels: Any) -> Any:
    """Alpha is left out where the whole animation is opaque."""
    if pixels.shape[2] == 4:
        return pixels
    return np.dstack([pixels, np.full(pixels.shape[:2], encoders.WHITE[str(pixels.dtype)], pixels.dtype)])


def frame(seed: int, *, alpha: str = "any", depth: str = "uint8", size: tuple[int, int] = SIZE) -> Any:
    pixels = noise(4, depth, size, seed)
    white = int(encoders.WHITE[depth])
    if alpha != "any":
        pixels[:, :, 3] = white if alpha == "opaque" else np.where(pixels[:, :, 3] > white // 2, white, 0)
    return pixels


@pytest.mark.parametrize(("target", "lost"), [("tif", []), ("png", ["depth"])])
def test_depth_of_a_later_page_is_told_where_it_is_lost(target, lost):
    data = encoders.tiff_pages([(noise(3), {}), (noise(3, "uint16"), {})])
    assert [kind for kind, _ in done(data, "tif", target).notes] == lost
    assert [kind for kind, _ in done(data, "tif", target, "first").notes] == ["pages"]


def test_what_is_not_read_of_a_later_page_is_told_once_and_where_it_is_read():
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as file:
        for channels, photometric in ((3, "rgb"), (4, "separated"), (4, "separated")):
            file.write(noise(channels), photometric=photometric, metadata=None)
    data = buffer.getvalue()
    assert [kind for kind, _ in done(data, "tif").notes] == ["colours"]
    assert [kind for kind, _ in done(data, "tif", pages="first").notes] == ["pages"]


@pytest.mark.parametrize("depth", ["uint8", "uint16"])
@pytest.mark.parametrize("blend", [0, 1], ids=["source", "over"])
@pytest.mark.parametrize("disposal", [0, 1, 2], ids=["none", "background", "previous"])
def test_disposal_and_blending(disposal, blend, depth):
    whole = (frame(1, depth=depth), 0, 0, 40, disposal, 0)
    parts = [(frame(n, depth=depth, size=(9, 11)), n, 2 * n, 10 * n, disposal, blend) for n in (2, 3, 4)]
    check_apng([whole, *parts])


def test_a_default_picture_that_is_no_frame():
    default, frames = frame(9), [(frame(n), 0, 0, 50, 0, 0) for n in (1, 2)]
    check_apng(frames, default)
    data = encoders.apng(SIZE, frames, default=default)
    assert np.array_equal(rgb(codecs.decode(data).frames[0]), default)
    assert done(data, "png", pages="first").notes == (("pages", "3 pages or frames, the first was read"),)


def test_one_frame_beside_a_default_picture():
    """Browsers show the frame, readers of plain PNG the picture: `first` is that, `all` are the frames."""
    default, only = frame(9), frame(1)
    data = encoders.apng(SIZE, [(only, 0, 0, 50, 0, 0)], default=default)
    assert np.array_equal(rgb(codecs.decode(data).frames[0]), default)
    assert [kind for kind, _ in done(data, "png", pages="first").notes] == ["pages"]
    (found,) = codecs.decode(data, pages="all").frames
    assert np.array_equal(visible(rgb(found)), visible(only))
    ((again,), _, _) = seen(done(data, "png").data, "RGBA")
    assert np.array_equal(again, readers.by_pillow(encoders.png(visible(only))))


@settings(max_examples=40)
@given(st.data())
def test_any_animated_png_shows_what_the_specification_says(data):
    def one(number: int) -> Any:
        height, width = SIZE if number == 0 else (data.draw(st.integers(1, n)) for n in SIZE)
        left, top = (data.draw(st.integers(0, n)) for n in (SIZE[1] - width, SIZE[0] - height))
        kind = data.draw(st.sampled_from(["any", "opaque", "either"]))
        options = data.draw(st.integers(0, 2)), data.draw(st.integers(0, 1))
        return (frame(number, alpha=kind, size=(height, width)), left, top, 10 + number, *options)

    check_apng([one(number) for number in range(data.draw(st.integers(1, 4)))])


def test_pillow_and_opencv_see_the_same_where_alpha_is_all_or_nothing():
    frames = [(frame(1, alpha="opaque"), 0, 0, 40, 0, 0)]
    frames += [(frame(n, alpha="either", size=(9, 11)), n, 2 * n, 40, 0, 1) for n in (2, 3, 4)]
    data = encoders.apng(SIZE, frames)
    found = [rgb(picture) for picture in codecs.decode(data, pages="all").frames]
    _, animation = cv2.imdecodeanimation(np.frombuffer(data, np.uint8))
    for picture, pillow, other in zip(found, seen(data)[0], animation.frames, strict=True):
        assert np.array_equal(picture[:, :, :3], pillow)
        assert np.array_equal(picture[:, :, :3], rgb(other)[:, :, :3])


def test_an_animated_png_with_a_palette():
    colours = noise(3, size=(1, 4))[0]
    index = [(np.arange(600).reshape(SIZE) // n % 4).astype(np.uint8) for n in (1, 7)]
    control = [struct.pack(">IIIIIHHBB", n, 30, 20, 0, 0, 1, 10, 0, 0) for n in (0, 1)]
    second = chunk(b"fcTL", control[1])
    second += chunk(b"fdAT", struct.pack(">I", 2) + encoders.png_data(index[1], 2))
    first = chunk(b"acTL", struct.pack(">II", 2, 0)) + chunk(b"fcTL", control[0])
    data = encoders.png(index[0], bits=2, palette=colours, between=first, after=second)
    found = codecs.decode(data, pages="all")
    assert found.durations == (100, 100)
    for picture, wanted in zip(found.frames, index, strict=True):
        assert np.array_equal(rgb(picture)[:, :, :3], colours[wanted])


# --- frames of other animations -----------------------------------------------------------------


@pytest.mark.parametrize("disposal", [0, 1, 2, 3])
def test_frames_of_a_gif_with_transparency(disposal):
    frames = [moving(n) for n in range(4)]
    data = animated("gif", frames, disposal=disposal)
    found = codecs.decode(data, pages="all").frames
    for picture, wanted in zip(found, seen(data, "RGBA")[0], strict=True):
        assert np.array_equal(visible(with_alpha(rgb(picture))), visible(wanted))


def moving(number: int) -> Image.Image:
    """A square that moves over nothing."""
    pixels = np.zeros((*SIZE, 4), np.uint8)
    pixels[2 + number : 10 + number, 3 * number : 3 * number + 8] = (250, 60 * number, 20, 255)
    return Image.fromarray(pixels)


def visible(pixels: Any) -> Any:
    """What nobody can see has no colour."""
    return np.where(pixels[:, :, 3:] > 0, pixels, 0)


@pytest.mark.parametrize("count", [1, 2])
def test_a_gif_without_its_trailer_is_whole_and_one_within_a_block_is_not(count):
    noisy = np.arange(600).reshape(SIZE) % 7, noise(3, size=(1, 256))[0]
    whole = encoders.gif(SIZE, [(*noisy, 0, 0, 1, -1)] * 2)
    assert codecs.decode(whole, pages="all").remarks == []
    ends = [len(whole) - 1, whole.rindex(b"!\xf9")]  # after each frame; a control comes before the second
    data = whole[: ends[-count]]
    found = codecs.decode(data, pages="all")
    assert [kind for kind, _ in found.remarks] == ["warning"]
    assert len(found.frames) == count
    wanted = np.asarray(readers.opened(data).convert("RGB"))
    assert np.array_equal(rgb(found.frames[0])[:, :, :3], wanted)
    with pytest.raises(ImageError) as caught:
        codecs.decode(data[:-1], pages="all")
    assert caught.value.kind is Kind.TRUNCATED


def gif_shown(frames: Any) -> list[Any]:
    """As browsers do it: the canvas is transparent at first, and where a frame is cleared.

    Pillow fills it with the colour of a background, if nothing in the file is transparent.
    """
    canvas, result = np.zeros((*SIZE, 4), np.uint8), []
    for index, colours, left, top, disposal, hidden in frames:
        before = canvas.copy()
        place = np.s_[top : top + index.shape[0], left : left + index.shape[1]]
        opaque = np.dstack([colours[index], np.full(index.shape, 255)])
        canvas[place] = np.where((index == hidden)[:, :, np.newaxis], canvas[place], opaque)
        result.append(canvas.copy())
        if disposal == 2:
            canvas[place] = 0
        elif disposal == 3:
            canvas = before
    return result


@settings(max_examples=40)
@given(st.data())
def test_any_gif_shows_what_browsers_show(data):
    def one(number: int) -> Any:
        height, width = (data.draw(st.integers(1, n)) for n in SIZE)
        left, top = (data.draw(st.integers(0, n)) for n in (SIZE[1] - width, SIZE[0] - height))
        rng = np.random.default_rng(number)
        index, colours = rng.integers(0, 6, (height, width)), rng.integers(0, 256, (256, 3))
        return index, colours, left, top, data.draw(st.integers(0, 3)), data.draw(st.sampled_from([-1, 0, 5]))

    frames = [one(number) for number in range(data.draw(st.integers(1, 4)))]
    made = encoders.gif(SIZE, frames)
    found = codecs.decode(made, pages="all").frames
    for picture, wanted in zip(found, gif_shown(frames), strict=True):
        assert np.array_equal(visible(with_alpha(rgb(picture))), wanted)
    first = codecs.decode(made).frames[0]
    assert np.array_equal(visible(with_alpha(rgb(first))), gif_shown(frames)[0])


def test_pillow_sees_the_same_gif_where_it_is_covered():
    frames = [(np.arange(600).reshape(SIZE) % 7, noise(3, size=(1, 256))[0], 0, 0, 1, -1)]
    frames += [(np.arange(35).reshape(5, 7) % n, frames[0][1], n, 2 * n, 1, 0) for n in (3, 4, 5)]
    made = encoders.gif(SIZE, frames)
    found = codecs.decode(made, pages="all")
    assert found.durations == (50,) * 4
    for picture, wanted in zip(found.frames, seen(made)[0], strict=True):
        assert np.array_equal(rgb(picture)[:, :, :3], wanted)


@pytest.mark.parametrize("suffix", ["webp", "avif"])
def test_frames_of_webp_and_avif_with_transparency(suffix):
    frames = [moving(n) for n in range(4)]
    data = animated(suffix, frames)
    found = codecs.decode(data, pages="all").frames
    for picture, wanted in zip(found, seen(data, "RGBA")[0], strict=True):
        assert np.abs(visible(with_alpha(rgb(picture))).astype(int) - visible(wanted)).max() <= 2


@pytest.mark.parametrize("target", ["webp", "png"])
def test_transparency_of_frames_comes_out_again(target):
    outcome = done(animated("gif", [moving(n) for n in range(4)], disposal=2), "gif", target)
    for found, number in zip(seen(outcome.data, "RGBA")[0], range(4), strict=True):
        wanted = np.asarray(moving(number))
        assert np.array_equal(found[:, :, 3], wanted[:, :, 3])


def test_frames_of_16_bits_are_reduced_and_told():
    frames = [(frame(n, depth="uint16"), 0, 0, 40, 0, 0) for n in (1, 2)]
    outcome = done(encoders.apng(SIZE, frames), "png")
    assert [kind for kind, _ in outcome.notes] == ["depth"]
    for found, (pixels, *_) in zip(seen(outcome.data, "RGBA")[0], frames, strict=True):
        assert np.array_equal(found, np.rint(pixels / 257).astype(np.uint8))


def test_steps_apply_to_every_frame():
    recipe = replace(Recipe.from_options(["invert"], "png"), pages="all")
    outcome = process(animated("gif", film()), recipe, "gif")
    for found, wanted in zip(seen(outcome.data)[0], film(), strict=True):
        assert np.array_equal(found, 255 - np.asarray(wanted))


def test_smooth_frames_stay_close_in_lossy_formats():
    frames = [Image.fromarray(np.roll(smooth(3), 8 * n, axis=1)) for n in range(3)]
    for target in ("webp", "avif"):
        outcome = done(animated("webp", frames), "webp", target)
        for found, wanted in zip(seen(outcome.data)[0], frames, strict=True):
            assert np.abs(found.astype(int) - wanted).mean() <= 3
