"""The command line: runs one of `commands` and turns what goes wrong into a sentence and a code."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tinytrain.cli.command import command_named
from tinytrain.cli.console import print_error
from tinytrain.cli.parser import parse
from tinytrain.errors import InternalError, TinytrainError, refused

_SIGNALLED = 128


class _Terminated(BaseException):
    """SIGTERM or SIGHUP: unwinds the stack, so that temporary files go."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; its exit code is 0, the `exit_code` of the error, or 128 + signal."""
    try:
        with _unwound_by(signal.SIGTERM, signal.SIGHUP):
            options = parse(sys.argv[1:] if arguments is None else arguments)
            command_named(options.command).run(options)
            sys.stdout.flush()
    except TinytrainError as error:
        return _failed(error)
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
        too_large = "this machine has too little memory for that"
        return _failed(TinytrainError(too_large, help="use a smaller model or file"))
    except OSError as error:
        return _failed(refused(error))
    # Whatever else comes is ours to mend, and the trace is what a report needs.
    except Exception as bug:
        traceback.print_exc()
        return _failed(
            InternalError(
                f"this is a bug in tinytrain: {type(bug).__name__}",
                help="report it with the lines above and, if you can, the files",
            )
        )
    return 0


def _failed(error: TinytrainError) -> int:
    print_error(error)
    return error.exit_code


@contextmanager
def _unwound_by(*signals: signal.Signals) -> Iterator[None]:
    """Lets signals that would end the process at once raise `_Terminated` instead.

    A signal that whoever started us ignores, as `nohup` ignores SIGHUP, stays ignored.
    """

    def unwind(number: int, frame: object) -> None:
        raise _Terminated(number)

    heard = [number for number in signals if signal.getsignal(number) is not signal.SIG_IGN]
    try:
        previous = {number: signal.signal(number, unwind) for number in heard}
    except ValueError:  # only the main thread may; a test or a program may call us from another
        previous = {}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
