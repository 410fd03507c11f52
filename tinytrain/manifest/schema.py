"""Records as JSON and back: a frozen dataclass says which keys an object has, and what they hold.

A field's type decides what is read: `bool`, `int`, `float`, `str`, another record, `tuple[X, ...]`
and `tuple[X, Y]` for a list, `Mapping[str, X]` for an object with keys of its own, `X | None` for
what may be null, and `Annotated[X, check]` for what is less than all of a type. A key has the name
of its field, or the one that `key` gives in the field's metadata.
"""

from __future__ import annotations

import dataclasses
import math
import re
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar, cast

from tinytrain.errors import TinytrainError
from tinytrain.naming import as_written

Record = TypeVar("Record")

LARGEST = (1 << 53) - 1
"""The largest whole number that every reader of JSON holds exactly."""


class SchemaError(ValueError):
    """What was read is not what a schema says.

    Args:
        before: the sentence up to the place that it is about, such as "has no".
        path: of that place, such as "arena.steps[3]"; "" is the whole.
        after: the rest of the sentence, with what joins it to the path.
    """

    def __init__(self, before: str, path: str, after: str = "") -> None:
        super().__init__(before, path, after)
        self.before, self.path, self.after = before, path, after

    def __str__(self) -> str:
        return f"{self.before} '{self.path}'{self.after}"

    def inside(self, step: str) -> SchemaError:
        """The same error, seen from one level higher: `step` is a key or an index in brackets."""
        joint = "." if self.path and not self.path.startswith("[") else ""
        return SchemaError(self.before, f"{step}{joint}{self.path}", self.after)


def wrong(what: str, path: str = "") -> SchemaError:
    """The error about an entry that is there and is not what it should be: `what` says why."""
    return SchemaError("has a wrong entry:", path, f" {what}")


@dataclass(frozen=True)
class Whole:
    """Whole numbers from `least` to `most`."""

    least: int = 0
    most: int = LARGEST

    def __call__(self, value: int) -> None:
        if not self.least <= value <= self.most:
            raise wrong(f"is no whole number from {self.least} to {self.most}")


@dataclass(frozen=True)
class AtLeast:
    """Numbers from `least` on."""

    least: float

    def __call__(self, value: float) -> None:
        if value < self.least:
            raise wrong(f"is no number from {self.least:g} on")


@dataclass(frozen=True)
class Above:
    """Numbers above `least`."""

    least: float

    def __call__(self, value: float) -> None:
        if value <= self.least:
            raise wrong(f"is no number above {self.least:g}")


@dataclass(frozen=True)
class OneOf:
    """Texts out of those that are known."""

    known: tuple[str, ...]

    def __call__(self, value: str) -> None:
        if value not in self.known:
            raise wrong(f"is '{value}', not one of {', '.join(self.known)}")


@dataclass(frozen=True)
class Matches:
    """Texts of a pattern; `what` says of what kind they are."""

    pattern: str
    what: str

    def __call__(self, value: str) -> None:
        if not re.fullmatch(self.pattern, value, re.ASCII):
            raise wrong(f"is '{value}', which is no {self.what}")


@dataclass(frozen=True)
class TotalIsSum:
    """Numbers by name, whose sum stands under "total"."""

    def __call__(self, value: Mapping[str, int]) -> None:
        if "total" not in value:
            raise SchemaError("has no", "total")
        if sum(value.values()) != 2 * value["total"]:
            raise wrong("is not the sum of its parts", "total")


Count = Annotated[int, Whole()]
Positive = Annotated[int, Whole(1)]
Signed = Annotated[int, Whole(-LARGEST)]
Sha256 = Annotated[str, Matches(r"[0-9a-f]{64}", "SHA-256 in hexadecimal digits")]


def key(name: str) -> Mapping[str, str]:
    """Metadata of a field whose key in JSON is not its name: Python keeps some for itself."""
    return {"key": name}


def key_of(field: dataclasses.Field[Any]) -> str:
    """The key of a record's field."""
    return str(field.metadata.get("key", field.name))


def to_json(value: Any) -> Any:
    """What `json.dumps` takes, keys in the order of the fields."""
    if dataclasses.is_dataclass(value):
        return {key_of(f): to_json(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {name: to_json(held) for name, held in value.items()}
    if isinstance(value, (tuple, list)):
        return [to_json(held) for held in value]
    return as_written(value) if isinstance(value, str) else value


def from_json(record: type[Record], held: Any) -> Record:
    """A record of what `json.loads` gave.

    Raises:
        SchemaError: a key is missing, unknown, or holds something else than the schema says.
    """
    return cast(Record, read(record, held))


def read(kind: Any, held: Any) -> Any:
    """A value of a field's type; errors as `from_json`."""
    if dataclasses.is_dataclass(kind):
        return _read_record(cast(type, kind), held)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        value = read(arguments[0], held)
        for check in arguments[1:]:
            check(value)
        return value
    if origin in (typing.Union, types.UnionType):
        return _read_union(arguments, held)
    if origin is tuple:
        return _read_list(arguments, held)
    if origin is Mapping:
        return _read_mapping(arguments[1], held)
    return _SCALARS[kind](held)


def _read_record(record: type, held: Any) -> Any:
    fields = {key_of(field): field.name for field in dataclasses.fields(record)}
    hints = typing.get_type_hints(record, include_extras=True)
    if not isinstance(held, dict):
        raise wrong("is no object")
    for name in fields:
        if name not in held:
            raise SchemaError("has no", name)
    for name in held:
        if name not in fields:
            raise SchemaError("has an unknown entry", name)
    found = {field: _inside(name, hints[field], held[name]) for name, field in fields.items()}
    try:
        return record(**found)
    except TinytrainError as error:
        raise wrong(f"is not possible: {error.what}") from error


def _inside(step: str, kind: Any, held: Any) -> Any:
    try:
        return read(kind, held)
    except SchemaError as error:
        raise error.inside(step) from None


def _read_union(kinds: tuple[Any, ...], held: Any) -> Any:
    if held is None and type(None) in kinds:
        return None
    errors = []
    for kind in kinds:
        if kind is not type(None):
            try:
                return read(kind, held)
            except SchemaError as error:
                errors.append(error)
    # Of several kinds none is the one that was meant.
    raise errors[0] if len(errors) == 1 else wrong("has a value of no kind that is known")


def _read_list(kinds: tuple[Any, ...], held: Any) -> tuple[Any, ...]:
    if not isinstance(held, list):
        raise wrong("is no list")
    if kinds[-1] is Ellipsis:
        kinds = kinds[:1] * len(held)
    if len(held) != len(kinds):
        raise wrong(f"is no list of {len(kinds)}")
    return tuple(
        _inside(f"[{index}]", kind, item)
        for index, (kind, item) in enumerate(zip(kinds, held, strict=True))
    )


def _read_mapping(kind: Any, held: Any) -> dict[str, Any]:
    if not isinstance(held, dict):
        raise wrong("is no object")
    return {name: _inside(name, kind, item) for name, item in held.items()}


def _read_bool(held: Any) -> bool:
    if type(held) is not bool:
        raise wrong("is neither true nor false")
    return held


def _read_int(held: Any) -> int:
    if type(held) is not int:
        raise wrong("is no whole number")
    return held


def _read_float(held: Any) -> float:
    if type(held) not in (int, float) or not math.isfinite(held):
        raise wrong("is no number")
    return float(held)


def _read_str(held: Any) -> str:
    # JSON can write half of a surrogate pair, which no file can hold.
    if not isinstance(held, str) or re.search("[\ud800-\udfff]", held):
        raise wrong("is no text")
    return held


_SCALARS: Mapping[Any, Callable[[Any], Any]] = {
    bool: _read_bool,
    int: _read_int,
    float: _read_float,
    str: _read_str,
}
