"""What an option is called by whoever reads of it: messages are written with flags.

The command line shows them as they are. Python calls `--rehearsal-slots 64` `rehearsal_slots=64`,
and `--no-health` `health=False`; an experiment's file has `rehearsal_slots = 64`. Errors are
named for their reader when they are shown, sentences of results (`Advice`) when they are made.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

Read = Callable[[str], str | None]
"""What Python writes for the value that a word of the command line is; None where it is none."""


@dataclass(frozen=True)
class _Named:
    """An option of a command.

    Attributes:
        switch: what Python passes for a flag that takes no value; None where it takes one.
    """

    name: str
    read: Read
    switch: str | None


_KNOWN: dict[str, list[_Named]] = {}
"""By flag; several commands may have one of that name."""

_TELLING: list[Callable[[], object]] = []

_WRITTEN = re.compile(
    # What another program is told, such as `cc --version`, stays.
    r"`\w[^`]*`"
    r"|(?<![\w-])(?P<flag>--[a-z][a-z-]*|-[a-z])(?![\w=-])(?: (?P<word>[^\s,;()`']+))?"
)


def flag_of(name: str, *, is_on: bool = False) -> str:
    """The flag of an option; of a switch that is on by itself the one that turns it off.

    Python has words that no parameter can be called: `as_` is `--as`.
    """
    return f"--{'no-' if is_on else ''}{name.rstrip('_').replace('_', '-')}"


def know(flags: tuple[str, ...], name: str, read: Read, switch: str | None) -> None:
    """Tells of an option, so that messages that name it by its flag can name it otherwise.

    Args:
        flags: as a message may write it.
        name: of the parameter in Python, and of the field in a file.
        read: a word behind the flag.
        switch: what Python passes for a flag that takes no value; None where it takes one.
    """
    for flag in flags:
        _KNOWN.setdefault(flag, []).append(_Named(name, read, switch))


def know_when_asked(tell: Callable[[], object]) -> None:
    """Takes a function that tells of all options, to be called before the first message is
    renamed: a program that imports one of them may read of any other."""
    _TELLING.append(tell)


def in_python(text: str, *, is_sentence: bool = True) -> str:
    """A message as a caller in Python reads it.

    Args:
        is_sentence: whether flags that nobody told of are options of another command; in a listing
            they may be those of a compiler, and stay.
    """
    return _renamed(text, lambda name, value: f"{name}={value or ''}", is_sentence=is_sentence)


def in_a_file(text: str) -> str:
    """A message as whoever wrote a TOML file reads it."""

    def written(name: str, value: str | None) -> str:
        shown = value.lower() if value in ("True", "False") else value
        return f"`{name}`" if shown is None else f"`{name} = {shown}`"

    return _renamed(text, written, is_sentence=True)


class Advice(str):
    """A sentence of a result, as a caller in Python reads it.

    Args:
        written: the sentence, with flags.

    Attributes:
        written: the same, for the command line and for files that it writes.
    """

    written: str

    def __new__(cls, written: str) -> Advice:
        made = super().__new__(cls, in_python(written))
        made.written = written
        return made


def advice(sentences: Iterable[str]) -> tuple[str, ...]:
    """Sentences that are written with flags, for whoever reads them in Python."""
    return tuple(one if isinstance(one, Advice) else Advice(one) for one in sentences)


def as_written(sentence: str) -> str:
    """A sentence of a result as the command line shows it."""
    return sentence.written if isinstance(sentence, Advice) else sentence


def _renamed(text: str, write: Callable[[str, str | None], str], *, is_sentence: bool) -> str:
    while _TELLING:
        _TELLING.pop()()

    def replaced(found: re.Match[str]) -> str:
        flag, word = found["flag"], found["word"]
        if flag is None or (flag not in _KNOWN and not (is_sentence and flag.startswith("--"))):
            return found[0]
        if not (is_sentence or flag.startswith("--")):
            return found[0]
        known = _KNOWN.get(flag, [_Named(flag[2:].replace("-", "_"), _guessed, None)])
        takes_value = [one for one in known if one.switch is None]
        if not takes_value:
            written = write(known[0].name, known[0].switch)
            return written if word is None else f"{written} {word}"
        if word is None:
            return write(takes_value[0].name, None)
        bare = word.rstrip(".:")
        value = next(filter(None, (one.read(bare) for one in takes_value)), None)
        if value is None:
            return f"{write(takes_value[0].name, None)} {word}"
        return write(takes_value[0].name, value) + word[len(bare) :]

    return _WRITTEN.sub(replaced, text)


def looks_like_a_value(word: str) -> bool:
    """Whether a word is none of a sentence: a number, a file, a placeholder such as N."""
    return re.search(r"[A-Z0-9.:/|*]", word) is not None


def _guessed(word: str) -> str | None:
    return repr(word) if looks_like_a_value(word) else None
