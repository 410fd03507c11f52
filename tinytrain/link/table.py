"""Messages and statuses of the link, as `runtime_c/include/tt_link.h` has them: one row each."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tinytrain import resources
from tinytrain.errors import InternalError
from tinytrain.kernel.constants import c_constant
from tinytrain.saved_file import Layout, layout

_HEADER = "tt_link.h"


@dataclass(frozen=True)
class Message:
    """A message.

    Attributes:
        type: its number.
        name: in small letters.
        question, answer: bodies; data may follow that of the answer.
        more: whether data may follow the body of the question.
        when: "always" is it answered, or by a link that is "unlocked" or "locked".
        text: what it asks for.
    """

    type: int
    name: str
    question: Layout
    answer: Layout
    more: bool
    when: str
    text: str


@dataclass(frozen=True)
class Status:
    """Why a question was refused: a number, a name and a sentence."""

    value: int
    name: str
    text: str


def _read() -> str:
    path = resources.folder("runtime_c") / "include" / _HEADER
    return path.read_text(encoding="utf-8").replace("\\\n", "\n")


def _sentence(comment: str) -> str:
    return " ".join(word for word in comment.split() if word != "*")


def _rows(table: str) -> list[tuple[list[str], str]]:
    """The columns of each row of a table, and the comment behind it."""
    found = re.search(rf"#define {table}\(ROW\)(.*?)\n\n", _TEXT, re.DOTALL)
    if found is None:
        raise InternalError(f"{_HEADER} has no table {table}")
    rows = re.findall(r"ROW\(([^)]*)\)\s*/\*(.*?)\*/", found[1], re.DOTALL)
    return [(columns.split(", "), _sentence(text)) for columns, text in rows]


def _message(columns: list[str], text: str) -> Message:
    number, _, name, question, more, answer, when = columns
    asked, told = (layout(f"tt_link_{body}", _HEADER) for body in (question, answer))
    return Message(int(number), name, asked, told, more == "MORE", when.lower(), text)


_TEXT = _read()

HEADER = layout("tt_link_header", _HEADER)
END = layout("tt_link_end", _HEADER)
ROW = layout("tt_link_row", _HEADER)

MESSAGES = {found.name: found for found in (_message(*row) for row in _rows("TT_LINK_MESSAGES"))}
"""By name."""

STATUSES = {
    int(value): Status(int(value), name, text) for (value, name), text in _rows("TT_LINK_STATUSES")
}
"""By number; those below are of `tt_status`."""

PROTOCOL = c_constant(_HEADER, "TT_LINK_PROTOCOL")
ANSWER = c_constant(_HEADER, "TT_LINK_ANSWER")
