"""Functions, modules and parameter lists are small, and a class has a name of its own.

What has to be larger says so beside its definition, with the limit that it breaks and the reason:

    # house(parameters): every one is an option of the command line
    def compile_model(...

The comment stands right above the definition and its decorators, a module's in its first lines. One
that is no longer needed fails here, as a limit that is broken without one does.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.support.paths import ROOT

PACKAGE = ROOT / "tinytrain"
LINES_OF_A_MODULE, LINES_OF_A_FUNCTION, PARAMETERS = 300, 60, 8
MARKER = re.compile(r"# house\((module|function|parameters|name)\): (\S+ \S+ .*)")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Broken:
    """A limit, and where it is broken.

    Attributes:
        limit: "module", "function", "parameters" or "name".
        what: the module's path and the definition's qualified name.
        line: the first line of the definition, decorators counted; 1 of a module.
        size: how large it is; of a name, how many classes have it.
    """

    limit: str
    what: str
    line: int
    size: int


@dataclass(frozen=True)
class Module:
    """A source file: its path from the root, and its text."""

    path: str
    text: str


def modules() -> list[Module]:
    return [
        Module(file.relative_to(ROOT).as_posix(), file.read_text(encoding="utf-8"))
        for file in sorted(PACKAGE.rglob("*.py"))
    ]


def definitions(tree: ast.AST, place: str) -> Iterator[tuple[str, Function | ast.ClassDef]]:
    """Every function and class, nested ones too, by its qualified name."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, Function | ast.ClassDef):
            name = f"{place}.{node.name}" if place else node.name
            yield name, node
            yield from definitions(node, name)
        else:
            yield from definitions(node, place)


def parameters(function: Function) -> int:
    """How many a caller can give; `self` and `cls` are not a caller's."""
    given = function.args
    names = [argument.arg for argument in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    own = bool(names) and names[0] in ("self", "cls")
    return len(names) - own + (given.vararg is not None) + (given.kwarg is not None)


def first_line(node: Function | ast.ClassDef) -> int:
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])


def broken(held: list[Module]) -> Iterator[Broken]:
    """Every limit that one of the modules breaks."""
    classes = Counter(
        node.name
        for module in held
        for node in ast.walk(ast.parse(module.text))
        if isinstance(node, ast.ClassDef)
    )
    for module in held:
        lines = module.text.count("\n")
        if lines > LINES_OF_A_MODULE:
            yield Broken("module", module.path, 1, lines)
        for name, node in definitions(ast.parse(module.text), ""):
            what, line = f"{module.path}:{name}", first_line(node)
            if isinstance(node, ast.ClassDef):
                if classes[node.name] > 1:
                    yield Broken("name", what, line, classes[node.name])
                continue
            assert node.end_lineno is not None
            if (size := node.end_lineno - line + 1) > LINES_OF_A_FUNCTION:
                yield Broken("function", what, line, size)
            if (count := parameters(node)) > PARAMETERS:
                yield Broken("parameters", what, line, count)


def marked(module: Module) -> dict[tuple[str, int], str]:
    """Reasons by limit and by the line of the definition that they stand above.

    A module's stands in its first five lines, whatever comes next.
    """
    lines = module.text.splitlines()
    found = {}
    for number, line in enumerate(lines, start=1):
        if "# house" not in line:
            continue
        match = MARKER.fullmatch(line.strip())
        assert match, f"{module.path}:{number}: not '# house(LIMIT): reason': {line.strip()}"
        limit, reason = match.groups()
        if limit == "module":
            assert number <= 5, f"{module.path}:{number}: in the first five lines, or nowhere"
            found[limit, 1] = reason
            continue
        end = number
        while lines[end].lstrip().startswith("#"):
            end += 1
        found[limit, end + 1] = reason
    return found


def judged(held: list[Module]) -> tuple[list[Broken], list[str]]:
    """Limits that are broken without a reason, and reasons that nothing needs."""
    reasons = {
        (module.path, *key): reason for module in held for key, reason in marked(module).items()
    }
    unexplained = []
    for fault in broken(held):
        if reasons.pop((fault.what.split(":")[0], fault.limit, fault.line), None) is None:
            unexplained.append(fault)
    return unexplained, [f"{path}:{line} ({limit})" for path, limit, line in reasons]


def test_limits_are_kept_or_a_reason_stands_beside() -> None:
    unexplained, _ = judged(modules())
    lines = [f"{fault.limit}: {fault.what} ({fault.size})" for fault in unexplained]
    assert not lines, "\n".join(lines)


def test_every_reason_is_needed() -> None:
    _, unneeded = judged(modules())
    assert not unneeded


LONG = "def f():\n" + "    pass\n" * 60
WIDE = "    def f(self, a, b, c, d, e, f, *g, h, **i): ...\n"


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("x = 1\n" * 300, []),
        ("x = 1\n" * 301, ["module"]),
        (LONG.replace("    pass\n", "", 1), []),
        (LONG, ["function"]),
        ("@cache\n" + LONG.replace("    pass\n", "", 1), ["function"]),
        ("class C:\n" + WIDE.replace("*g, h, **i", "*, g, h"), []),
        ("class C:\n" + WIDE, ["parameters"]),
        ("def a():\n    class C: ...\nclass C: ...\n", ["name", "name"]),
    ],
)
def test_every_limit_is_seen(text: str, limits: list[str]) -> None:
    assert [fault.limit for fault in broken([Module("m.py", text)])] == limits


def test_a_reason_counts_for_its_own_limit_and_definition_alone() -> None:
    reason = "# house(function): it is one table\n"
    assert judged([Module("m.py", reason + LONG)]) == ([], [])
    (fault,), unneeded = judged([Module("m.py", f"x = 1\n{reason}x = 2\n{LONG}")])
    assert (fault.limit, unneeded) == ("function", ["m.py:3 (function)"])
    (fault,), unneeded = judged([Module("m.py", "# house(name): it is one table\n" + LONG)])
    assert (fault.limit, unneeded) == ("function", ["m.py:2 (name)"])
    module = '"""A table."""\n# house(module): it is one table\n' + "x = 1\n" * 300
    assert judged([Module("m.py", module)]) == ([], [])


def test_a_reason_is_one() -> None:
    with pytest.raises(AssertionError, match="reason"):
        marked(Module("m.py", "# house(function): long\n" + LONG))
