"""What `experiment` takes: one row a parameter."""

from __future__ import annotations

from tinytrain.option import FILE, FOLDER, GENERAL, INTEGER, SWITCH, Option

WORKERS = Option(
    "runs at a time, instead of one for each core; or the Ray cluster that they go to",
    GENERAL, "workers", INTEGER, low=1, high=1024, words=("ray",), address="ray", metavar="N",
    see="training.md#many-machines",
)  # fmt: skip
"""Of every command that runs jobs."""

EXPERIMENT = (
    Option("what is compared; docs/training.md", GENERAL, "file", FILE, metavar="FILE.toml",
           positional=True, required=True),
    Option("folder of the results, instead of build/experiments/NAME", GENERAL, "output",
           FOLDER, metavar="DIR", short="-o"),
    Option("folder of prepared data and libraries, for all experiments", GENERAL, "cache", FOLDER,
           "build/experiments/cache", metavar="DIR"),
    WORKERS,
    Option("runs whose title it is found in; --dry-run lists titles", GENERAL, "only",
           metavar="REGEX"),
    Option("list the runs and which are done, and do nothing", GENERAL, "dry_run", SWITCH, False),
)  # fmt: skip
