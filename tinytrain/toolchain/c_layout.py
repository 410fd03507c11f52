"""Breaks the long lines of generated C, about as clang-format would.

Templates and emission write a statement, a comment or a directive on one line, however long names
make it. What fits stays as it is.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

WIDTH = 100
"""Columns of a line: `ColumnLimit` of .clang-format."""
_INDENT = 4

_LITERAL = r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'"""
_TOKEN = re.compile(rf"{_LITERAL}|[^\"'(){{}}\[\],;]+|.")
_CLOSING = {"(": ")", "[": "]", "{": "}"}
_OPERATORS = tuple(
    re.compile(rf" ({text}) ")
    for text in (r"[?:]", r"\|\|", "&&", r"\|", "[<>=!]=|<|>", "<<|>>", "[+-]", "[*/%]")
)
"""Operators with two operands and `?:`, those that bind least first."""


def lay_out(text: str) -> str:
    """The text of a C file, what has a line of more than `WIDTH` columns broken.

    A string literal is never broken, nor a line of a comment that is indented, such as code.
    """
    lines: list[str] = []
    for part in _parts(text.split("\n")):
        fits = all(len(line) <= WIDTH for line in part)
        lines += part if fits else _broken(part)
    return "\n".join(lines)


def _parts(lines: Sequence[str]) -> Iterator[list[str]]:
    """Comments, directives, statements and rows of tables, each with the lines that it takes."""
    part: list[str] = []
    opened = 0
    for line in lines:
        part.append(line)
        start = part[0].lstrip()
        if start.startswith("/*"):
            whole = "*/" in line
        elif start.startswith("#"):
            whole = not line.endswith("\\")
        else:
            opened += _opened(line)
            whole = opened <= 0
        if whole:
            yield part
            part, opened = [], 0
    yield part


def _opened(line: str) -> int:
    """Brackets that a line opens, less those that it closes; a brace at its end does not count."""
    code = re.sub(rf"{_LITERAL}|/\*.*?\*/", "", line).rstrip()
    return sum(map(code.count, "([{")) - sum(map(code.count, ")]}")) - code.endswith("{")


def _broken(part: Sequence[str]) -> list[str]:
    text = " ".join(line.strip() for line in part)
    indent = len(part[0]) - len(part[0].lstrip())
    if text.startswith("/*"):
        return _comment(part, indent)
    if found := re.fullmatch(r"(.*\S)\s*(/\*.*\*/)", text):
        # A comment at its end goes before it.
        lines = (" " * indent + line for line in (found[2], found[1]))
        return [line for part in lines for line in lay_out(part).split("\n")]
    if text.startswith("#"):
        name, _, value = text.rpartition(" ")
        return [f"{name} \\", " " * _INDENT + value]
    return _statement(text, indent)


def _comment(part: Sequence[str], indent: int) -> list[str]:
    """Paragraphs are filled anew; what is indented or empty parts them and stays."""
    inside = "\n".join(line.strip() for line in part).removeprefix("/*").removesuffix("*/")
    ends_alone = len(part) > 1 and part[-1].strip() == "*/"
    lines = [line.removeprefix("*").removeprefix(" ").rstrip() for line in inside.split("\n")]
    paragraphs: list[str] = []
    is_open = False
    for line in lines[:-1] if ends_alone else lines:
        is_text = bool(line) and not line.startswith(" ")
        if is_text and is_open:
            paragraphs[-1] += f" {line}"
        else:
            paragraphs.append(line)
        is_open = is_text
    if not ends_alone:
        # It is not parted from the word before it.
        paragraphs[-1] += "\N{NO-BREAK SPACE}*/"
    filled: list[str] = []
    for text in paragraphs:
        filled += textwrap.wrap(
            text, WIDTH - indent - 3, break_long_words=False, break_on_hyphens=False
        ) or [""]
    starts = ["/*", *(" *" for _ in filled[1:])]
    done = [f"{start} {text}".rstrip() for start, text in zip(starts, filled, strict=True)]
    done += [" */"] * ends_alone
    return [" " * indent + line.replace("\N{NO-BREAK SPACE}", " ") for line in done]


@dataclass(frozen=True)
class _Group:
    """What stands between two brackets: items, each with the comma or semicolon behind it."""

    opening: str
    items: tuple[_Declaration, ...]

    def __str__(self) -> str:
        return f"{self.opening}{' '.join(map(str, self.items))}{_CLOSING[self.opening]}"


@dataclass(frozen=True)
class _Declaration:
    nodes: tuple[str | _Group, ...]
    behind: str = ""

    def __str__(self) -> str:
        return "".join(map(str, self.nodes)) + self.behind


def _parsed(tokens: list[str], closing: str = "") -> tuple[_Declaration, ...]:
    """The items up to a closing bracket, which is taken from the front of the tokens, too."""
    items: list[_Declaration] = []
    nodes: list[str | _Group] = []
    while tokens and (token := tokens.pop(0)) != closing:
        if token in _CLOSING:
            nodes.append(_Group(token, _parsed(tokens, _CLOSING[token])))
        elif token in (",", ";"):
            items.append(_Declaration(tuple(nodes), token))
            nodes = []
        elif nodes or token.strip():
            nodes.append(token if nodes else token.lstrip())
    return (*items, _Declaration(tuple(nodes))) if nodes or not items else tuple(items)


def _statement(text: str, indent: int) -> list[str]:
    """The lines of a statement, or of the beginning of a block or a table."""
    code = text.removesuffix(" {")
    tail = text.removeprefix(code)
    left, _, right = code.partition(" = ")
    fits = 0 < len(right) <= WIDTH - indent - _INDENT
    if fits and "(" not in left and not right.startswith("{"):
        return [f"{' ' * indent}{left} =", f"{' ' * (indent + _INDENT)}{right}"]
    writer = _Writer(indent)
    writer.fill(_parsed(_TOKEN.findall(code)), indent, tail)
    *lines, last = writer.lines()
    return [*lines, last + tail]


class _Writer:
    """Lines of one statement."""

    def __init__(self, indent: int) -> None:
        self._done: list[str] = []
        self._line = " " * indent
        self._depth = 0
        self._breaks = 0
        self._deep_breaks = 0

    def lines(self) -> list[str]:
        return [*self._done, self._line]

    def _new_line(self, column: int) -> None:
        self._done.append(self._line.rstrip())
        self._line = " " * column
        self._breaks += 1
        self._deep_breaks += self._depth > 1

    def fill(self, items: Sequence[_Declaration], column: int, tail: str) -> None:
        """As many items to a line as fit, continued at a column; `tail` follows the last."""
        was_broken = False
        for number, item in enumerate(items):
            end = tail if number == len(items) - 1 else ""
            if number > 0:
                if not was_broken and len(self._line) + len(f" {item}{end}") <= WIDTH:
                    self._line += " "
                else:
                    self._new_line(column)
            lines = len(self._done)
            self._write(item, column, end)
            was_broken = len(self._done) > lines

    def _write(self, item: _Declaration, column: int, tail: str) -> None:
        if len(self._line) + len(f"{item}{tail}") <= WIDTH:
            self._line += str(item)
            return
        operands = _operands(item)
        if len(operands) > 1:
            start = re.match(r"return |.* = ", str(operands[0]))
            self.fill(operands, len(self._line) + (len(start[0]) if start else 0), tail)
            return
        groups = [node for node in item.nodes if isinstance(node, _Group)]
        longest = max(groups, key=lambda group: len(str(group)), default=None)
        for number, node in enumerate(item.nodes):
            if node is longest:
                rest = str(_Declaration(item.nodes[number + 1 :], item.behind)) + tail
                self._group(longest, column + _INDENT, rest)
            else:
                self._line += str(node)
        self._line += item.behind

    def _group(self, group: _Group, column: int, tail: str) -> None:
        """Its items in line behind the bracket, or from a column on where that is better."""
        closing = _CLOSING[group.opening]
        begun = self._line + group.opening
        start = self._done, self._breaks, self._deep_breaks
        found = []
        self._depth += 1
        for hangs in (False, True):
            done, self._breaks, self._deep_breaks = start
            self._done, self._line = [*done], begun
            if hangs:
                self._new_line(column)
                # Within another bracket it is the last resort.
                self._breaks += self._depth > 1
            self.fill(group.items, len(self._line), closing + tail)
            self._line += closing
            is_table = begun.endswith(" = {") and not hangs
            is_cut = any(len(line) > WIDTH for line in (*self._done, self._line + tail))
            cost = is_table, is_cut, self._breaks, self._deep_breaks > start[2], hangs
            found.append((cost, self._done, self._line, self._breaks, self._deep_breaks))
        self._depth -= 1
        _, self._done, self._line, self._breaks, self._deep_breaks = min(found)


def _operands(item: _Declaration) -> list[_Declaration]:
    """An item parted at the operators that bind least; itself where there are none."""
    for pattern in _OPERATORS:
        operands: list[list[str | _Group]] = [[]]
        for node in item.nodes:
            if isinstance(node, _Group) or node.startswith(('"', "'")):
                operands[-1].append(node)
                continue
            first, *rest = pattern.split(node)
            operands[-1] += [first] if first else []
            for operator, piece in zip(rest[::2], rest[1::2], strict=True):
                if operator in ("?", ":"):
                    operands.append([f"{operator} {piece}"])
                else:
                    operands[-1].append(f" {operator}")
                    operands.append([piece] if piece else [])
        if len(operands) > 1:
            behind = [""] * (len(operands) - 1) + [item.behind]
            parts = zip(operands, behind, strict=True)
            return [_Declaration(tuple(nodes), end) for nodes, end in parts]
    return [item]
