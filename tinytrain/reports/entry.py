"""One place in a manifest: reads what is there, and names it where it is wrong or missing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


class MissingError(Exception):
    """An entry is not there; its text is the entry's path, in quotes."""


@dataclass(frozen=True)
class Entry:
    """A place in the manifest that knows its path, so that a wrong entry can be named."""

    held: Any
    path: str

    def __getitem__(self, key: str) -> Entry:
        path = f"{self.path}.{key}" if self.path else key
        if not isinstance(self.held, dict):
            raise ValueError(f"'{self.path}' is no object")
        if key not in self.held:
            raise MissingError(f"'{path}'")
        return Entry(self.held[key], path)

    def __contains__(self, key: str) -> bool:
        return isinstance(self.held, dict) and key in self.held

    def text(self) -> str:
        """A text."""
        # JSON can write half of a surrogate pair, which no file can hold.
        if not isinstance(self.held, str) or re.search("[\ud800-\udfff]", self.held):
            raise ValueError(f"'{self.path}' is no text")
        return self.held

    def optional_text(self) -> str | None:
        """A text, or None for null."""
        return None if self.held is None else self.text()

    def one_of(self, known: Sequence[str]) -> str:
        """A text out of those that are known."""
        if self.text() not in known:
            raise ValueError(f"'{self.path}' is '{self.held}', not one of {', '.join(known)}")
        return self.text()

    def count(self, least: int = 0, below: int = 1 << 53) -> int:
        """A whole number; a number that JavaScript could not hold is refused, too."""
        if type(self.held) is not int or not least <= self.held < below:
            raise ValueError(f"'{self.path}' is no whole number from {least} to {below - 1}")
        return self.held

    def span(self) -> tuple[float, float] | None:
        """A pair of numbers from 0 on, or None for null."""
        if self.held is None:
            return None
        if not isinstance(self.held, list) or len(self.held) != 2:
            raise ValueError(f"'{self.path}' is no pair of numbers")
        for value in self.held:
            if type(value) not in (int, float) or not 0 <= value < float("inf"):
                raise ValueError(f"'{self.path}' is no pair of numbers from 0 on")
        return float(self.held[0]), float(self.held[1])

    def each(self) -> list[Entry]:
        """The items of a list."""
        if not isinstance(self.held, list):
            raise ValueError(f"'{self.path}' is no list")
        return [Entry(item, f"{self.path}[{k}]") for k, item in enumerate(self.held)]

    def uses(self) -> dict[str, int]:
        """Bytes by use, whose "total" is their sum."""
        self["total"]
        found = {key: self[key].count() for key in self.held}
        if sum(found.values()) != 2 * found["total"]:
            raise ValueError(f"'{self.path}.total' is not the sum of its parts")
        return found
