"""The test that packages call for their operations: good ones pass, and of others it says what is wrong."""

from __future__ import annotations

import random as any_random
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Annotated, Any, cast

import numpy as np
import pytest

from imgpipe.errors import ImageError, Kind, UsageError
from imgpipe.imaging.operations import Alpha, Channels, Depth, Doc, Operation, Range, find, operation
from imgpipe.imaging.operations.table import BUILT_IN
from imgpipe.testing import check_declaration, check_operation, drawn_image, drawn_step, standing_in


def install(monkeypatch: pytest.MonkeyPatch, function: Any, **options: Any) -> str:
    """An operation ``sample`` of this function."""

    def sample(image: Any, *, size: Annotated[int, Range(1, 9, odd=True), Doc("a number")] = 3) -> Any:
        return function(image, size)

    sample.__doc__ = options.pop("help", "Does something to the picture.")
    declared: Operation = operation(**{"version": 1, "example": "sample:size=5", **options})(sample)
    monkeypatch.setitem(cast(Any, BUILT_IN), "sample", declared)
    return declared.name


def flat(image: Any, size: int) -> Any:
    """A grey picture whatever it is given."""
    return np.zeros(image.shape[:2], image.dtype)


def spoiled(image: Any, size: int) -> Any:
    image[0, 0] = 0 if image.ravel()[0] else 1
    return image.copy()


def shaky(image: Any, size: int) -> Any:
    return np.full_like(image, any_random.random() * 255)


def half(image: Any, size: int) -> Any:
    return image[: (len(image) + 1) // 2].copy()


def refuse(image: Any, size: int) -> Any:
    raise ImageError(Kind.OPERATION, "not today")


@pytest.mark.parametrize(
    ("function", "options", "said"),
    [
        (spoiled, {}, "its input was changed"),
        (shaky, {}, "it is not deterministic"),
        (lambda image, size: image, {}, "its result is a view of its input"),
        (lambda image, size: image[:, ::-1], {}, "its result is a view of its input"),
        (half, {}, r"its size is \(\d+, \d+\), declared \(\d+, \d+\)"),
        (lambda image, size: image.astype("uint8"), {}, "its depth is uint8, declared uint16"),
        (lambda image, size: image.copy(), {"depth": Depth.EIGHT}, "its depth is uint16, declared uint8"),
        (flat, {}, "it has 1 channels, declared 3"),
        (lambda image, size: image.copy(), {"channels": Channels.GREY}, "it has 3 channels, declared 1"),
        (lambda image, size: flat(image, 1), {"alpha": Alpha.MOVED}, "it has 1 channels|it has no alpha"),
        (lambda image, size: image.astype("float64"), {}, "expected uint8, uint16 or float32 pixels"),
        (lambda image, size: None, {}, "expected an image, got NoneType"),
        (refuse, {}, "sample refuses every image it is given"),
        (np.copy, {"help": "Short."}, "its help is no sentence"),
        (np.copy, {"help": "does it without a capital."}, "its help is no sentence"),
        (np.copy, {"version": 0}, "count from 1"),
        (np.copy, {"example": "blur:size=5"}, "its example is of blur"),
    ],
)
def test_what_is_not_as_declared_is_told(
    function: Any, options: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = install(monkeypatch, function, **options)
    with pytest.raises(AssertionError, match=said):
        check_operation(name)


def test_the_image_and_the_words_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    name = install(monkeypatch, lambda image, size: image if size == 9 else image.copy())
    with pytest.raises(
        AssertionError, match=r"^sample:size=9 of (uint8|uint16|float32) \(\d+, .*: its result is"
    ):
        check_operation(name)


def test_an_example_that_is_none_is_a_usage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="sample: size: expected an odd integer from 1 to 9, got '4'"):
        check_operation(install(monkeypatch, np.copy, example="sample:size=4"))


def test_some_images_may_be_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def colour_only(image: Any, size: int) -> Any:
        return image.copy() if image.ndim == 3 else refuse(image, size)

    check_operation(install(monkeypatch, colour_only))


def test_a_result_that_would_be_huge_is_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def larger(image: Any, size: int) -> Any:
        assert size < 9
        return np.repeat(image, size, axis=1)

    def wide(width: int, height: int, *, size: int) -> tuple[int, int]:
        return (width * size if size < 9 else 10**9), height

    check_operation(install(monkeypatch, larger, size=wide, alpha=Alpha.MOVED))


def test_what_is_drawn_is_repeatable_and_varied() -> None:
    one, other = ([drawn_image(random, "uint16", 4) for _ in range(3)] for random in (Random(5), Random(5)))
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
    assert len({image.shape for image in one}) > 1
    canny = find("canny")
    example = check_declaration(canny)
    random = Random(1)
    drawn = {drawn_step(canny, example, random) for _ in range(50)}
    found = {pair for step in drawn for pair in step.parameters}
    assert {("low", 0.0), ("high", 100_000.0), ("aperture", 7), ("l2", True), ("l2", False)} <= found


def test_a_file_that_an_example_names_is_there(tmp_path: Path) -> None:
    class File(bytes):
        """As the kind of a parameter that is a file; what it means is not asked for here."""

    parameter = type("Declared", (), {"name": "image", "kind": File})()
    fake = type("Declared", (), {"example": "mark:image=logo.png", "parameters": (parameter,)})()
    with standing_in(cast(Any, fake), tmp_path):
        data = Path("logo.png").read_bytes()
    assert data.startswith(b"\x89PNG")
    assert list(tmp_path.iterdir()) == [tmp_path / "logo.png"]


def test_it_needs_no_test_framework() -> None:
    code = """if True:
        import sys
        from imgpipe.testing import check_operation
        check_operation("blur", rounds=1)
        print([name for name in ("pytest", "hypothesis", "scipy") if name in sys.modules])
    """
    done = subprocess.run([sys.executable, "-O", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
