"""What `report` and `kernels` take: one row a parameter."""

from __future__ import annotations

from tinytrain.option import FILE, FOLDER, GENERAL, Option

_DIRECTORY = Option(
    "folder that `compile` wrote", GENERAL, "directory", FOLDER,
    metavar="DIR", positional=True, required=True,
)  # fmt: skip
_OUTPUT = Option(
    "the page; DIR/build/report.html where it is not given", GENERAL, "output", FILE,
    metavar="FILE.html", short="-o",
)  # fmt: skip

KERNELS = (_DIRECTORY,)
REPORT = (_DIRECTORY, _OUTPUT)
