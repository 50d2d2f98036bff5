"""Bytes → bytes: whatever the bytes and whatever an operation does, an outcome comes back."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgpipe import limits
from imgpipe.errors import ImageError, Kind, UsageError
from imgpipe.imaging import processing
from imgpipe.imaging.codecs import Ceiling
from imgpipe.imaging.operations import Step
from imgpipe.imaging.processing import prepare, process, run
from imgpipe.imaging.recipe import Program, Recipe

PHOTOGRAPHS = sorted((Path(__file__).parent.parent / "data" / "input").glob("*.*"))
NOISE = np.random.default_rng(0).integers(0, 255, (20, 30, 3), np.uint8)
WRONG: Any = "a text where OpenCV wants a size"
PNG = cv2.imencode(".png", NOISE)[1].tobytes()


def read(data: bytes | None) -> Any:
    assert data is not None
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)


def outcome_of(step: Any, suffix: str = "png") -> Any:
    return run(PNG, Program((("own", step),), colour8=False), suffix, Recipe.from_options())


def test_an_outcome_has_the_result_and_the_time_of_each_stage():
    outcome = process(PNG, Recipe.from_options(["flip", "invert"]), "png")
    assert outcome.failure is None
    assert np.array_equal(read(outcome.data), 255 - np.fliplr(NOISE))
    assert len(outcome.times) == 5
    assert outcome.times[0] == outcome.times[4] == 0


_SHORT = """
import resource
from imgpipe.imaging.processing import process
from imgpipe.imaging.recipe import Recipe
from imgpipe.memory import bound
import cv2, numpy
grey = numpy.full((4000, 4000, 3), 77, numpy.uint8)
data = cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
recipe = Recipe.from_options(["identity"])
cv2.setNumThreads(1)
process(cv2.imencode(".jpg", numpy.zeros((8, 8, 3), numpy.uint8))[1].tobytes(), recipe, "jpg")
bound(85_000_000)
failure = process(data, recipe, "jpg").failure
print(failure.kind, failure.again)
"""


@pytest.mark.parametrize("stage", ["decode", "encode"])
def test_a_fault_of_a_codec_fails_the_picture_alone(stage, monkeypatch):
    def faulty(*words, **options):
        raise OverflowError("number 16711680 does not fit")

    monkeypatch.setattr(processing, stage, faulty)
    failure = process(PNG, Recipe.from_options(["identity"]), "png").failure
    assert failure is not None
    assert (failure.kind, failure.again) == (Kind.UNREADABLE, False)
    said = r"imgpipe's own \(OverflowError at test_processing.py:\d+: number 16711680 does not fit\)"
    assert re.search(said, failure.message)


def test_a_format_that_is_switched_off_is_not_written_either():
    """Not even where nobody asked for it: the output of a PNG that is named .gif."""
    off = Ceiling(off=frozenset({"gif"}))
    failure = process(PNG, Recipe.from_options(["identity"]), "gif", off).failure
    assert failure is not None
    assert (failure.kind, failure.message) == (
        Kind.OPERATION,
        "GIF is switched off on this machine (--without)",
    )
    assert process(PNG, Recipe.from_options(["identity"], "webp"), "gif", off).failure is None


@pytest.mark.parametrize(
    ("ceiling", "why"),
    [
        (Ceiling(off=frozenset({"png"})), "PNG is switched off on this machine (--without)"),
        (Ceiling(pixels=599), "30×20 pixels, at most 599 are read here"),
    ],
)
def test_an_image_within_the_recipe_is_held_to_the_ceiling_too(ceiling, why, tmp_path):
    (tmp_path / "logo.png").write_bytes(PNG)
    recipe = Recipe.from_options([f"watermark:image={tmp_path}/logo.png"])
    small = cv2.imencode(".bmp", NOISE[:5])[1].tobytes()
    assert process(small, recipe, "bmp").failure is None
    failure = process(small, recipe, "bmp", ceiling).failure
    assert failure is not None
    assert failure.kind is Kind.OPERATION
    assert failure.message.startswith(f"watermark: its own image: {why}")


@pytest.mark.slow
def test_a_lack_of_memory_is_told_to_every_engine():
    """The pixels find room, and libjpeg's own buffers do not: OpenCV gives nothing, as for rubbish."""
    found = subprocess.run([sys.executable, "-c", _SHORT], capture_output=True, text=True, check=True)
    assert found.stdout == "too_large True\n"


@pytest.mark.parametrize("kind", [Kind.UNREADABLE, Kind.TRUNCATED, Kind.OPERATION])
def test_a_failure_after_memory_was_refused_is_one_of_memory(kind):
    """As when `imdecode` gives nothing: OpenCV does not say why."""

    def failing(image: Any) -> Any:
        raise ImageError(kind, "no decoder takes it")

    def short_of_memory(image: Any) -> Any:
        with pytest.raises(MemoryError):
            bytearray(1 << 60)
        failing(image)

    short, other = outcome_of(short_of_memory).failure, outcome_of(failing).failure
    assert (short.kind, short.message, short.again) == (Kind.TOO_LARGE, "out of memory", True)
    assert (other.kind, other.message, other.again) == (kind, "no decoder takes it", False)


def test_the_format_of_the_recipe_wins():
    outcome = process(PNG, Recipe.from_options(["identity"], "bmp"), "png")
    assert outcome.data is not None
    assert outcome.data.startswith(b"BM")
    assert np.array_equal(read(outcome.data), NOISE)


@pytest.mark.parametrize("path", PHOTOGRAPHS, ids=lambda path: path.name)
def test_the_default_is_that_of_the_original_from_bytes_to_bytes(path):
    """The expected pixels are computed here, from what semantics says, with plain OpenCV."""
    source: Any = cv2.imread(str(path), cv2.IMREAD_COLOR)
    blurred = cv2.blur(cv2.cvtColor(source, cv2.COLOR_BGR2GRAY), (3, 3))
    edges = cv2.Canny(blurred, 10, 30, apertureSize=5)
    expected: Any = np.uint8(source / 2.0)
    expected[edges != 0] = (0, 255, 0)
    outcome = process(path.read_bytes(), Recipe.from_options(format="png"), path.suffix[1:])
    assert np.array_equal(read(outcome.data), expected)


def test_a_process_is_prepared_for_one_image_at_a_time():
    threads, level = cv2.getNumThreads(), cv2.utils.logging.getLogLevel()
    try:
        prepare()
        assert cv2.getNumThreads() == 1
        assert cv2.utils.logging.getLogLevel() == cv2.utils.logging.LOG_LEVEL_WARNING
    finally:
        cv2.setNumThreads(threads)
        cv2.utils.logging.setLogLevel(level)


def test_quality_reaches_the_codec():
    sizes = [len(process(PNG, Recipe.from_options([], "jpg", q), "png").data or b"") for q in (10, 90)]
    assert 0 < sizes[0] < sizes[1]


@given(st.binary(max_size=200))
def test_any_bytes_have_an_outcome(data):
    outcome = process(data, Recipe.from_options(), "jpg")
    assert outcome.data is None
    assert outcome.failure is not None
    assert outcome.failure.kind in (Kind.UNREADABLE, Kind.TRUNCATED)


def test_a_recipe_that_cannot_be_done_here_is_no_fault_of_the_picture():
    with pytest.raises(UsageError, match="unknown operation"):
        process(PNG, Recipe((Step("nowhere", 1),)), "png")


def raising(error: BaseException) -> Any:
    def step(image: Any) -> Any:
        raise error

    return step


@pytest.mark.parametrize(
    ("step", "kind", "message"),
    [
        (raising(ValueError("not today")), Kind.OPERATION, "own: not today"),
        (raising(KeyError()), Kind.OPERATION, "own: KeyError"),
        (raising(SystemExit(3)), Kind.OPERATION, "own: 3"),
        (raising(RecursionError("deep")), Kind.OPERATION, "own: deep"),
        (raising(MemoryError()), Kind.TOO_LARGE, "out of memory"),
        (raising(ImageError(Kind.TOO_LARGE, "a side of a mile")), Kind.TOO_LARGE, "a side of a mile"),
        (lambda image: None, Kind.OPERATION, "own: expected an image, got NoneType"),
        (lambda image: image[:, :, :2], Kind.OPERATION, r"own: expected shape .* got \(20, 30, 2\)"),
        (lambda image: image.astype(np.int32), Kind.OPERATION, "own: expected uint8, .* got int32"),
        (lambda image: cv2.resize(image, (0, 0)), Kind.OPERATION, "own: OpenCV: "),
        (lambda image: cv2.blur(image, WRONG), Kind.OPERATION, "own: OpenCV: "),
    ],
)
def test_whatever_an_operation_does_is_an_outcome(step, kind, message):
    outcome = outcome_of(step)
    assert outcome.data is None
    assert outcome.failure.kind is kind
    assert outcome.failure.again is (message == "out of memory")
    assert outcome.times[3] == 0
    with pytest.raises(ImageError, match=message):
        raise outcome.failure


def test_only_someone_at_the_keyboard_stops_a_picture():
    with pytest.raises(KeyboardInterrupt):
        outcome_of(raising(KeyboardInterrupt()))


def test_a_message_can_always_be_sent():
    failure = outcome_of(raising(ValueError("\udcff" + "long " * 1000))).failure
    assert len(failure.message) <= limits.TEXT_MAX
    failure.message.encode()


def test_what_the_format_cannot_hold_is_refused():
    outcome = outcome_of(lambda image: np.zeros((1, 20_000, 3), np.uint8), "webp")
    assert outcome.failure.kind is Kind.OPERATION
    assert "WebP holds at most 16383" in outcome.failure.message
    assert (
        outcome_of(lambda image: image, "exe").failure.message == "no codec writes 'exe': choose a --format"
    )
