"""Recipe files: mistakes are told by file, step and field, and nothing else ever escapes."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from imgpipe.errors import UsageError
from imgpipe.imaging.recipe import Recipe


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[[stepp]]",
            r"unknown table 'stepp' .did you mean 'step'.*expected \[\[step\]\], \[input\] and \[output\]",
        ),
        ("step = 1", r"step: expected tables \[\[step\]\], got 1"),
        ("step = [1]", "step 1: op: expected the name of an operation"),
        ("[[step]]\nsize = 3", "step 1: op: expected the name of an operation"),
        (
            '[[step]]\nop = "edges"\n[[step]]\nop = "blurr"',
            "step 2: unknown operation 'blurr' .did you mean 'blur'",
        ),
        ('[[step]]\nop = "blur"\nsiz = 3', "step 1: blur: unknown parameter 'siz' .did you mean 'size'"),
        (
            '[[step]]\nop = "blur"\nsize = 2.5',
            "step 1: blur: size: expected an integer from 1 to 999, got 2.5",
        ),
        (
            '[[step]]\nop = "blur"\nsize = "3"',
            "step 1: blur: size: expected an integer from 1 to 999, got '3'",
        ),
        ('[[step]]\nop = "canny"\nl2 = 1', "step 1: canny: l2: expected true or false, got 1"),
        ('[[step]]\nop = "edges"\n' * 65, "step: expected at most 64 steps, got 65"),
        ("output = 3", r"output: expected a table \[output\], got 3"),
        ("[output]\nqualty = 3", "output: unknown field 'qualty' .did you mean 'quality'"),
        ("[output]\nquality = 101", "output: quality: expected an integer from 1 to 100, got 101"),
        ('[output]\nformat = "pngg"', "output: format: expected one of .*got 'pngg' .did you mean 'png'"),
        ("[output]\nformat = 3", "output: format: expected one of .*got 3"),
        (
            "[output]\nmetadata = 'stirp'",
            "output: metadata: expected keep or strip, got 'stirp' .did you mean 'strip'",
        ),
        ("[output]\nmetadata = true", "output: metadata: expected keep or strip, got True"),
        ("[output]\nname = '{dir}/{stm}{ext}'", "output: name: unknown field {stm} .did you mean 'stem'"),
        ("[output]\nname = '/{stem}{ext}'", "output: name: expected the name of a file below the output"),
        ("[output]\npages = 'all'", r"output: pages belongs to the table \[input\]"),
        ("[output]\nsize = 3", "output: unknown field 'size'; expected format, quality, name and metadata"),
        ("input = []", r"input: expected a table \[input\], got \[\]"),
        (
            "[input]\npages = 'al'",
            "input: pages: expected first or all or error, got 'al' .did you mean 'all'",
        ),
        ("[input]\npages = 1", "input: pages: expected first or all or error, got 1"),
        ("[input]\nstrict = 1", "input: strict: expected true or false, got 1"),
        ("[input]\nmax-pixels = -1", "input: max-pixels: expected an integer from 0 to .*, got -1"),
        ("[input]\nmax-pixels = 1e6", "input: max-pixels: expected an integer from 0 to .*, got 1000000.0"),
        ("[input]\nmax_pixels = 1", "input: unknown field 'max_pixels' .did you mean 'max-pixels'"),
        ("[input]\nformat = 'png'", r"input: format belongs to the table \[output\]"),
        ("[[step", "line 1|end of document"),
        pytest.param("step = " + "[" * 100_000, "nested too deep", id="deep"),
        pytest.param("x = 0x" + "f" * 5000, "an integer of more than 64 bits", id="hexadecimal"),
        pytest.param("x = " + "9" * 5000, "4300 digits", id="decimal"),
        ("[[step]]\nop = 'blur'\nsize = 9223372036854775808", "an integer of more than 64 bits"),
    ],
)
def test_a_wrong_file_is_refused_by_file_step_and_field(text, message):
    with pytest.raises(UsageError, match=rf"^my\.toml: .*({message})"):
        Recipe.from_toml(text, "my.toml")


TOKENS = """
step op output input format quality name strict pages max-pixels size l2 blur canny resize edges png 800x keep
{stem}{ext} true nan inf -0.0 1e999 1_0 0xffffffffffffffffff 1979-05-27 07:32:00 [output] [[step]]
[ ] [[ ]] { } = . , # \\ é " '
"""
words = st.sampled_from([*TOKENS.split(), "\n", "\0", "\ud800", '"""', "[[step]]\nop = 'blur'\n"])


@given(
    st.text(max_size=60)
    | st.lists(words, max_size=30).map("".join)
    | st.lists(words, max_size=20).map(" ".join)
)
@example("[" * 100_000)
@example("a = {b = " * 5000)
def test_only_a_usage_error_escapes(text: str) -> None:
    try:
        recipe = Recipe.from_toml(text, "my.toml")
    except UsageError as error:
        assert str(error).startswith("my.toml: ")  # noqa: PT017  # most examples are wrong, not all
    else:
        assert Recipe.from_array(recipe.array()) == recipe


scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.dates() | st.times()
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner)
)


def toml(value: object) -> str:
    """Any value in TOML's inline form, tables and lists included."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str) or value is None:
        return '"' + "".join(f"\\U{ord(c):08x}" for c in value or "") + '"'
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml(key)} = {toml(one)}" for key, one in value.items()) + "}"
    return str(value)


@given(
    st.sampled_from(
        ["format", "quality", "name", "metadata", "pages", "strict", "luma", "max-pixels", "zzz"]
    ),
    st.sampled_from(["input", "output", "step"]),
    values,
)
def test_any_value_anywhere_is_taken_or_refused_by_name(key: str, table: str, value: object) -> None:
    for text in (f"{table} = {toml(value)}", f"[{table}]\n{key} = {toml(value)}"):
        try:
            Recipe.from_toml(text, "my.toml")
        except UsageError as error:
            assert str(error).startswith("my.toml: ")  # noqa: PT017


@given(st.sampled_from(["blur", "canny", "resize", "rotate", "flip"]), st.text(max_size=4), values)
def test_any_value_of_a_parameter_is_taken_or_refused_by_step(name: str, key: str, value: object) -> None:
    for parameter in (key, "size", "angle", "l2", "low"):
        text = f'[[step]]\nop = "{name}"\n{toml(parameter)} = {toml(value)}'
        try:
            Recipe.from_toml(text, "my.toml")
        except UsageError as error:
            assert str(error).startswith("my.toml: ")  # noqa: PT017
