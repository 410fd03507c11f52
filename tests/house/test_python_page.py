"""docs/python.md: every public name of the package, with what its docstring says first."""

from __future__ import annotations

import inspect

import tinytrain
from tests.support.pages import hold_section, summary_of
from tinytrain.cli.command import COMMANDS
from tinytrain.errors import TinytrainError

WITHOUT_COMMAND = ("load",)
"""A terminal has nothing to hold a device in."""


def first_line(found: object) -> str:
    return summary_of(found).removesuffix(".").replace("|", "\\|")  # type: ignore[arg-type]


def table(*head: str) -> list[str]:
    return ["", f"| {' | '.join(head)} |", "|---" * len(head) + "|"]


def test_the_page_lists_every_public_name() -> None:
    names = {name: getattr(tinytrain, name) for name in tinytrain.__all__ if name != "__version__"}
    functions = {name: found for name, found in names.items() if inspect.isfunction(found)}
    classes = {name: found for name, found in names.items() if inspect.isclass(found)}
    errors = {name: found for name, found in classes.items() if issubclass(found, TinytrainError)}
    assert set(functions) | set(classes) == set(names)
    commands = {c.name: "compile_model" if c.name == "compile" else c.name for c in COMMANDS}
    assert sorted([*commands.values(), *WITHOUT_COMMAND]) == sorted(functions)

    lines = table("function", "command", "what it does")
    for command, name in commands.items():
        lines.append(f"| `{name}` | `{command}` | {first_line(functions[name])} |")
    for name in WITHOUT_COMMAND:
        lines.append(f"| `{name}` | | {first_line(functions[name])} |")
    lines += table("class", "what it is")
    for name, found in classes.items():
        if name not in errors:
            lines.append(f"| `{name}` | {first_line(found)} |")
    lines += table("error", "exit code", "what it means")
    for name, found in sorted(errors.items(), key=lambda item: item[1].exit_code):
        lines.append(f"| `{name}` | {found.exit_code} | {first_line(found)} |")
    lines += ["", "`__version__` is the version, as text.", "", ""]
    hold_section("python.md", "names", "\n".join(lines))
    assert max(map(len, lines)) < 140
