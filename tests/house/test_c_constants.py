"""A constant of the runtime's C stands once, and Python reads it from there."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import pytest

from tinytrain.errors import InternalError
from tinytrain.kernel.constants import c_constant

RUNTIME = Path(__file__).resolve().parents[2] / "runtime_c"


def names(file: Path) -> set[str]:
    """What a header defines: macros and enumerators."""
    text = re.sub(r"/\*.*?\*/", "", file.read_text(encoding="utf-8"), flags=re.DOTALL)
    members = ",".join(re.findall(r"\benum\b[^{;]*\{([^}]*)\}", text)).split(",")
    enumerators = {member.split("=")[0].strip() for member in members} - {""}
    return {*re.findall(r"^\s*#\s*define (\w+)", text, re.MULTILINE), *enumerators}


def test_no_name_belongs_to_two_headers() -> None:
    """Two headers may be included by one source. A `.inc.h` is a body, included many times."""
    owners = defaultdict(list)
    for file in sorted(RUNTIME.rglob("*.h")):
        for name in names(file) if not file.name.endswith(".inc.h") else ():
            owners[name].append(file.name)
    assert {"TT_STRIP_BYTES", "TT_RUN_LANES", "TT_OK"} <= set(owners)
    twice = {name: files for name, files in owners.items() if len(files) > 1}
    assert not twice, "\n".join(f"{name}: {', '.join(files)}" for name, files in twice.items())


def test_macros_and_enumerators_are_read() -> None:
    assert c_constant("tt_sgd.h", "TT_RANDOM_FACTOR") == 1664525
    assert c_constant("tt_columns_mve.h", "TT_RUN_LANES") == 8
    assert c_constant("tinytrain.h", "TINYTRAIN_RUNTIME_VERSION") == 2


@pytest.mark.parametrize("name", ["TT_COLUMNS", "TT_ROWS", "_COLUMNS"])
def test_what_is_no_number_is_an_error(name: str) -> None:
    """An expression, an unknown name, a part of a name."""
    with pytest.raises(InternalError, match=f"does not define {name} as a number"):
        c_constant("tt_rows.h", name)
