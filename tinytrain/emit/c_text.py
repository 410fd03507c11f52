"""C text: identifiers, literals, arrays."""

from __future__ import annotations

import re
import textwrap

import numpy as np

C_TYPES = {
    np.dtype(np.int8): "int8_t",
    np.dtype(np.uint8): "uint8_t",
    np.dtype(np.int16): "int16_t",
    np.dtype(np.uint16): "uint16_t",
    np.dtype(np.int32): "int32_t",
    np.dtype(np.float32): "float",
}
_KEYWORDS = frozenset(
    "auto break case char const continue default do double else enum extern float for goto if inline int long register "
    "restrict return short signed sizeof static struct switch typedef union unsigned void volatile while "
    "asm bool true false main".split()
)


def identifier(text: str) -> str:
    """A C identifier that resembles `text`: letters, digits and single underscores."""
    name = re.sub(r"_+", "_", re.sub(r"[^0-9A-Za-z]", "_", text)).strip("_") or "model"
    if name[0].isdigit() or name.lower() in _KEYWORDS:
        name = f"model_{name}"
    return name


def float_literal(value: float) -> str:
    """An exact single-precision constant."""
    single = float(np.float32(value))
    return f"{single.hex()}f"


def int_literal(value: int) -> str:
    """An integer constant; INT32_MIN cannot be written as one number."""
    return "(-2147483647 - 1)" if value == -(2**31) else str(value)


def initializer(array: np.ndarray, width: int = 108) -> str:
    """The values of an array between braces, wrapped."""
    flat = array.ravel()
    if array.dtype == np.float32:
        items = [float_literal(v) for v in flat]
    elif array.dtype == np.int32:
        items = [int_literal(v) for v in flat.tolist()]
    else:
        items = list(map(str, flat.tolist()))
    per_line = max(1, width // (max(map(len, items), default=1) + 2))
    lines = [", ".join(items[k : k + per_line]) for k in range(0, len(items), per_line)]
    return "{\n" + textwrap.indent(",\n".join(lines), "    ") + "\n}"
