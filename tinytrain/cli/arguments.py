"""The options of the command line."""

from __future__ import annotations

import argparse
import re
from typing import Any

from tinytrain.cli.model_options import add_preprocess, add_setting
from tinytrain.version import __version__

_EXIT_CODES = """\
exit codes:
  0    done
  1    this machine refused: no memory, no room on the disk, a file that cannot be accessed
  2    an option or a folder makes no sense (UsageError)
  3    the model cannot be read or is not supported (ModelError)
  4    a data file cannot be read or does not fit (DataError)
  5    the update scheme does not fit the model (SchemeError)
  6    the result does not fit the target's memory (BudgetError)
  7    a compiler or emulator is missing or failed (ToolchainError)
  8    runs of an experiment failed, the others are done (RunError)
  70   a bug in tinytrain (InternalError)
  130  interrupted, 143 terminated; nothing is left half written
"""


def make_parser() -> argparse.ArgumentParser:
    """The parser of all commands; `command` of what it gives names the one that was chosen."""
    parser = argparse.ArgumentParser(
        prog="tinytrain",
        description="Compile a trained model into C that goes on training on a microcontroller.",
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"tinytrain {__version__}")
    commands = parser.add_subparsers(
        title="commands", dest="command", required=True, metavar="COMMAND"
    )
    _add_compile(commands)
    _add_simulate(commands)
    _add_experiment(commands)
    _add_inspect(commands)
    kernels = commands.add_parser(
        "kernels", help="show which kernels a compiled model calls, and what they are estimated at"
    )
    kernels.add_argument("directory", metavar="DIR", help="folder that `compile` wrote")
    kernels.add_argument("--json", action="store_true", help="print one JSON list")
    report = commands.add_parser(
        "report",
        help="write a page on what a compiled model takes: the arena over time, layers, time",
    )
    report.add_argument("directory", metavar="DIR", help="folder that `compile` wrote")
    report.add_argument(
        "-o", "--output", metavar="FILE.html", help="the page (default: DIR/build/report.html)"
    )
    report.add_argument("--json", action="store_true", help="print one JSON object")
    targets = commands.add_parser("targets", help="list the targets")
    targets.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def _add_compile(commands: Any) -> None:
    command = commands.add_parser("compile", help="write the C sources of a model that trains")
    command.add_argument("model", metavar="MODEL", help=".onnx, .tflite or .pt2 file")
    command.add_argument("-o", "--output", metavar="DIR", required=True, help="folder to write")
    command.add_argument(
        "--target", default="host", help="name of a target, or a target file (default: host)"
    )
    add_setting(command)
    command.add_argument(
        "--ram", type=_bytes, metavar="SIZE", help="budget such as 256K, instead of the target's"
    )
    command.add_argument(
        "--flash", type=_bytes, metavar="SIZE", help="budget such as 1M, instead of the target's"
    )
    command.add_argument(
        "--seed", type=int, default=0, help="of a fresh head and of stochastic rounding"
    )
    command.add_argument(
        "--no-health",
        dest="health",
        action="store_false",
        help="leave out the counters of what goes wrong in training, and their RAM",
    )
    command.add_argument("--name", help="C prefix (default: from the file's name)")
    add_preprocess(command)
    command.add_argument(
        "--dump-ir", metavar="DIR", help="write the graph as text after every pass"
    )
    command.add_argument(
        "--json", action="store_true", help="print one JSON object instead of tables"
    )


def _add_simulate(commands: Any) -> None:
    command = commands.add_parser(
        "simulate", help="train a compiled model on this machine or under emulation"
    )
    command.add_argument("directory", metavar="DIR", help="folder that `compile` wrote")
    command.add_argument("--on", default="host", choices=("host", "qemu"))
    command.add_argument(
        "--data", required=True, metavar="F.npz", help="samples to learn from: x, y"
    )
    command.add_argument("--eval", metavar="G.npz", help="samples to evaluate before and after")
    command.add_argument("--steps", type=int, required=True, metavar="N")
    command.add_argument(
        "--evaluate-every",
        type=int,
        default=0,
        metavar="N",
        help="evaluate after every N steps, too, by the model's own evaluate function",
    )
    command.add_argument(
        "--patience",
        type=int,
        default=0,
        metavar="P",
        help="stop where P such evaluations in a row were no better than the best before",
    )
    command.add_argument(
        "--learning-rate", type=float, metavar="R", help="instead of the compiled one"
    )
    command.add_argument("--seed", type=int, default=0, help="of the order of the samples")
    command.add_argument(
        "--order",
        default="shuffled",
        choices=("shuffled", "by-class", "drift"),
        help="of the samples: by-class sorts them, drift changes them slowly (default: shuffled)",
    )
    command.add_argument(
        "--replay-steps",
        type=int,
        metavar="R",
        help="on remembered samples after each new one (default: 1 where there is a buffer)",
    )
    command.add_argument(
        "--icount", action="store_true", help="count instructions (--on qemu; slower)"
    )
    command.add_argument(
        "--frozen-memory",
        type=lambda text: 0 if text.strip() == "0" else _bytes(text),
        metavar="SIZE",
        help="to keep what frozen layers give (--on host; default 512M, 0: compute it every time)",
    )
    command.add_argument("--load", metavar="FILE", help="start from saved parameters")
    command.add_argument("--save", metavar="FILE", help="write the trained parameters")
    command.add_argument(
        "--losses", metavar="FILE", help="write the loss of every step, one a line"
    )
    command.add_argument("--json", action="store_true", help="print one JSON object")


def _add_experiment(commands: Any) -> None:
    command = commands.add_parser(
        "experiment", help="compare models, data, schemes and rules: many runs, tables and plots"
    )
    command.add_argument("file", metavar="FILE.toml", help="what is compared; docs/training.md")
    command.add_argument(
        "-o", "--output", metavar="DIR", help="results (default: build/experiments/NAME)"
    )
    command.add_argument(
        "--cache",
        metavar="DIR",
        help="prepared data and libraries, for all experiments (default: build/experiments/cache)",
    )
    command.add_argument(
        "--workers", type=int, metavar="N", help="runs at a time (default: one for each core)"
    )
    command.add_argument(
        "--only", metavar="REGEX", help="runs whose title it is found in; --dry-run lists titles"
    )
    command.add_argument(
        "--dry-run", action="store_true", help="list the runs and which are done, and do nothing"
    )


def _add_inspect(commands: Any) -> None:
    command = commands.add_parser(
        "inspect",
        help="show layers, MACs, what can be trained and what is missing",
        description="Shows layers, MACs, what can be trained and what is missing. With --scheme "
        "also what that trains, a learning rate that suits it, and settings known to fail.",
    )
    command.add_argument("model", metavar="MODEL")
    add_setting(command)
    command.set_defaults(scheme=None)
    command.add_argument("--seed", type=int, default=0, help="of a fresh head")
    add_preprocess(command)
    command.add_argument("--json", action="store_true", help="print one JSON object")


def _bytes(text: str) -> int:
    found = re.fullmatch(r"(\d+)\s*([kKmM]?)i?[bB]?", text.strip())
    if not found or int(found.group(1)) == 0:
        raise argparse.ArgumentTypeError(f"'{text}' is no size; write 262144, 256K or 1M")
    return int(found.group(1)) * {"": 1, "k": 1024, "m": 1024 * 1024}[found.group(2).lower()]
