"""What `package` takes: one row a parameter."""

from __future__ import annotations

from tinytrain.option import FILE, FOLDER, GENERAL, Option
from tinytrain.packages.ways import WAYS

_DIRECTORIES = Option(
    "folders that `compile` wrote; of several, the models share one runtime", GENERAL,
    "directories", FOLDER, metavar="DIR", positional=True, required=True, several=True,
)  # fmt: skip
_WAY = Option(
    "what the package is for", GENERAL, "as_", choices=tuple(way.name for way in WAYS),
    metavar="WAY", required=True, see="packages.md",
)  # fmt: skip
_OUTPUT = Option(
    "the archive, or a folder that it goes into under its usual name", GENERAL, "output", FILE,
    metavar="OUT", short="-o", required=True,
)  # fmt: skip

PACKAGE = (_DIRECTORIES, _WAY, _OUTPUT)
