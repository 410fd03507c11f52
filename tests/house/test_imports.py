"""No circle of imports, those inside functions and for types counted too."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def imports_of(package: Path) -> dict[str, set[str]]:
    """For each module of a package the modules of it that it imports, wherever in its text.

    A package counts as the module that its `__init__.py` is.
    """
    modules = {_name(path, package): path for path in sorted(package.rglob("*.py"))}
    return {name: set(_imported(name, path, modules)) - {name} for name, path in modules.items()}


def _name(path: Path, package: Path) -> str:
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imported(name: str, path: Path, modules: dict[str, Path]) -> Iterator[str]:
    for statement in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(statement, ast.Import):
            yield from (alias.name for alias in statement.names if alias.name in modules)
        elif isinstance(statement, ast.ImportFrom):
            assert statement.level == 0, f"{name} imports relative to itself"
            source = statement.module or ""
            for alias in statement.names:
                whole = f"{source}.{alias.name}"
                if whole in modules or source in modules:
                    yield whole if whole in modules else source


def test_no_circle_of_imports() -> None:
    graph = imports_of(ROOT / "tinytrain")
    assert len(graph) > 100
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"modules import each other in a circle: {' <- '.join(error.args[1])}")


@pytest.mark.parametrize(
    "late", ["    def f():\n        from p import a\n", "    from p.a import x as y\n"]
)
def test_planted_circle_shows(late: str, tmp_path: Path) -> None:
    package = tmp_path / "p"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "a.py").write_text("from p.b import y\n")
    (package / "b.py").write_text(f"if True:\n{late}")
    with pytest.raises(CycleError):
        TopologicalSorter(imports_of(package)).prepare()
