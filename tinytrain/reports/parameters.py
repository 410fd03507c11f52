"""What `report` and `kernels` take: one row a parameter."""

from __future__ import annotations

from tinytrain.option import FILE, FOLDER, GENERAL, Option

_DIRECTORY = Option(
    "folder that `compile` wrote", GENERAL, "directory", FOLDER,
    metavar="DIR", positional=True, required=True,
)  # fmt: skip
_OUTPUT = Option(
    "the page, instead of DIR/build/report.html", GENERAL, "output", FILE,
    metavar="FILE.html", short="-o",
)  # fmt: skip

KERNELS = (_DIRECTORY,)
REPORT = (_DIRECTORY, _OUTPUT)
