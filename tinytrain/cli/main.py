"""The command line: runs one of `commands` and turns what goes wrong into a sentence and a code."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress

from tinytrain.cli.command import command_named
from tinytrain.cli.console import print_error
from tinytrain.cli.parser import parse
from tinytrain.cli.signals import Terminated, unwound_by
from tinytrain.errors import InternalError, TinytrainError, refused

_SIGNALLED = 128


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; its exit code is 0, the `exit_code` of the error, or 128 + signal."""
    try:
        with unwound_by(signal.SIGTERM, signal.SIGHUP):
            options = parse(sys.argv[1:] if arguments is None else arguments)
            command_named(options.command).run(options)
            sys.stdout.flush()
    except TinytrainError as error:
        return _failed(error)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return _SIGNALLED + signal.SIGINT
    except Terminated as ended:
        with suppress(OSError):  # of SIGHUP the terminal may be gone
            print(f"ended by {ended.signal.name}", file=sys.stderr)
        return _SIGNALLED + ended.signal
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
