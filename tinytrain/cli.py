"""The command line: arguments in, tables out. Everything it does is in `compile` and `simulate`."""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tinytrain.console import (
    ProgressDisplay,
    facts_table,
    memory_table,
    print_error,
    print_table,
    targets_table,
)
from tinytrain.data import Preprocess
from tinytrain.errors import InternalError, TinytrainError, UsageError, Where
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
  70   a bug in tinytrain (InternalError)
  130  interrupted, 143 terminated; nothing is left half written
"""
_SIGNALLED = 128


class _Terminated(BaseException):
    """SIGTERM or SIGHUP: unwinds the stack, so that temporary files go."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; its exit code is 0, the `exit_code` of the error, or 128 + signal."""
    options = _parser().parse_args(arguments)
    try:
        with _unwound_by(signal.SIGTERM, signal.SIGHUP):
            options.run(options)
            sys.stdout.flush()
    except TinytrainError as error:
        print_error(error)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return _SIGNALLED + signal.SIGINT
    except _Terminated as signalled:
        return _SIGNALLED + int(signalled.args[0])
    except BrokenPipeError:
        # Whoever read our output has seen enough; without this Python complains once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return _SIGNALLED + signal.SIGPIPE
    except MemoryError:
        error = TinytrainError(
            "this machine has too little memory for that", way_out="use a smaller model or file"
        )
        print_error(error)
        return error.exit_code
    except OSError as refused:
        error = TinytrainError(
            f"the system refused: {refused.strerror or refused}",
            where=Where(str(refused.filename)) if refused.filename else None,
            way_out="make room on the disk, or check the permissions",
        )
        print_error(error)
        return error.exit_code
    # Whatever else comes is ours to mend, and the trace is what a report needs.
    except Exception as bug:
        traceback.print_exc()
        error = InternalError(
            f"this is a bug in tinytrain: {type(bug).__name__}",
            way_out="report it with the lines above and, if you can, the files",
        )
        print_error(error)
        return error.exit_code
    return 0


@contextmanager
def _unwound_by(*signals: signal.Signals) -> Iterator[None]:
    """Lets signals that would end the process at once raise `_Terminated` instead."""

    def unwind(number: int, frame: object) -> None:
        raise _Terminated(number)

    try:
        previous = {number: signal.signal(number, unwind) for number in signals}
    except ValueError:  # only the main thread may; a test or a program may call us from another
        previous = {}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tinytrain",
        description="Compile a trained model into C that goes on training on a microcontroller.",
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"tinytrain {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_compile(commands)
    _add_simulate(commands)
    _add_inspect(commands)
    targets = commands.add_parser("targets", help="list the targets")
    targets.add_argument("--json", action="store_true", help="print one JSON object")
    targets.set_defaults(run=_targets)
    return parser


def _add_compile(commands: Any) -> None:
    command = commands.add_parser("compile", help="write the C sources of a model that trains")
    command.add_argument("model", metavar="MODEL", help=".onnx, .tflite or .pt2 file")
    command.add_argument("-o", "--output", metavar="DIR", required=True, help="folder to write")
    command.add_argument(
        "--target", default="host", help="name of a target, or a target file (default: host)"
    )
    command.add_argument(
        "--classes",
        type=int,
        metavar="N",
        help="replace the classifier by a fresh one of N classes",
    )
    command.add_argument(
        "--scheme",
        default="full",
        metavar="FILE|PRESET",
        help="what is trained: head, bias, last-K, full, or a file",
    )
    command.add_argument(
        "--calibration", metavar="F.npz", help="inputs that quantize a float model"
    )
    command.add_argument(
        "--ranges",
        default="mse",
        choices=("mse", "minmax", "percentile"),
        help="how ranges of a float model are chosen (default: mse)",
    )
    command.add_argument(
        "--loss", default="cross_entropy", choices=("cross_entropy", "mean_squared_error")
    )
    command.add_argument(
        "--gradient", default="s8", choices=("s8", "s16", "f32"), help="dtype of gradients"
    )
    command.add_argument(
        "--update",
        default="stochastic",
        choices=("stochastic", "nearest"),
        help="rounding of updates",
    )
    command.add_argument(
        "--fraction-bits",
        type=int,
        default=4,
        choices=(0, 2, 4, 8),
        help="kept below each trained s8 weight",
    )
    command.add_argument(
        "--learning-rate",
        type=float,
        default=0.003,
        metavar="R",
        help="initial one (default: 0.003)",
    )
    command.add_argument(
        "--ram", type=_bytes, metavar="SIZE", help="budget such as 256K, instead of the target's"
    )
    command.add_argument(
        "--flash", type=_bytes, metavar="SIZE", help="budget such as 1M, instead of the target's"
    )
    command.add_argument(
        "--seed", type=int, default=0, help="of a fresh head and of stochastic rounding"
    )
    command.add_argument("--name", help="C prefix (default: from the file's name)")
    command.add_argument(
        "--resize", type=int, nargs=2, metavar=("H", "W"), help="uint8 images are resized to this"
    )
    command.add_argument(
        "--mean", type=float, nargs="+", metavar="M", help="uint8 images: (v / 255 - mean) / std"
    )
    command.add_argument("--std", type=float, nargs="+", metavar="S", help="see --mean")
    command.add_argument(
        "--dump-ir", metavar="DIR", help="write the graph as text after every pass"
    )
    command.add_argument(
        "--json", action="store_true", help="print one JSON object instead of tables"
    )
    command.set_defaults(run=_compile)


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
        "--learning-rate", type=float, metavar="R", help="instead of the compiled one"
    )
    command.add_argument("--seed", type=int, default=0, help="of the order of the samples")
    command.add_argument(
        "--icount", action="store_true", help="count instructions (--on qemu; slower)"
    )
    command.add_argument("--load", metavar="FILE", help="start from saved parameters")
    command.add_argument("--save", metavar="FILE", help="write the trained parameters")
    command.add_argument(
        "--losses", metavar="FILE", help="write the loss of every step, one a line"
    )
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.set_defaults(run=_simulate)


def _add_inspect(commands: Any) -> None:
    command = commands.add_parser(
        "inspect", help="show layers, MACs, what can be trained and what is missing"
    )
    command.add_argument("model", metavar="MODEL")
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.set_defaults(run=_inspect)


def _bytes(text: str) -> int:
    found = re.fullmatch(r"(\d+)\s*([kKmM]?)i?[bB]?", text.strip())
    if not found or int(found.group(1)) == 0:
        raise argparse.ArgumentTypeError(f"'{text}' is no size; write 262144, 256K or 1M")
    return int(found.group(1)) * {"": 1, "k": 1024, "m": 1024 * 1024}[found.group(2).lower()]


def _preprocess(options: argparse.Namespace) -> Preprocess | None:
    if options.resize is None and options.mean is None and options.std is None:
        return None
    return Preprocess(
        resize=tuple(options.resize) if options.resize else None,
        mean=tuple(options.mean or (0.0,)),
        std=tuple(options.std or (1.0,)),
    )


def _compile(options: argparse.Namespace) -> None:
    from tinytrain.compile import compile_model

    stages = ("import", "quantize", "build the training step", "emit", "measure")
    with ProgressDisplay(quiet=options.json) as display:
        product = compile_model(
            options.model,
            output=options.output,
            target=options.target,
            calibration=options.calibration,
            preprocess=_preprocess(options),
            ram=options.ram,
            flash=options.flash,
            dump_ir=options.dump_ir,
            progress=lambda stage: display.update(
                "compile", stages.index(stage), len(stages), stage
            ),
            scheme=options.scheme,
            classes=options.classes,
            loss=options.loss,
            gradient=options.gradient,
            rule=options.update,
            fraction_bits=options.fraction_bits,
            rate=options.learning_rate,
            seed=options.seed,
            method=options.ranges,
            name=options.name,
        )
        display.update("compile", len(stages), len(stages), "done")
    manifest = product.manifest
    if options.json:
        print(json.dumps(manifest, indent=2))
        return
    budget = manifest["budget"]
    print_table(
        memory_table(
            product.memory.ram,
            product.memory.flash,
            ram_budget=budget["ram"],
            flash_budget=budget["flash"],
        )
    )
    facts: dict[str, object] = {"sources": product.directory, "header": f"src/{manifest['name']}.h"}
    if product.quantization is not None:
        report = product.quantization
        facts["same prediction as float"] = f"{report.agreement:.1%} of {report.samples} samples"
        if report.accuracy_float is not None:
            facts["accuracy float, int8"] = (
                f"{report.accuracy_float:.1%}, {report.accuracy_int8:.1%}"
            )
        facts["error of the outputs"] = f"{report.rms_error:.1%} (root mean square)"
    facts["next"] = f"tinytrain simulate {product.directory} --data F.npz --steps N"
    print_table(facts_table(facts))


def _simulate(options: argparse.Namespace) -> None:
    from tinytrain.simulate.session import simulate

    for place in filter(None, (options.save, options.losses)):
        _check_place(Path(place))
    with ProgressDisplay() as display:
        result = simulate(
            options.directory,
            on=options.on,
            data=options.data,
            eval_data=options.eval,
            steps=options.steps,
            seed=options.seed,
            learning_rate=options.learning_rate,
            icount=options.icount,
            parameters_in=options.load,
            progress=display.update,
        )
    try:
        if options.save and result.saved is not None:
            _write(Path(options.save), result.saved)
        if options.losses:
            _write(Path(options.losses), "".join(f"{loss!r}\n" for loss in result.losses).encode())
    except OSError as error:
        raise UsageError(f"cannot write '{error.filename}': {error.strerror}") from error
    if options.json:
        print(result.to_json())
    else:
        figures = json.loads(result.to_json())
        # Below the table, where the narrowest terminal shows it whole.
        digest = figures.pop("weights_sha256")
        print_table(facts_table({name.replace("_", " "): value for name, value in figures.items()}))
        print(f"weights sha256 {digest}")


def _check_place(path: Path) -> None:
    """Raises UsageError, before a long session, for a file that could not be written after it."""
    if path.is_dir() or not os.access(path.absolute().parent, os.W_OK):
        raise UsageError(
            f"'{path}' cannot be written: "
            + ("it is a folder" if path.is_dir() else "its folder is missing or not writable"),
            way_out="name another file",
        )


def _write(path: Path, data: bytes) -> None:
    """Writes a file whole or not at all."""
    if path.exists() and not path.is_file():
        path.write_bytes(data)  # a pipe or a device
        return
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_bytes(data)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _inspect(options: argparse.Namespace) -> None:
    from tinytrain.inspect import inspect_model, layer_table

    report = inspect_model(options.model)
    if options.json:
        print(json.dumps(report.to_json(), indent=2))
        return
    print_table(layer_table(report))
    print_table(facts_table(report.facts()))


def _targets(options: argparse.Namespace) -> None:
    from tinytrain.target import list_targets, load_target

    found = [load_target(name) for name in list_targets()]
    if options.json:
        print(
            json.dumps(
                {
                    t.name: {
                        "description": t.description,
                        "core": t.core,
                        "ram": t.ram,
                        "flash": t.flash,
                        "emulated": t.machine is not None,
                    }
                    for t in found
                },
                indent=2,
            )
        )
        return
    print_table(targets_table(found))


if __name__ == "__main__":
    sys.exit(main())
