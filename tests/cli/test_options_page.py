"""docs/options.md: every option of every command, and every field of an experiment's file."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest

from tests.support.pages import hold_section
from tests.support.paths import ROOT
from tinytrain.cli.command import COMMANDS, Command
from tinytrain.compiler.options import OPTIONS
from tinytrain.experiments.fields import FIELDS
from tinytrain.option import GENERAL, SWITCH, Group, Option

ROWS = [row for command in COMMANDS for row in command.options]


def values(row: Option) -> str:
    """What a row can be, its default in bold."""
    default = row.special if row.default is None else row.default_text
    if row.kind is SWITCH:
        return ""
    if row.choices:
        return ", ".join(f"**{c}**" if c == row.default else str(c) for c in row.choices)
    if row.high is None:
        return f"**{default}**" if default else ""
    found = re.sub("^between (.*) and (.*)$", r"\1 to \2", row.values.split(" or ")[-1])
    found = re.sub("^at least (.*) and below (.*)$", r"\1 to below \2", found)
    found = ", ".join((*row.other_values, found))
    low, _, rest = found.partition(" to ")
    if default == low:
        return f"**{low}** to {rest}"
    return f"**{default}**, {found}" if default else found


def flag(row: Option) -> str:
    """As one writes it, with what follows it."""
    words = [*([row.short] if row.short else []), row.flag]
    value = "" if row.positional or row.kind is SWITCH else f" {row.metavar or ''}".rstrip()
    return f"`{', '.join(words)}{value}`"


def use(row: Option) -> str:
    more = f" ([more]({row.see}))" if row.see else ""
    return f"{row.help}{' (required)' if row.required else ''}{more}".replace("|", "\\|")


def table(rows: Iterable[Option], head: str, name: str = "flag") -> list[str]:
    made = [f"| {head} | values | |", "|---|---|---|"]
    for row in rows:
        called = flag(row) if name == "flag" else f"`{row.name}`"
        made.append(f"| {called.replace('|', chr(92) + '|')} | {values(row)} | {use(row)} |")
    return [*made, ""]


def section(command: Command) -> list[str]:
    lines = [f"## {command.name}", "", f"`tinytrain {command.name}`: {command.help}.", ""]
    shown = [row for row in command.options if not row.comparison]
    for group in dict.fromkeys(row.group for row in shown):
        title = f"{group.title}: {group.help}" if group.help else group.title
        title = title if group is not GENERAL else "option"
        lines += table([row for row in shown if row.group == group], title)
    if hidden := [row for row in command.options if row.comparison]:
        lines += ["For comparisons, which `--help` leaves out:", "", *table(hidden, "option")]
    return lines


def test_the_page_shows_every_option() -> None:
    lines = ["", *(line for command in COMMANDS for line in section(command)), ""]
    hold_section("options.md", "options", "\n".join(lines))
    assert max(map(len, lines)) < 200


def kinds_of_tables() -> Iterable[tuple[Group, list[Option]]]:
    return ((group, list(rows.values())) for group, rows in FIELDS.items() if rows)


def test_the_page_shows_every_field_of_an_experiment() -> None:
    lines = [""]
    for group, rows in kinds_of_tables():
        title = f"`{group.title}`" if group.title.startswith("[") else group.title
        lines += table(rows, title, "name")
    hold_section("options.md", "experiment", "\n".join(lines))
    elsewhere = [
        f"| `{name}` | {row.experiment} |" for name, row in OPTIONS.items() if row.experiment
    ]
    text = "\n".join(["", "| option | comes from |", "|---|---|", *elsewhere, "", ""])
    hold_section("options.md", "elsewhere", text)
    followed = [f"`{name}`" for name, row in OPTIONS.items() if row.in_pytorch]
    hold_section("options.md", "pytorch", f"\n{', '.join(followed)}.\n\n")


@pytest.mark.parametrize("row", [row for row in ROWS if row.see], ids=lambda row: row.name)
def test_what_an_option_points_to_is_there(row: Option) -> None:
    page, _, anchor = str(row.see).partition("#")
    headings = re.findall("^#+ (.*)$", (ROOT / "docs" / page).read_text(), re.MULTILINE)
    known = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in headings}
    assert not anchor or anchor in known


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_row_says_what_it_is_for(row: Option) -> None:
    assert re.match(r"[a-z.]|RAM ", row.help), row.help
    assert not row.help.endswith((".", ":")) and "\n" not in row.help
    assert row.positional or row.kind is SWITCH or row.choices or row.metavar, row.name
    assert row.default is None or not row.required, row.name
