"""Constants of the runtime's C, read from the files that define them: each stands once.

Most are sizes that kernels are built with, on which costs and workspaces depend.
"""

from __future__ import annotations

import re
from functools import cache

from tinytrain import resources
from tinytrain.errors import InternalError


def c_constant(file: str, name: str) -> int:
    """The value of a macro or an enumerator that is a whole number.

    Args:
        file: of the runtime, by its name.
        name: of the macro or the enumerator.

    Raises:
        InternalError: the file does not define it as such a number, once.
    """
    found = re.findall(rf"(?:#define {name}|\b{name} =) (\d+)U?(?=\s|,)", _text(file))
    if len(found) != 1:
        raise InternalError(f"{file} does not define {name} as a number, once")
    return int(found[0])


@cache
def _text(file: str) -> str:
    root = resources.folder("runtime_c")
    source = root / "src" / file
    return (source if source.is_file() else root / "include" / file).read_text(encoding="utf-8")
