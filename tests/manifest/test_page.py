"""docs/manifest.md: every field of the schema with what its docstring says; the format's number."""

from __future__ import annotations

import dataclasses
import hashlib
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from tests.support.pages import attributes_of, hold_section, summary_of
from tinytrain.manifest import FORMAT, Manifest
from tinytrain.manifest.records import Scalar
from tinytrain.manifest.schema import (
    LARGEST,
    Above,
    AtLeast,
    Matches,
    OneOf,
    TotalIsSum,
    Whole,
    key_of,
)

SCALARS = {bool: "true or false", int: "whole number", float: "number", str: "text"}


def check_text(check: Any, plain: str) -> str:
    """What an annotation leaves of a type."""
    match check:
        case Whole(least, most) if least == most:
            return str(least)
        case Whole(0, most) if most == LARGEST:
            return plain
        case Whole(least, most) if most == LARGEST and least > 0:
            return f"{plain} from {least}"
        case Whole(least, most) if most == LARGEST:
            return f"{plain}, may be negative"
        case Whole(least, most):
            return f"{least} to {most}"
        case AtLeast(least):
            return f"number from {least:g}"
        case Above(least):
            return f"number above {least:g}"
        case OneOf(known):
            return ", ".join(f"`{text}`" for text in known)
        case Matches(_, what):
            return what
        case TotalIsSum():
            return f"{plain}, and their `total`"
    raise AssertionError(f"no text for {check}")


def kind_text(kind: Any, place: str) -> str:
    """What a field holds, in words; a record is a link to its table."""
    if kind == Scalar:
        return "text, number, true, false or null"
    if dataclasses.is_dataclass(kind):
        return f"[object](#{anchor(place)})"
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        text = kind_text(inner[0], place)
        for check in inner[1:]:
            text = check_text(check, text)
        return text
    if origin in (typing.Union, types.UnionType):
        texts = [kind_text(one, place) for one in inner if one is not type(None)]
        return " or ".join([*texts, *(["null"] if type(None) in inner else [])])
    if origin is tuple:
        many = "list" if inner[-1] is Ellipsis else f"list of {len(inner)}"
        return f"{many}: {kind_text(inner[0], place)}"
    if origin is Mapping:
        return f"by name: {kind_text(inner[1], place)}"
    return SCALARS[kind]


def anchor(place: str) -> str:
    """As Markdown makes it of a heading."""
    return "".join(c for c in place.lower() if c.isalnum() or c in "_-")


def record_in(kind: Any) -> type | None:
    """The record that a field's type holds, if it does."""
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return kind
    return next((found for one in typing.get_args(kind) if (found := record_in(one))), None)


def tables(record: type, place: str) -> Iterator[str]:
    """The table of a record and those of the records in it."""
    hints = typing.get_type_hints(record, include_extras=True)
    said = attributes_of(record)
    assert set(said) == set(hints), f"{record.__name__} says nothing of a field, or of none"
    rows, inner = [], []
    for field in dataclasses.fields(record):
        key = key_of(field)
        at = f"{place}.{key}" if place else key
        rows.append(f"| `{key}` | {kind_text(hints[field.name], at)} | {said[field.name]} |")
        if held := record_in(hints[field.name]):
            inner.append((held, at))
    title = f"### `{place}`" if place else "### The whole"
    yield "\n".join(["", title, "", summary_of(record), "", "| key | holds | |", "|---|---|---|"])
    yield "\n".join(rows) + "\n"
    for held, at in inner:
        yield from tables(held, at)


def test_the_page_shows_every_field() -> None:
    text = "\n".join(tables(Manifest, "")) + "\n"
    hold_section("manifest.md", "fields", text)
    assert max(map(len, text.splitlines())) < 250


def keys(record: type, place: str = "") -> Iterator[str]:
    hints = typing.get_type_hints(record, include_extras=True)
    for field in dataclasses.fields(record):
        at = f"{place}.{key_of(field)}"
        yield f"{at}: {kind_text(hints[field.name], '')}"
        if held := record_in(hints[field.name]):
            yield from keys(held, at)


def test_other_keys_are_another_format() -> None:
    """Where this fails a reader cannot read what another version wrote: FORMAT has to rise."""
    digest = hashlib.sha256("\n".join(keys(Manifest)).encode()).hexdigest()
    assert (FORMAT, digest[:16]) == (3, "f2394805efc35879")
