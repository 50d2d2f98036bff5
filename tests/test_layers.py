"""A file imports only from rows below its own: the table of docs/architecture.md, held against the imports."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "imgpipe"
PAGE = (ROOT / "docs" / "architecture.md").read_text()
ROW = re.compile(r"^\| (\d+) \| (.+?) \|", re.MULTILINE)
PURE = (
    "protocol facts schema errors limits machines handshake scheduling records imaging.recipe imaging.operations "
    "imaging.codecs"
).split()
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
        names[name.removesuffix("__init__").rstrip(".")] = path
    return names


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
    assert [name for name in rows() if name not in MODULES] == []


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
        assert below is not None and below < own, f"{name} (row {own}) imports {other} (row {below})"


@pytest.mark.parametrize("name", sorted(n for n in MODULES if any(n == p or n.startswith(p + ".") for p in PURE)))
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


def test_no_cycles_hidden_by_type_checking() -> None:
    for name, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                inside = {ast.unparse(part) for part in node.body}
                assert not any("imgpipe" in words for words in inside), name
