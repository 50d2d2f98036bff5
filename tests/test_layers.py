"""A file imports only from rows below its own: the table of docs/architecture.md, held against the code."""

import ast
import re
from pathlib import Path

import pytest

from imgpipe.scheduling.automaton import TRANSITIONS

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "imgpipe"
PAGE = (ROOT / "docs" / "architecture.md").read_text()
ROW = re.compile(r"^\| (\d+) \| (.+?) \|", re.MULTILINE)
TRANSITION = re.compile(r"^\| ([A-Z]+) \| ([A-Z_]+) \| ([A-Z]+) \| ([a-z ]+?) \| *(first)? *\|$", re.M)
PURE = """
errors limits schema frames rows facts protocol handshake machines scheduling records imaging.operations
imaging.codecs imaging.naming imaging.recipe imaging.recipe_toml imaging.recipe_schema imaging.catalogue
imaging.pixels imaging.sheet imaging.lettering sampling
"""
IMPURE_MODULES = {"asyncio", "socket", "time", "random", "threading", "subprocess", "os"}


def rows() -> dict[str, int]:
    """Module (or folder, for all that is in it) → row, as the page says."""
    found = {}
    for number, cells in ROW.findall(PAGE):
        for word in re.findall(r"`([\w/.]+)`", cells):
            found[word.removesuffix(".py").rstrip("/").replace("/", ".")] = int(number)
    return found


def modules() -> dict[str, Path]:
    names = {}
    for path in PACKAGE.rglob("*.py"):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        name = name.removesuffix("__init__").rstrip(".")
        if path.name != "__init__.py" or imports_something(path):  # others only make a folder a package
            names[name] = path
    return names


def imports_something(path: Path) -> bool:
    nodes = ast.parse(path.read_text()).body
    return any(isinstance(n, ast.Import | ast.ImportFrom) and "imgpipe" in ast.unparse(n) for n in nodes)


MODULES = modules()


def imports(path: Path) -> set[str]:
    """The modules of this package that a file imports anywhere, in functions too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    ours = {name.removeprefix("imgpipe").lstrip(".") for name in found if name.split(".")[0] == "imgpipe"}
    return {resolved(name) for name in ours}


def resolved(name: str) -> str:
    while name and name not in MODULES:
        name = name.rpartition(".")[0]
    return name


def row_of(name: str, table: dict[str, int]) -> int | None:
    while name:
        if name in table:
            return table[name]
        name = name.rpartition(".")[0]
    return None


def test_every_module_has_a_row() -> None:
    table = rows()
    assert [name for name in MODULES if name and row_of(name, table) is None] == []


def test_every_row_names_something() -> None:
    missing = [
        name for name in rows() if name not in MODULES and not (PACKAGE / name.replace(".", "/")).is_dir()
    ]
    assert missing == []


@pytest.mark.parametrize("name", sorted(filter(None, MODULES)))
def test_imports_go_down(name: str) -> None:
    table = rows()
    own = row_of(name, table)
    assert own is not None
    folder = name.rpartition(".")[0] if row_of(name.rpartition(".")[0], table) == own else name
    for other in imports(MODULES[name]):
        below = row_of(other, table)
        if not other or other == folder or other.startswith(folder + "."):
            continue  # the package itself, and files of one folder that is one row
        assert below is not None, f"{name} imports {other}, which has no row"
        assert below < own, f"{name} (row {own}) imports {other} (row {below})"


def is_pure(name: str) -> bool:
    return any(name == pure or name.startswith(pure + ".") for pure in PURE.split())


@pytest.mark.parametrize("name", sorted(filter(is_pure, MODULES)))
def test_pure_modules_import_nothing_impure(name: str) -> None:
    used = set()
    for node in ast.parse(MODULES[name].read_text()).body:
        if isinstance(node, ast.Import):
            used |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            if node.module == "random" and [alias.name for alias in node.names] == ["Random"]:
                continue  # a generator that is given, not the global one
            used.add((node.module or "").split(".")[0])
    assert used & IMPURE_MODULES == set()


def test_there_are_no_cycles() -> None:
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " → ".join((*path, name))
        if name not in done:
            for other in imports(MODULES[name]) - {"", name}:
                visit(other, (*path, name))
            done.add(name)

    for name in filter(None, MODULES):
        visit(name, ())


def test_the_page_has_the_automaton() -> None:
    page = {(a, b): (c, cost, bool(first)) for a, b, c, cost, first in TRANSITION.findall(PAGE)}
    code = {
        (state.name, event.name): (change.target.name, str(change.cost), change.front)
        for (state, event), change in TRANSITIONS.items()
    }
    assert page == code
