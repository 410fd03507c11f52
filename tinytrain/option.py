"""One option: what the command line, Python, an experiment's file and the docs say of it.

The parser, the checks, their messages and the tables in the docs are made of these rows.
"""

from __future__ import annotations

import math
import numbers
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from tinytrain.errors import UsageError
from tinytrain.naming import flag_of, know, looks_like_a_value


@dataclass(frozen=True)
class Kind:
    """What the value of an option is.

    Attributes:
        noun: what it is called in a message.
        type: of the value in Python.
        parse: from a word of the command line; ValueError where it is none.
        show: as a message writes it.
    """

    noun: str
    type: type | tuple[type, ...]
    parse: Callable[[str], Any]
    show: Callable[[Any], str] = repr


def _parse_size(text: str) -> int:
    found = re.fullmatch(r"(\d+)\s*([kKmM]?)i?[bB]?", text.strip())
    if not found:
        raise ValueError
    return int(found[1]) << {"": 0, "k": 10, "m": 20}[found[2].lower()]


def _show_size(nbytes: int) -> str:
    for letter, shift in (("M", 20), ("K", 10)):
        if nbytes and nbytes % (1 << shift) == 0:
            return f"{nbytes >> shift}{letter}"
    return str(nbytes)


def _parse_share(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*%", text.strip())
    if not found:
        raise ValueError
    return float(found[1]) / 100


def _show_share(share: float) -> str:
    return f"{100 * share:g}%"


INTEGER = Kind("an integer", numbers.Integral, int)
NUMBER = Kind("a number", numbers.Real, float, "{:.12g}".format)
TEXT = Kind("text", str, str)
FILE = Kind("a file", object, str)
FOLDER = Kind("a folder", object, str)
SWITCH = Kind("true or false", bool, str)
SIZE = Kind("a size such as 262144, 256K or 1M", numbers.Integral, _parse_size, _show_size)
SHARE = Kind("a share such as 20%", numbers.Real, _parse_share, _show_share)


@dataclass(frozen=True)
class Group:
    """Options that are shown together."""

    title: str
    help: str


GENERAL = Group("options", "")
"""Of a command with few options."""


@dataclass(frozen=True)
class Option:
    """One option, which has one name everywhere.

    Attributes:
        help: what it is for, in words that a sentence could begin with.
        group: where `--help` and the docs show it.
        name: in Python; the flag is the same, with dashes.
        kind: what its value is.
        default: where it is not given.
        choices: the values that are possible; empty where a range says it.
        low, high: the range; None is no limit.
        below_high: whether `high` itself is out of range.
        special: a word of the command line that stands for None.
        words: other words that the value may be instead of what its kind says.
        address: the kind of address, `ray://HOST:PORT`, that the value may be as well.
        prefix: what a value may begin with as well, as the `serial:` of `serial:PORT`.
        several: whether it takes one value or more.
        metavar: what `--help` calls the value.
        short: a second flag, of one letter.
        positional: whether it has no flag on the command line.
        required: whether it must be given.
        comparison: whether only comparisons need it: `--help` leaves it out.
        advice: what a message about its value adds as help.
        manifest: its key in the manifest's `options`, where that is not its name.
        experiment: what an experiment sets it by, where a rule may not.
        in_pytorch: whether an experiment's engines in PyTorch follow it, too.
        see: a page of the docs that says more, with its section.
    """

    help: str
    group: Group
    name: str = ""
    kind: Kind = TEXT
    default: Any = None
    choices: tuple[Any, ...] = ()
    low: float | None = None
    high: float | None = None
    below_high: bool = False
    special: str | None = None
    words: tuple[str, ...] = ()
    address: str | None = None
    prefix: str | None = None
    several: bool = False
    metavar: str | None = None
    short: str | None = None
    positional: bool = False
    required: bool = False
    comparison: bool = False
    advice: str | None = None
    manifest: str | None = None
    experiment: str | None = None
    in_pytorch: bool = False
    see: str | None = None

    def __post_init__(self) -> None:
        if self.name and not self.positional:
            flags = (self.flag, *([self.short] if self.short else []))
            switch = str(self.default is not True) if self.kind is SWITCH else None
            know(flags, self.name, self._in_python, switch)

    @property
    def flag(self) -> str:
        """What the command line calls it: `--no-NAME` for what is on by itself."""
        if self.positional:
            return self.metavar or self.name.upper()
        return flag_of(self.name, is_on=self.default is True)

    @property
    def values(self) -> str:
        """Which values are possible: `between 2 and 65535`."""
        return self._possible(with_noun=False)

    @property
    def other_values(self) -> tuple[str, ...]:
        """What the value may be instead of what its kind says, as one writes it."""
        addresses = [f"{self.address}://HOST:PORT"] if self.address else []
        return (*self.words, *addresses, *([f"{self.prefix}:PORT"] if self.prefix else []))

    @property
    def default_text(self) -> str:
        """The default as the command line writes it; empty where there is none to speak of."""
        if self.default is None or self.kind is SWITCH:
            return ""
        if isinstance(self.default, tuple):
            return ", ".join(self.kind.show(one) for one in self.default)
        return self.default if isinstance(self.default, str) else self.kind.show(self.default)

    def parse(self, text: str) -> Any:
        """The value of a word of the command line.

        Raises:
            UsageError: it is none, or out of range.
        """
        if self.special and text == self.special:
            return None
        if self._is_word(text):
            return text
        try:
            value = self.kind.parse(text)
        except ValueError:
            raise self.error(text) from None
        self._check(value, None)
        return value

    def check(self, value: Any, called: str | None = None) -> None:
        """Holds a value from Python to the kind and the range.

        Args:
            called: what a message calls the option, instead of its flag.

        Raises:
            UsageError: it does not fit.
        """
        if value is None and self.default is None and not self.required:
            return
        if self.several and isinstance(value, Iterable) and not isinstance(value, str):
            for one in value:
                self._check(one, called)
        else:
            self._check(value, called)

    def error(self, value: Any, called: str | None = None) -> UsageError:
        """That a value does not fit: `--classes must be between 2 and 65535, got 1`."""
        possible = self._possible(with_noun=not self._is_of_kind(value))
        return UsageError(
            f"{called or self.flag} must be {possible}, got {self._shown(value)}", help=self.advice
        )

    def _in_python(self, word: str) -> str | None:
        """What Python writes for a word of the command line; None where it is no value."""
        if self.special and word == self.special:
            return "None"
        if self._is_word(word) or word in self.choices:
            return repr(word)
        if self.kind.type is str or self.kind.type is object:
            return repr(word) if looks_like_a_value(word) else None
        try:
            value = self.kind.parse(word)
        except ValueError:
            return word if word.isupper() else None
        return word if self.kind in (INTEGER, NUMBER) else repr(value)

    def _check(self, value: Any, called: str | None) -> None:
        if not (self._is_of_kind(value) and self._is_possible(value)):
            raise self.error(value, called)

    def _is_of_kind(self, value: Any) -> bool:
        if isinstance(value, bool):
            return self.kind is SWITCH
        return self._is_word(value) or isinstance(value, self.kind.type)

    def _is_word(self, value: Any) -> bool:
        """Whether it is one of the words, or an address, that stand beside the kind."""
        if not isinstance(value, str):
            return False
        if self.prefix and re.fullmatch(rf"{self.prefix}:\S+", value):
            return True
        held = rf"{self.address}://(\[[0-9a-fA-F:.]+\]|[^\s/:\[\]]+):\d+"
        return value in self.words or bool(self.address and re.fullmatch(held, value))

    def _is_possible(self, value: Any) -> bool:
        if self._is_word(value):
            return True
        if self.choices:
            return value in self.choices
        above = self.low is None or value >= self.low
        below = self.high is None or (value < self.high if self.below_high else value <= self.high)
        return bool(above and below)

    def _possible(self, *, with_noun: bool) -> str:
        if self.choices:
            return _listed([*map(str, self.choices), *self.other_values])
        elif self.low is None or self.high is None:
            found = self.kind.noun
        else:
            found = f"{self.kind.noun} {self._range()}" if with_noun else self._range()
        return _listed([word for word in (self.special, *self.other_values, found) if word])

    def _range(self) -> str:
        assert self.low is not None and self.high is not None
        low, high = (_bound(self.kind, end) for end in (self.low, self.high))
        return (
            f"at least {low} and below {high}" if self.below_high else f"between {low} and {high}"
        )

    def _shown(self, value: Any) -> str:
        return self.kind.show(value) if self._is_of_kind(value) else repr(value)


def check_options(rows: Iterable[Option], **values: Any) -> None:
    """Holds values of a function's parameters to their rows.

    Raises:
        UsageError: the first that does not fit.
    """
    held = by_name(rows)
    for name, value in values.items():
        held[name].check(value)


def by_name(rows: Iterable[Option]) -> dict[str, Option]:
    """Rows by what they are called in Python."""
    return {row.name: row for row in rows}


def _listed(words: list[str]) -> str:
    return " or ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))


def _bound(kind: Kind, number: float) -> str:
    """An end of a range; the powers of two that are long as powers."""
    for shift, text in ((0, ""), (1, " - 1")):
        mantissa, exponent = math.frexp(number + shift)
        if mantissa == 0.5 and abs(exponent - 1) >= 20:
            return f"2^{exponent - 1}{text}"
    return kind.show(number)
