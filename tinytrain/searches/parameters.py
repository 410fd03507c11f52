"""What `search` takes: one row a parameter."""

from __future__ import annotations

from dataclasses import replace

from tinytrain.compiler.options import ARITHMETIC, LEARNING, MEMORY, OPTIONS, RATE, TRAINED
from tinytrain.compiler.parameters import COMPILE, DATA, MODEL_FILE, TARGET
from tinytrain.experiments.parameters import WORKERS
from tinytrain.option import FILE, FOLDER, Group, Option, by_name

CHOICE = Group("search", "what is chosen by, and what is written")
WORK = Group("work", "where what was measured is kept, and who measures")

GROUPS = (CHOICE, MODEL_FILE, TARGET, DATA, WORK, TRAINED, LEARNING, RATE, ARITHMETIC, MEMORY)
"""In the order in which they are shown."""

STEP_OPTIONS = tuple(
    name
    for name, row in OPTIONS.items()
    # The scheme is what is searched, each candidate gets the rate that is suggested for it, and
    # headroom would give each another model.
    if row.group in (TRAINED, LEARNING, RATE, ARITHMETIC, MEMORY)
    and name not in ("scheme", "learning_rate", "weight_headroom", "range_headroom")
)
"""Of `Options`, what a search leaves to the user."""

_COMPILE = by_name(COMPILE)

_OWN = (
    Option("labelled samples to learn from and to choose by, x and y of an .npz file", CHOICE,
           "data", FILE, metavar="F.npz", required=True),
    Option("labelled samples that the choice never sees, to report what was found", CHOICE,
           "eval", FILE, metavar="F.npz"),
    Option("the scheme to write; a page, CSV and JSON go beside it", CHOICE, "output", FILE,
           metavar="FILE.toml", short="-o", required=True),
    Option("scheme files to show beside what was found, never to choose", CHOICE, "beside", FILE,
           several=True, metavar="FILE.toml"),
    Option("folder of what was measured; another search of the same model and data goes on "
           "from it", WORK, "store", FOLDER, "build/search", metavar="DIR"),
    replace(WORKERS, group=WORK, help="trainings at a time, instead of one for each core; or the "
            "Ray cluster that they go to"),
)  # fmt: skip


def _grouped(*rows: Option) -> tuple[Option, ...]:
    return tuple(sorted(rows, key=lambda row: (GROUPS).index(row.group)))


SEARCH = _grouped(
    replace(
        _COMPILE["calibration"],
        help="inputs that set the ranges of a float model, as `x` of an .npz file, in the place of "
        "--data",
    ),
    *(
        _COMPILE[name]
        for name in (
            "model",
            "model_output",
            "target",
            "ram",
            "flash",
            "instructions",
            "mean",
            "std",
        )
    ),
    *_OWN,
    *(OPTIONS[name] for name in STEP_OPTIONS),
)
