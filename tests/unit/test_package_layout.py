"""Rules of the house that a linter does not know; the layers themselves are held by import-linter."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "tradeutils"
FILES = sorted(PACKAGE.rglob("*.py"))

# Where each of these may be imported. A folder stands for the files in it.
HOMES = {
    "ccxt": "exchange/venues/venue.py",
    "cupy": "device/cuda.py",
    "numba": "indicators/",
    "pandas": "frames",
    "redis": "link/address.py",
}
FORBIDDEN = {"pickle", "marshal", "shelve", "dill", "cloudpickle"}
MAX_FILE_LINES = 500  # aim for 400
VAGUE = {"utils", "helpers", "common", "core", "misc", "manager"}


def name(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def imports(tree: ast.Module) -> Iterator[str]:
    """Yield the top level packages that a file imports when it runs, inside functions too."""
    for_types = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if node in for_types:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


@pytest.fixture(scope="module")
def trees() -> dict[str, ast.Module]:
    """Return every file of the package, parsed."""
    return {name(path): ast.parse(path.read_bytes()) for path in FILES}


def test_each_heavy_package_is_imported_in_its_room_alone(trees: dict[str, ast.Module]) -> None:
    """ccxt, redis, pandas, numba and cupy can be replaced by editing one place."""
    strays = [
        f"{file} imports {package}"
        for file, tree in trees.items()
        for package in set(imports(tree))
        if package in HOMES and not file.startswith(HOMES[package])
    ]
    assert strays == []


def test_ccxt_and_redis_are_each_imported_in_one_file(trees: dict[str, ast.Module]) -> None:
    """Where a call leaves for a venue or a server there is one file to read."""
    for package in ("ccxt", "redis"):
        assert len([file for file, tree in trees.items() if package in imports(tree)]) == 1, package


def test_nothing_loads_code_from_data(trees: dict[str, ast.Module]) -> None:
    """Bytes from a cache, a file or a venue are never unpickled, evaluated or executed."""
    found = [f"{file} imports {p}" for file, tree in trees.items() for p in set(imports(tree)) & FORBIDDEN]
    for file, tree in trees.items():
        calls = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
        found += [f"{file} calls {c.id}" for c in calls if isinstance(c, ast.Name) and c.id in {"eval", "exec"}]
    assert found == []


@pytest.mark.parametrize("path", FILES, ids=name)
def test_file_is_understood_at_first_sight(path: Path) -> None:
    """A file has a name that says something, a length that can be read, and a docstring where it has code."""
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source)
    assert path.stem not in VAGUE
    assert len(source.splitlines()) <= MAX_FILE_LINES
    assert ast.get_docstring(tree) or not tree.body


def test_every_public_name_is_described(trees: dict[str, ast.Module]) -> None:
    """What a file exports in ``__all__`` has a docstring, so that ``help`` answers."""
    bare = []
    for file, tree in trees.items():
        exported = {
            element.value
            for node in tree.body
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
            for element in ast.walk(node.value)
            if isinstance(element, ast.Constant)
        }
        definitions = (n for n in tree.body if isinstance(n, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef))
        described = (n for n in definitions if "overload" not in map(ast.unparse, n.decorator_list))
        bare += [f"{file}: {n.name}" for n in described if n.name in exported and not ast.get_docstring(n)]
    assert bare == []
