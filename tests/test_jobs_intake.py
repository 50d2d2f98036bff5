"""What a request means: folders, roots, output, nonce, and what is left when the job has ended."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from imgpipe import limits, storage
from imgpipe.errors import ProtocolError, UsageError
from imgpipe.imaging.operations import Step
from imgpipe.imaging.recipe import Recipe
from imgpipe.jobs import intake
from tests.wires import request

IDENTITY = Recipe.from_options(["identity"])


def understood(tmp_path: Path, **changes: Any) -> intake.Plan:
    return intake.understand("jobjobjob1", request(**changes), storage.Roots({"r": bytes(tmp_path)}))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    return tmp_path / "photos"


@pytest.mark.parametrize("slash", [b"", b"/", b"//"])
def test_a_folder_means_itself_and_output_goes_beside_it(tmp_path: Path, photos: Path, slash: bytes) -> None:
    plan = understood(tmp_path, source=bytes(photos) + slash)
    assert (plan.source.path, plan.output.path) == (bytes(photos), bytes(tmp_path / "output_dir"))
    constants = plan.spec.constants
    assert (constants.source_root, constants.source, constants.output) == ("r", b"photos", b"output_dir")
    assert plan.nesting == storage.Nesting()


def test_a_base_that_holds_input_dir_means_that(tmp_path: Path, photos: Path) -> None:
    (photos / "input_dir").mkdir()
    plan = understood(tmp_path, source=bytes(photos))
    assert (plan.source.relative, plan.output.relative) == (b"photos/input_dir", b"photos/output_dir")


def test_an_output_inside_source_is_not_listed(tmp_path: Path, photos: Path) -> None:
    plan = understood(tmp_path, source=bytes(photos), output=bytes(photos / "a" / "b"))
    assert plan.nesting == storage.Nesting(output=b"a/b")


@pytest.mark.parametrize(
    "recipe",
    [
        (),
        IDENTITY.array()[:-1],
        replace(IDENTITY, quality=0).array(),
        replace(IDENTITY, name="../{stem}{ext}").array(),
        ("x",),
    ],
)
def test_what_is_no_recipe_is_the_peers_fault(tmp_path: Path, photos: Path, recipe: Any) -> None:
    with pytest.raises(ProtocolError, match="recipe"):
        understood(tmp_path, source=bytes(photos), recipe=recipe)


def test_an_operation_only_workers_have_is_passed_on(tmp_path: Path, photos: Path) -> None:
    recipe = Recipe((Step("theirs", 3),)).array()
    assert understood(tmp_path, source=bytes(photos), recipe=recipe).spec.operations == ("theirs",)


def test_a_recipe_too_large_to_be_sent_on_is_the_peers_fault(tmp_path: Path, photos: Path) -> None:
    steps = tuple(Step("x", 1, (("p", "y" * 10_000),)) for _ in range(limits.RECIPE_MAX // 10_000 + 1))
    with pytest.raises(ProtocolError, match="recipe"):
        understood(tmp_path, source=bytes(photos), recipe=Recipe(steps).array())


@pytest.mark.parametrize("patterns", [("[a",), ("",), ("\udcff*",)])
@pytest.mark.parametrize("field", ["include", "exclude"])
def test_a_wrong_pattern_is_said_before_any_work(
    tmp_path: Path, photos: Path, field: str, patterns: tuple[str, ...]
) -> None:
    with pytest.raises(UsageError, match="pattern"):
        understood(tmp_path, source=bytes(photos), **{field: patterns})


def test_samples_are_what_is_there_now(tmp_path: Path, photos: Path) -> None:
    (photos / "a.jpg").write_bytes(b"123")
    plan = understood(tmp_path, source=bytes(photos))
    assert intake.sampled(plan, [b"gone.jpg", b"a.jpg", b"no/b.jpg"]) == [(b"a.jpg", 3)]
    photos.rename(tmp_path / "elsewhere")
    assert intake.sampled(plan, [b"a.jpg"]) == []


def test_an_unreadable_source_says_so(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/")
    with pytest.raises(UsageError, match="links below a root are not followed"):
        understood(tmp_path, source=bytes(tmp_path / "link"))


def test_preparing_makes_the_output_and_puts_the_nonce_there(tmp_path: Path, photos: Path) -> None:
    plan = understood(tmp_path, source=bytes(photos), output=bytes(tmp_path / "a" / "b"))
    intake.prepare(plan)
    nonce = tmp_path / "a" / "b" / ".imgpipe-jobjobjob1"
    assert nonce.read_bytes() == bytes(photos)
    intake.clean(plan, [])
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_an_output_that_cannot_be_made_is_a_usage_error(tmp_path: Path, photos: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    plan = understood(tmp_path, source=bytes(photos), output=bytes(tmp_path / "file" / "out"))
    with pytest.raises(UsageError, match="cannot write to the output"):
        intake.prepare(plan)


def test_cleaning_removes_by_name_what_was_written_off_and_nothing_else(tmp_path: Path, photos: Path) -> None:
    recipe = Recipe.from_options(["identity"], "webp").array()
    plan = understood(tmp_path, source=bytes(photos), output=bytes(tmp_path / "out"), recipe=recipe)
    intake.prepare(plan)
    (tmp_path / "out" / "deep").mkdir()
    left = [tmp_path / "out" / "deep" / f".imgpipe-jobjobjob1-{attempt}.tmp" for attempt in (5, 6)]
    other = [tmp_path / "out" / ".imgpipe-anotherjob-5.tmp", tmp_path / "out" / "done.webp"]
    for file in (*left, *other):
        file.touch()
    intake.clean(plan, [(b"deep/a.jpg", 5), (b"deep/b.jpg", 6), (b"never/c.jpg", 7)])
    assert sorted(path for path in (tmp_path / "out").rglob("*") if path.is_file()) == sorted(other)


def test_cleaning_a_folder_that_is_gone_is_not_an_error(tmp_path: Path, photos: Path) -> None:
    plan = understood(tmp_path, source=bytes(photos))
    intake.clean(plan, [(b"a.jpg", 1)])


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [(b"/a", b"/a", True), (b"/a", b"/a/b", True), (b"/a/b", b"/a", True), (b"/a", b"/ab", False)],
)
def test_outputs_overlap_where_one_lies_in_the_other(one: bytes, other: bytes, expected: bool) -> None:
    assert intake.overlaps(one, other) is expected
