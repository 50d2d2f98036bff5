"""What decoders warn of is told with the image it is about, and with no other."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgpipe import limits
from imgpipe.errors import Kind
from imgpipe.imaging import codecs, processing
from imgpipe.imaging.hearing import Hearing
from imgpipe.imaging.processing import process, run
from imgpipe.imaging.recipe import Recipe
from tests import encoders
from tests.encoders import by_pillow, noise

RECIPE = Recipe.from_options(["identity"])
STRICT = replace(RECIPE, strict=True)
SHOWN_MAX = 340  # 300 characters, and how many lines there were


def tiff(tags: int) -> bytes:
    """A sound TIFF with so many tags that no decoder knows."""
    return encoders.tiff(noise(3), extratags=[(60_000 + n, 3, 1, 1, True) for n in range(tags)])


def jpeg() -> bytes:
    """A JPEG with a few bytes that do not belong there before a marker."""
    data = by_pillow(noise(3), "JPEG")
    at = data.index(b"\xff\xdb")
    return data[:at] + b"garbage" + data[at:]


CLEAN = by_pillow(noise(3), "JPEG")
GARBAGE = "Corrupt JPEG data: 7 extraneous bytes before marker 0xdb"
TAG = "TIFF_Warning TIFFReadDirectory: Unknown field with tag 60000 (0xea60) encountered"


@pytest.fixture
def hearing():
    found = Hearing()
    yield found
    found.close()


def said_while(hearing: Hearing, text: bytes) -> str:
    with hearing.listening():
        os.write(2, text)
    return hearing.said


# --- what decoders say --------------------------------------------------------------------------


@pytest.mark.parametrize(("data", "words"), [(tiff(1), TAG), (jpeg(), GARBAGE)], ids=["tiff", "jpeg"])
def test_a_warning_is_heard_without_time_and_place(hearing, data, words, capfd):
    with hearing.listening():
        codecs.decode(data)
    assert hearing.said == words
    assert capfd.readouterr().err == ""


def test_warnings_are_noted_and_fail_only_where_the_recipe_is_strict(hearing):
    done = run(jpeg(), RECIPE.bind(), "jpg", RECIPE, named="jpg", hearing=hearing)
    assert done.failure is None
    assert done.notes == (("warning", GARBAGE),)
    strict = process(jpeg(), STRICT, "jpg")
    assert strict.data is None
    assert strict.failure is not None
    assert strict.failure.kind is Kind.UNREADABLE
    assert strict.failure.message == f"its decoder warned, and the recipe is strict: {GARBAGE}"
    assert strict.notes == (("warning", GARBAGE),)


def test_what_we_found_ourselves_is_a_warning_like_any_other():
    data = encoders.png(noise(3), before=encoders.chunk(b"tIME", bytes(7))[:-1] + b"?")
    assert process(data, RECIPE, "png").failure is None
    strict = process(data, STRICT, "png")
    assert strict.failure is not None
    assert strict.failure.message.endswith("strict: the checksum of tIME is wrong")
    assert process(CLEAN, STRICT, "jpg").failure is None


def test_two_images_after_each_other_do_not_mix(hearing):
    for data, words in ((tiff(1), TAG), (CLEAN, ""), (jpeg(), GARBAGE), (CLEAN, ""), (tiff(1), TAG)):
        notes = run(data, RECIPE.bind(), "png", RECIPE, hearing=hearing).notes
        assert [text for _, text in notes] == ([words] if words else [])


def test_what_was_said_about_a_picture_that_failed_is_told_with_it(hearing):
    data = encoders.png(noise(3))
    start = data.index(b"IDAT") - 4
    short = encoders.chunk(b"IDAT", encoders.png_data(noise(3), 8)[:200])
    outcome = run(
        data[:start] + short + encoders.chunk(b"IEND"), RECIPE.bind(), "png", RECIPE, hearing=hearing
    )
    assert outcome.failure is not None
    assert outcome.failure.kind is Kind.UNREADABLE
    assert [kind for kind, _ in outcome.notes] == ["warning"]
    assert "libpng error" in outcome.notes[0][1]


def test_strict_recipes_of_several_threads_do_not_mix():
    jobs = [(jpeg(), GARBAGE), (CLEAN, ""), (tiff(1), TAG), (CLEAN, "")] * 10
    with ThreadPoolExecutor(4) as threads:
        outcomes = threads.map(lambda job: process(job[0], STRICT, "jpg"), jobs)
    for outcome, (_, words) in zip(outcomes, jobs, strict=True):
        assert (outcome.failure is not None) == bool(words)
        assert words in "".join(text for kind, text in outcome.notes if kind == "warning")


# --- bounds -------------------------------------------------------------------------------------


def test_140_kilobytes_of_warnings_are_heard_and_told_in_short(hearing, capfd):
    with hearing.listening():
        codecs.decode(tiff(1200))
    assert len(hearing.said) <= SHOWN_MAX
    assert hearing.said.startswith(TAG)
    assert re.search(r"… \(1200 lines\)$", hearing.said)
    assert capfd.readouterr().err == ""


def test_more_than_there_is_room_for_is_lost_and_hurts_nobody(hearing, capfd):
    line = b"a line of forty bytes, and then another\n"
    with hearing.listening():
        for _ in range(2 * limits.WARNINGS_MAX // len(line)):
            try:
                os.write(2, line)
            except OSError:
                break
        else:
            pytest.fail("there was room for everything")
    assert hearing.said.startswith(line.decode().strip())  # then what there was room for of the last one
    assert len(hearing.said) < 2 * len(line)
    assert said_while(hearing, b"the next image\n") == "the next image"
    assert capfd.readouterr().err == ""


def test_the_same_line_is_told_once(hearing):
    assert said_while(hearing, b"one\ntwo\none\n\n  two\n") == "one; two"


@given(st.binary(max_size=2000))
def test_any_bytes_are_told_in_a_short_line(text):
    hearing = Hearing()
    try:
        said = said_while(hearing, text)
        assert len(said) <= SHOWN_MAX
        assert "\n" not in said
        said.encode()
        assert isinstance(hearing.failed or hearing.cut_short, bool)
    finally:
        hearing.close()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"[ WARN:0@12.345] global grfmt_tiff.cpp:123 TIFF_Warning odd\n", "TIFF_Warning odd"),
        (b"[ERROR:3@1.2] global loadsave.cpp:9 imdecode_ no data\n", "imdecode_ no data"),
        (
            b"libpng warning: iCCP: known incorrect sRGB profile\n",
            "libpng warning: iCCP: known incorrect sRGB profile",
        ),
        (b"", ""),
        (b"\n \n", ""),
    ],
)
def test_opencv_s_prefix_is_taken_away(hearing, line, said):
    assert said_while(hearing, line) == said


@pytest.mark.parametrize(
    ("text", "failed", "cut_short"),
    [
        (b"[ERROR:0@1.5] global grfmt_tiff.cpp:152 TIFF_Error ZIPDecode: Decoding error\n", True, False),
        (b"[ WARN:0@1.5] global grfmt_tiff.cpp:123 TIFF_Warning ERROR: odd\n", False, False),
        (b"Corrupt JPEG data: premature end of data segment\n", False, True),
        (b"Premature end of JPEG file\n", False, True),
        (GARBAGE.encode(), False, False),
        (b"", False, False),
    ],
)
def test_an_error_and_an_early_end_are_told_from_warnings(hearing, text, failed, cut_short):
    said_while(hearing, text)
    assert (hearing.failed, hearing.cut_short) == (failed, cut_short)


# --- what became of the picture -----------------------------------------------------------------


def outcome(data, suffix, hearing):
    recipe = Recipe.from_options(["identity"], "png")
    return run(data, recipe.bind(), "png", recipe, named=suffix, hearing=hearing)


def test_a_tiff_that_is_damaged_in_its_middle_is_not_done_in_part(hearing):
    data = bytearray(by_pillow(noise(3), "TIFF", compression="tiff_adobe_deflate"))
    data[len(data) // 2] ^= 0xFF
    found = outcome(bytes(data), "tif", hearing)
    assert found.failure.kind is Kind.UNREADABLE
    assert "damaged: " in found.failure.message


def test_a_jpeg_whose_pixels_are_cut_out_is_truncated_and_not_half_grey(hearing):
    data = by_pillow(noise(3), "JPEG", quality=90)
    found = outcome(data[: len(data) // 2] + b"\xff\xd9", "jpg", hearing)
    assert found.failure.kind is Kind.TRUNCATED


# --- descriptor 2 -------------------------------------------------------------------------------


def test_descriptor_2_is_as_before_also_after_an_exception(hearing, capfd):
    before, open_before = os.fstat(2), len(os.listdir("/proc/self/fd"))
    with pytest.raises(ZeroDivisionError), hearing.listening():
        fails_loudly()
    assert hearing.said == "heard"
    os.write(2, b"shown\n")
    after = os.fstat(2)
    assert (after.st_dev, after.st_ino) == (before.st_dev, before.st_ino)
    assert len(os.listdir("/proc/self/fd")) == open_before
    assert capfd.readouterr().err == "shown\n"


def fails_loudly() -> None:
    os.write(2, b"heard\n")
    raise ZeroDivisionError


def test_a_process_that_listens_keeps_its_own_words():
    """Python's own stderr and that of C go both ways in the right order, in a process of its own."""
    script = (
        "import os, sys\n"
        "from imgpipe.imaging.hearing import Hearing\n"
        "hearing = Hearing()\n"
        "print('before', file=sys.stderr)\n"
        "with hearing.listening():\n"
        "    os.write(2, b'during')\n"
        "print('after', hearing.said, file=sys.stderr)\n"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stderr.splitlines() == ["before", "after during"]


def test_what_an_encoder_says_is_noted_and_fails_nothing(monkeypatch, capfd):
    def talking(*words):
        os.write(2, b"[ERROR:0@0.950] global grfmt.cpp:7 write no room\n")
        return codecs.encode(*words)

    monkeypatch.setattr(processing, "encode", talking)
    outcome = process(CLEAN, STRICT, "jpg")
    assert outcome.data is not None
    assert outcome.notes == (("warning", "its encoder: write no room"),)
    assert capfd.readouterr().err == ""
