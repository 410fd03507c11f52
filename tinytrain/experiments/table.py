"""A table of a TOML file, read field by field; whatever does not fit is an error that names it."""

from __future__ import annotations

import math
from collections.abc import ItemsView, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from tinytrain.errors import UsageError, Where

Number = TypeVar("Number", int, float)


class Table:
    """Fields of one table; each is taken once, and `end` refuses what is left.

    Args:
        content: as `tomllib` gives it.
        where: the file.
        place: where it stands, with dots between the names; "" for the file itself.
        name: its own name, the last part of its place.
    """

    def __init__(
        self, content: Mapping[str, Any], where: Where, place: str, name: str = ""
    ) -> None:
        self._content = dict(content)
        self._where = where
        self._place = place
        self.name = name

    def __contains__(self, key: str) -> bool:
        return key in self._content

    def items(self) -> ItemsView[str, Any]:
        """All fields that were not taken, in the file's order."""
        return self._content.items()

    def fail(self, key: str, what: str, help: str | None = None) -> NoReturn:
        """An error about a field, or about the whole table where `key` is ""."""
        place = ".".join(part for part in (self._place, key) if part)
        raise UsageError(
            f"{what} (field `{place}`)" if place else what, where=self._where, help=help
        )

    def table(self, key: str) -> Table:
        """A table that must be there and hold something."""
        found = self._content.pop(key, None)
        if not isinstance(found, dict) or not found:
            self.fail(key, f"the experiment needs a table `[{key}]`")
        return Table(found, self._where, f"{self._place}.{key}".lstrip("."), key)

    def inner(self, key: str) -> Table:
        """A table in this one."""
        found = self._content[key]
        if not isinstance(found, dict):
            self.fail(key, f"'{key}' is no table", f"write [{self._place}.{key}]")
        return Table(found, self._where, f"{self._place}.{key}", key)

    def text(self, key: str, default: str) -> str:
        """A string."""
        found = self._content.pop(key, default)
        if not isinstance(found, str) or not found:
            self.fail(key, f"`{key}` is no text")
        return found

    def choice(self, key: str, known: tuple[str, ...], default: str) -> str:
        """One of a few words."""
        found = self._content.pop(key, default)
        if found not in known:
            self.fail(key, f"{key} '{found}' is unknown", f"use {', '.join(known)}")
        return str(found)

    def flag(self, key: str, default: bool) -> bool:
        """True or false."""
        found = self._content.pop(key, default)
        if not isinstance(found, bool):
            self.fail(key, f"`{key}` is neither true nor false")
        return found

    def number(
        self, key: str, kind: type[Number], low: Number, high: Number, default: Number
    ) -> Number:
        """A number from low to high; `default`, unchecked, where there is none."""
        if key not in self._content:
            return default
        return self._checked(key, self._content.pop(key), kind, low, high)

    def numbers(
        self,
        key: str,
        kind: type[Number],
        low: Number,
        high: Number,
        default: tuple[Number, ...],
    ) -> tuple[Number, ...]:
        """A list of numbers from low to high, or a single one; not empty where it is given."""
        if key not in self._content:
            return default
        found = self._content.pop(key)
        given = found if isinstance(found, list) else [found]
        if not given:
            self.fail(key, f"`{key}` is empty")
        return tuple(self._checked(key, one, kind, low, high) for one in given)

    def _checked(
        self, key: str, found: object, kind: type[Number], low: Number, high: Number
    ) -> Number:
        allowed = (int,) if kind is int else (int, float)
        if isinstance(found, bool) or not isinstance(found, allowed) or not math.isfinite(found):
            self.fail(key, f"`{key}` is not {'an integer' if kind is int else 'a number'}")
        if not low <= found <= high:
            self.fail(key, f"`{key}` is {found}, where {low:g} to {high:g} is possible")
        return kind(found)

    def file(self, key: str, folder: Path) -> Path:
        """A file or folder that must exist, relative to `folder`."""
        found = self.text(key, "")
        path = folder / found
        if not path.exists():
            self.fail(
                key,
                f"'{found}' does not exist",
                "paths are relative to the experiment's file",
            )
        return path

    def rest(self) -> dict[str, Any]:
        """All fields that are left, taken."""
        left, self._content = self._content, {}
        return left

    def end(self) -> None:
        """Refuses fields that nobody took."""
        for key in self._content:
            self.fail(key, f"`{key}` is unknown here")


def read_tables(top: Table, key: str) -> Iterator[Table]:
    """The tables inside a table, one for each of what is varied."""
    table = top.table(key)
    for name, _ in list(table.items()):
        yield table.inner(name)
