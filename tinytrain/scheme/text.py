"""Update schemes as TOML, the way `load_scheme` reads them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence

from tinytrain.errors import SchemeError
from tinytrain.scheme.scheme import NOTHING, Scheme, Share

WIDTH = 100
"""Of a line, in characters, where it can be broken."""


def scheme_text(scheme: Scheme, comments: Sequence[str] = ()) -> str:
    """A scheme file: `load_scheme` reads the same scheme from it, under the file's name.

    Args:
        comments: lines that stand above the scheme, without their `#`.

    Raises:
        SchemeError: the scheme trains nothing, which no file can say.
    """
    if not scheme.trains_head:
        raise SchemeError(
            "a scheme that trains nothing has no file", help=f"use the preset {NOTHING}"
        )
    # `splitlines` breaks at whatever a TOML comment may not hold, but for other control characters.
    lines = [f"# {_printable(line)}".rstrip() for text in comments for line in text.splitlines()]
    lines += _list("biases = [", map(_quoted, scheme.biases), "]")
    lines.append(f"channels = {_quoted(scheme.choice)}")
    if scheme.rate != 1.0:
        lines.append(f"rate = {scheme.rate!r}")
    if scheme.weights:
        lines += ["", "[weights]"]
        for layer, share in scheme.weights.items():
            lines += _share(_key(layer), share)
    if scheme.rates:
        lines += ["", "[rates]"]
        lines += [f"{_key(layer)} = {float(rate)!r}" for layer, rate in scheme.rates.items()]
    return "\n".join(lines) + "\n"


def _share(key: str, share: Share) -> list[str]:
    if share.channels is None:
        return [f"{key} = {float(share.fraction)!r}"]
    return _list(f"{key} = {{ channels = [", map(str, share.channels), "] }")


def _list(begin: str, items: Iterable[str], end: str) -> list[str]:
    """A list on one line, or broken into several where it is longer than `WIDTH`."""
    words = list(items)
    line = begin + ", ".join(words) + end
    if len(line) <= WIDTH:
        return [line]
    lines, row = [begin], "   "
    for word in words:
        if len(row) + len(word) + 2 > WIDTH and row.strip():
            lines.append(row)
            row = "   "
        row += f" {word},"
    return [*lines, row, end]


def _key(layer: str) -> str:
    return layer if re.fullmatch(r"[A-Za-z0-9_-]+", layer) else _quoted(layer)


def _quoted(text: str) -> str:
    """A TOML string: that of JSON, but for DEL, which JSON leaves as it is."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _printable(line: str) -> str:
    return "".join(c if c == "\t" or c.isprintable() else "?" for c in line)
