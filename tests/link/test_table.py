"""The table of messages, as C and Python read it, and as the page shows it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.support.pages import hold_section
from tinytrain import resources
from tinytrain.link.table import ANSWER, HEADER, MESSAGES, STATUSES
from tinytrain.saved_file import layout
from tinytrain.simulation.status import STATUS


def test_every_row_is_read() -> None:
    text = (resources.folder("runtime_c") / "include" / "tt_link.h").read_text("utf-8")
    numbers = re.findall(r"\bROW\((\d+), ", text)
    assert [int(number) for number in numbers] == [
        *(message.type for message in MESSAGES.values()),
        *STATUSES,
    ]
    assert [message.type for message in MESSAGES.values()] == list(range(1, len(MESSAGES) + 1))
    assert len(MESSAGES) < 32 < ANSWER, "HELLO has a bit for each, and an answer's type is larger"
    assert min(STATUSES) >= len(STATUS), "a status of the link is none of the model's"
    assert all(message.text for message in MESSAGES.values())


def rows() -> Iterator[str]:
    yield "| type | message | question | answer | locked | |\n|---|---|---|---|---|---|"
    locked = {"always": "yes", "unlocked": "refused", "locked": "only then"}
    for one in MESSAGES.values():
        asked, told = (body.name.removeprefix("tt_link_") for body in (one.question, one.answer))
        asked += ", data" if one.more else ""
        told += ", data" if told in ("piece", "row") else ""
        found = f"| {one.type} | `{one.name.upper()}` | {asked} | {told} | {locked[one.when]} | "
        yield found + f"{one.text} |"
    yield "\n| status | name | |\n|---|---|---|"
    for status in STATUSES.values():
        yield f"| {status.value} | `{status.name}` | {status.text} |"
    bodies = {body.name for one in MESSAGES.values() for body in (one.question, one.answer)}
    for name in [HEADER.name, *sorted(bodies)]:
        yield f"\n### `{name}`\n\n| offset | type | member | |\n|---|---|---|---|"
        for member in layout(name, "tt_link.h").members:
            kind = f"{member.c_type}[{member.count}]" if member.count > 1 else member.c_type
            yield f"| {member.offset} | `{kind}` | `{member.name}` | {member.text} |"


def test_the_page_shows_every_row() -> None:
    hold_section("link.md", "messages", "\n".join(rows()) + "\n\n")
