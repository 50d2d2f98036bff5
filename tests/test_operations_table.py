"""Declarations that are wrong, and operations of installed packages."""

from __future__ import annotations

import logging
import subprocess
import sys
from typing import Annotated

import numpy as np
import pytest

from imgpipe.errors import UsageError
from imgpipe.imaging.operations import Doc, OneOf, Operation, Range, find, names, operation, parse, table
from imgpipe.imaging.operations.table import BUILT_IN, _installed, _loaded

# --- declarations -------------------------------------------------------------------------------


def undocumented(image, *, size: Annotated[int, Range(1, 3), Doc("side")] = 1): ...
def untyped(image, *, size=1):
    """Has a parameter without a type."""


def unbounded(image, *, size: Annotated[int, Doc("side")] = 1):
    """Has a number without a range."""


def wordless(image, *, size: Annotated[int, Range(1, 3)] = 1):
    """Has a parameter without text."""


def impossible(image, *, size: Annotated[int, Range(1, 3), Doc("side")] = 4):
    """Has a default out of range."""


def positional(image, size: Annotated[int, OneOf(1, 2), Doc("side")] = 1):
    """Has a parameter that is no keyword."""


@pytest.mark.parametrize("wrong", [undocumented, untyped, unbounded, wordless, impossible, positional])
def test_a_wrong_declaration_is_found_where_it_is_made(wrong):
    with pytest.raises(TypeError, match=wrong.__name__):
        operation(version=1, example="x")(wrong)


def test_a_name_may_end_in_an_underscore_and_has_hyphens():
    def top_hat_(image):
        """Does nothing. At length."""

    declared = operation(version=1, example="top-hat")(top_hat_)
    assert (declared.name, declared.help) == ("top-hat", "Does nothing")
    assert isinstance(declared, Operation)


# --- operations of installed packages -----------------------------------------------------------

PLUGIN = '''
from imgpipe.imaging.operations import operation

@operation(version=3, example="twice")
def twice(image):
    """Doubles."""
    return image + image

plain = len
'''
POINTS = """
[imgpipe.operations]
twice = imgpipe_test_plugin:twice
blur = imgpipe_test_plugin:twice
plain = imgpipe_test_plugin:plain
broken = imgpipe_test_broken:anything
"""


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """A directory like site-packages with a package of four entry points, two of them good for nothing."""
    (tmp_path / "imgpipe_test_plugin.py").write_text(PLUGIN)
    (tmp_path / "imgpipe_test_broken.py").write_text("import sys\nsys.exit('no licence')\n")
    meta = tmp_path / "picture_pack-1.5.dist-info"
    meta.mkdir()
    (meta / "METADATA").write_text("Metadata-Version: 2.1\nName: picture-pack\nVersion: 1.5\n")
    (meta / "entry_points.txt").write_text(POINTS)
    monkeypatch.syspath_prepend(str(tmp_path))
    for cache in (_installed, _loaded):
        cache.cache_clear()
    yield
    for cache in (_installed, _loaded):
        cache.cache_clear()
    for module in ("imgpipe_test_plugin", "imgpipe_test_broken"):
        sys.modules.pop(module, None)


def test_an_operation_of_a_package_is_imported_when_it_is_named(packages):
    assert parse("blur").name == "blur"
    assert "twice" in names()
    assert "imgpipe_test_plugin" not in sys.modules
    step = parse("twice")
    assert (step.name, step.version) == ("twice", 3)
    assert "imgpipe_test_plugin" in sys.modules
    assert find("twice")(np.ones((2, 2), np.uint8)).sum() == 8


@pytest.mark.usefixtures("packages")
@pytest.mark.parametrize(("name", "why"), [("broken", "no licence"), ("plain", "no function decorated")])
def test_a_package_that_does_not_load_is_named(name, why):
    with pytest.raises(UsageError, match=rf"{name}.*package picture-pack 1\.5 cannot be loaded.*{why}"):
        find(name)


@pytest.mark.usefixtures("packages")
def test_a_package_that_does_not_load_leaves_the_others_alone(caplog):
    with caplog.at_level(logging.WARNING):
        whole = table()
    assert set(whole) == {*BUILT_IN, "twice"}
    assert "'broken' of package picture-pack 1.5" in caplog.text
    assert "'blur' of package picture-pack 1.5 is not used: the built-in one is" in caplog.text
    assert whole["blur"] is BUILT_IN["blur"]


def test_declarations_load_neither_opencv_nor_numpy():
    code = """if True:
        import sys
        from imgpipe.imaging import codecs, processing, task
        from imgpipe.imaging.operations import table
        from imgpipe.imaging.recipe import Recipe
        recipe = Recipe.from_options(["resize:size=80x", "canny"], "png", 80)
        recipe.bind(), str(recipe), recipe.hash, [str(p) for o in table().values() for p in o.parameters]
        print([m for m in sys.modules if m.startswith(("cv2.", "numpy."))])
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
