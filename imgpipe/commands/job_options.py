"""The options of ``run`` and ``submit``, declared once, and what they ask for.

Everything that can be checked here is, before anyone is connected to: the recipe, the mode, every range.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from imgpipe import api, limits
from imgpipe.commands.base import MODE_NAMES, Number, Whole, checked_by, verbosity
from imgpipe.commands.machine_options import PIXELS
from imgpipe.commands.outcome import say
from imgpipe.errors import UsageError
from imgpipe.imaging.codecs import QUALITY, checked_format
from imgpipe.imaging.naming import FIELDS, MIRRORED, checked_template
from imgpipe.imaging.recipe import DEFAULT, Recipe
from imgpipe.imaging.recipe_toml import METADATA, PAGES, TABLES, keys
from imgpipe.protocol import SubmitRequest
from imgpipe.scheduling.placement import MODES, find
from imgpipe.storage.globs import matcher


@dataclass(frozen=True, slots=True)
class Asked:
    """What a command line asks for: the job, and how to tell of it."""

    request: SubmitRequest
    json: bool = False
    quiet: bool = False


def _read_recipe(file: str) -> Recipe:
    try:
        return Recipe.from_toml(Path(file).read_text("utf-8"), file)
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}; --recipe takes a TOML file") from None
    except UnicodeDecodeError:
        raise UsageError(f"{file}: expected a TOML file, which is text in UTF-8") from None


_FIELDS = ", ".join(f"{{{field}}}" for field in FIELDS)
_TABLES = ", ".join(f"[{table}] with {keys(table)}" for table in TABLES)
_MODES = ". ".join(f"{name}: {MODES[name].help}" for name in MODE_NAMES.split("|"))

OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.argument("source", metavar="SOURCE", callback=checked_by(api.absolute)),
    click.option(
        "-o",
        "--output",
        metavar="DIR",
        callback=checked_by(api.absolute),
        help="Where results go; the tree below SOURCE is mirrored.  [default: output_dir beside SOURCE]",
    ),
    click.option(
        "--mode",
        metavar=MODE_NAMES,
        callback=checked_by(find),
        default=api.MODE,
        show_default=True,
        help=f"How workers are chosen. {_MODES}.",
    ),
    click.option(
        "--op",
        multiple=True,
        metavar="NAME[:k=v,k=v]",
        callback=checked_by(Recipe.from_options),
        help=f"What is done to each image; repeat it, the order is the order of work.  [default: {DEFAULT}]",
    ),
    click.option(
        "-P",
        "--recipe",
        metavar="FILE",
        callback=checked_by(_read_recipe),
        help='The same as a TOML file. A table [[step]] for each --op: op = "blur", size = 5; and tables for '
        f"the options below: {_TABLES}. A flag beats the file.",
    ),
    click.option(
        "--format",
        metavar="SUFFIX",
        callback=checked_by(checked_format),
        help="Of the output: jpg, png, …  [default: the input's]",
    ),
    click.option(
        "--quality",
        type=Whole(1, 100),
        metavar="N",
        help="Of the output, for JPEG, WebP and AVIF; WebP and AVIF of 100 are without loss.  "
        f"[default: {QUALITY}]",
    ),
    click.option(
        "--name",
        metavar="TEMPLATE",
        callback=checked_by(checked_template),
        help=f"Of the output, below its directory. {_FIELDS} stand for folder, stem, whole name and new "
        f"suffix: {{dir}}/{{stem}}-small{{ext}}.  [default: {MIRRORED}]",
    ),
    click.option(
        "--metadata",
        type=click.Choice(METADATA),
        help=f"Whether EXIF, colour profile, XMP and IPTC are carried over.  [default: {METADATA[0]}]",
    ),
    click.option(
        "--pages",
        type=click.Choice(PAGES),
        help="Of files with several pages or frames: the first, all, or none of them and the image fails.  "
        f"[default: {PAGES[0]}]",
    ),
    click.option(
        "--strict/--no-strict",
        default=None,
        help="What a decoder warns of is a failure.",
    ),
    click.option(
        "--luma/--no-luma",
        default=None,
        help="Where the first operation needs brightness alone, decode JPEGs in grey: faster, and values may "
        "differ by 1.",
    ),
    click.option(
        "--max-pixels",
        type=PIXELS,
        metavar="N",
        help="Pictures with more pixels, all frames together, are refused. It only lowers what a worker "
        f"allows; `run` raises that too.  [default: the worker's, usually {limits.PIXELS_MAX}]",
    ),
    click.option(
        "--include",
        multiple=True,
        metavar="GLOB",
        callback=checked_by(matcher),
        help="Only these, by name, or by path if it holds a /.",
    ),
    click.option(
        "--exclude",
        multiple=True,
        metavar="GLOB",
        callback=checked_by(matcher),
        help="Not these, even where included.",
    ),
    click.option(
        "--existing",
        type=click.Choice(["skip", "redo", "error"]),
        default=api.EXISTING,
        show_default=True,
        help="An output that is already current. It needs the ledger: until then every run redoes.",
    ),
    click.option(
        "--retries",
        type=Whole(0, 1000),
        metavar="N",
        default=api.RETRIES,
        show_default=True,
        help="Tries after the first, for an image whose process crashed, timed out or ran out of memory.",
    ),
    click.option(
        "--timeout",
        type=Number(0, 10_000_000, min_open=True),
        default=api.TIMEOUT_S,
        show_default=True,
        metavar="S",
        help="Seconds for one image, from its start in a process.",
    ),
    click.option(
        "--priority",
        type=Whole(-1_000_000, 1_000_000),
        metavar="N",
        default=0,
        show_default=True,
        help="Jobs with a higher number go first.",
    ),
    click.option("-n", "--dry-run", is_flag=True, help="Print what would be done; touch nothing."),
    click.option("--list-ignored", is_flag=True, help="Name the entries that are no images, and why."),
    click.option("--json", is_flag=True, help="An object a line on stdout, the summary last."),
    click.option("-q", "--quiet", is_flag=True, is_eager=True, help="Say less."),
    verbosity,
)


def job_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: the command takes every option of a job, and is called with `Asked` first."""

    @functools.wraps(function)
    def asking(
        source: str,
        output: str | None,
        json: bool,
        quiet: bool,
        timeout: float,
        **options: Any,
    ) -> Any:
        own = {name: options.pop(name) for name in _OWN}
        given = {name: options.pop(name) for name in _RECIPE} | {"pixels_max": options.pop("max_pixels")}
        words, file = options.pop("op"), options.pop("recipe")
        recipe = _recipe(words, file, given)
        if given["format"] and not (words or file or quiet):
            say(f"no --op: {DEFAULT}, the default, is done; --op identity would only convert the images")
        request = api.request(source, output, recipe=recipe, timeout_s=timeout, **own)
        return function(Asked(request, json, quiet), **options)

    for option in reversed(OPTIONS):
        asking = option(asking)
    return asking


def fixed(*anew: str, **values: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator above `job_options`: ``values`` are no options of the command, these are what they are.

    Those in ``anew`` are no options either, until they are declared again above this.
    """

    def without(function: Callable[..., Any]) -> Callable[..., Any]:
        gone = {*anew, *values}
        narrowed = functools.wraps(function)(functools.partial(function, **values))
        options: list[click.Parameter] = vars(function)["__click_params__"]
        vars(narrowed)["__click_params__"] = [option for option in options if option.name not in gone]
        return narrowed

    return without


_OWN = ("mode", "include", "exclude", "existing", "retries", "priority", "dry_run", "list_ignored")
_RECIPE = ("format", "quality", "name", "metadata", "pages", "strict", "luma")


def _recipe(words: tuple[str, ...], file: str | None, options: dict[str, Any]) -> Recipe:
    if file is not None and words:
        raise UsageError("--op and --recipe both say what is done to each image: give one of them")
    recipe = Recipe.from_options(words) if file is None else _read_recipe(file)
    return recipe.changed(**{name: value for name, value in options.items() if value is not None})
