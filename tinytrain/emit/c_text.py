"""C text: identifiers, literals, arrays."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from tinytrain.reference.schedule import RateSchedule
from tinytrain.toolchain.c_layout import WIDTH

C_TYPES = {
    np.dtype(np.int8): "int8_t",
    np.dtype(np.uint8): "uint8_t",
    np.dtype(np.int16): "int16_t",
    np.dtype(np.uint16): "uint16_t",
    np.dtype(np.int32): "int32_t",
    np.dtype(np.float32): "float",
}
_KEYWORDS = frozenset(
    """
    auto break case char const continue default do double else enum extern float for goto if inline
    int long register restrict return short signed sizeof static struct switch typedef union
    unsigned void volatile while asm bool true false main
    """.split()
)
_LONGEST_NAME = 48
_TAKEN = frozenset(
    # make and CMake
    "all always build clean command edit_cache help include install list_install_components "
    "package package_source port rebuild_cache src test "
    # headers of C and of what they include in glibc and newlib
    "alloca assert complex ctype endian errno features fenv inttypes iso646 limits locale math "
    "newlib picolibc setjmp signal stdalign stdarg stdatomic stdbit stdbool stdckdint stddef "
    "stdint stdio stdlib stdnoreturn string strings tgmath threads time uchar unistd wchar wctype "
    "xlocale".split()
)


def identifier(text: str) -> str:
    """A C identifier that resembles `text`: letters, digits and single underscores."""
    name = re.sub(r"_+", "_", re.sub(r"[^0-9A-Za-z]", "_", text)).strip("_") or "model"
    if name[0].isdigit() or name.lower() in _KEYWORDS:
        name = f"model_{name}"
    return name


def call(function: str, *arguments: object) -> str:
    """A statement that calls a function."""
    return f"{function}({', '.join(map(str, arguments))});"


def model_name(text: str) -> str:
    """An identifier for a model that can also name its files and its program.

    They share folders and a namespace with the runtime, with what make and CMake write, and with
    the headers of the C library, which a file of the same name would hide.
    """
    name = identifier(text).lower()[:_LONGEST_NAME].rstrip("_")
    taken = name in _TAKEN or name.split("_")[0] in ("tt", "tinytrain")
    return f"model_{name}" if taken else name


def float_literal(value: float, *, in_header: bool = False) -> str:
    """An exact single-precision constant.

    Args:
        in_header: in decimal digits, as many as tell it from every other: C++ reads hexadecimal
            ones from C++17 on.
    """
    single = float(np.float32(value))
    if not in_header:
        return f"{single.hex()}f"
    text = format(single, ".9g")
    return f"{text}f" if re.search(r"[.e]", text) else f"{text}.0f"


def int_literal(value: int) -> str:
    """An integer constant; INT32_MIN cannot be written as one number."""
    return "(-2147483647 - 1)" if value == -(2**31) else str(value)


def initializer(array: np.ndarray) -> str:
    """The values of an array between braces."""
    flat = array.ravel()
    if array.dtype == np.float32:
        items = [float_literal(v) for v in flat]
    elif array.dtype == np.int32:
        items = [int_literal(v) for v in flat.tolist()]
    else:
        items = list(map(str, flat.tolist()))
    return table(items)


def table(items: Sequence[str]) -> str:
    """Items between braces, on every line as many as fit of the longest."""
    per_line = max(1, (WIDTH - len("    ")) // (max(map(len, items), default=1) + len(", ")))
    lines = [", ".join(items[k : k + per_line]) for k in range(0, len(items), per_line)]
    return "{\n    " + ",\n    ".join(lines) + "\n}"


_ACCESSORS = {"s8": "int8_t", "u8": "uint8_t", "s16": "int16_t", "s32": "int32_t", "f32": "float"}
"""Types of the arena that a model may read."""


def used_accessors(text: object, arena: str = "at") -> list[tuple[str, str]]:
    """Accessors of an arena that the model calls; clang warns of an unused one."""
    everything, types = str(text), _ACCESSORS.items()
    return [(dtype, c_type) for dtype, c_type in types if f"{arena}_{dtype}(" in everything]


def schedule_fields(schedule: RateSchedule) -> str:
    """The initialiser of a `tt_schedule`."""
    kind, factor = f"TT_SCHEDULE_{schedule.kind.upper()}", float_literal(schedule.factor)
    return f"{{{kind}, {schedule.warm_up}U, {schedule.period}U, {factor}}}"
