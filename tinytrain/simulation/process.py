"""Running firmware as a process and reading its lines while it runs."""

from __future__ import annotations

import contextlib
import os
import selectors
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tinytrain.errors import ToolchainError
from tinytrain.simulation.engine import Progress, RawOutcome
from tinytrain.simulation.frozen_cache import FrozenCache
from tinytrain.simulation.protocol import ProtocolReader
from tinytrain.simulation.serial_files import SerialFiles
from tinytrain.simulation.stream import SampleStream
from tinytrain.simulation.stream_file import write_kept, write_stream

SILENCE_LIMIT = 300.0
"""Seconds without a line after which firmware counts as hung. A step of the largest models takes a
few seconds under emulation; a machine shared with other work gets a hundred times that."""

_LINE_LIMIT = 4096


def run_session(
    command: Sequence[str],
    directory: Path,
    stream: SampleStream,
    progress: Progress,
    *,
    cache: FrozenCache | None = None,
    over_serial: bool = False,
    silence_limit: float = SILENCE_LIMIT,
) -> RawOutcome:
    """Write a session's files, run firmware on them, collect the outcome.

    Args:
        command: the program and its arguments, as absolute paths.
        directory: an empty working directory for the process; holds the session's files.
        cache: of frozen activations, if the program was built for it.
        over_serial: whether standard input and output of the process are a serial line, over which
            the program has its files.
        silence_limit: seconds without a line after which the process is ended.

    Raises:
        ToolchainError: the program cannot start, crashes, hangs or stops early.
        DataError: the parameters to start from are refused.
        UsageError: the learning rate is refused.
    """
    try:
        write_stream(
            stream,
            directory / "stream.bin",
            lambda done, total: progress("prepare", done, total, ""),
            cache,
        )
        if stream.is_guarded:
            write_kept(stream, directory / "kept.bin")
        if stream.parameters_in is not None:
            (directory / "parameters_in.bin").write_bytes(stream.parameters_in)
    except OSError as error:
        raise ToolchainError(
            f"the session's files cannot be written: {error.strerror}",
            help="make room on the disk, or set TMPDIR to a folder on a larger one",
        ) from error
    reader = ProtocolReader(stream, progress)
    files = SerialFiles(directory) if over_serial else None
    try:
        _run_lines(command, directory, reader, silence_limit, files)
    finally:
        if files is not None:
            files.close()
    saved = directory / "parameters_out.bin"
    return reader.outcome(saved.read_bytes() if saved.exists() else b"")


def _run_lines(
    command: Sequence[str],
    directory: Path,
    reader: ProtocolReader,
    silence_limit: float,
    files: SerialFiles | None,
) -> None:
    try:
        # Standard input is empty, so that an emulator never reads the user's terminal.
        process = subprocess.Popen(
            command,
            cwd=directory,
            stdin=subprocess.DEVNULL if files is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    except OSError as error:
        raise ToolchainError(f"'{command[0]}' cannot be started: {error.strerror}") from error
    try:
        _read_lines(process, reader, silence_limit, files)
        code = files.code if files is not None else None
        if code is None:
            code = process.wait(silence_limit)
    except subprocess.TimeoutExpired as error:
        raise reader.failed("the firmware closed its output but did not end") from error
    finally:
        if process.stdin is not None:
            with contextlib.suppress(OSError):
                process.stdin.close()
        if process.poll() is None:
            process.kill()
            process.wait()
    if code < 0:
        raise reader.failed(f"the firmware or its emulator crashed (signal {-code})")
    if code > 0:
        raise reader.failed(f"the firmware ended with exit code {code}")


def _read_lines(
    process: subprocess.Popen[bytes],
    reader: ProtocolReader,
    silence_limit: float,
    files: SerialFiles | None,
) -> None:
    """Gives the lines of a process to a reader, until the output or the program ends."""
    assert process.stdout is not None
    rest = b""
    with process.stdout as pipe, selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while files is None or files.code is None:
            if not selector.select(silence_limit):
                raise reader.failed(f"the firmware was silent for {silence_limit:g} seconds")
            block = os.read(pipe.fileno(), 1 << 16)
            if not block:
                break
            if files is not None:
                block = _serve(process, files, block)
            *lines, rest = (rest + block).split(b"\n")
            for line in lines:
                reader.line(_text(line))
            rest = rest[-_LINE_LIMIT:]
    if rest:
        reader.line(_text(rest))


def _serve(process: subprocess.Popen[bytes], files: SerialFiles, block: bytes) -> bytes:
    """Serves the calls in what came over the line; what the program said besides, errors last."""
    text = files.feed(block)
    if files.answer:
        assert process.stdin is not None
        # One that is gone is seen at the end of its output.
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(files.answer)
            process.stdin.flush()
        files.answer.clear()
    text += bytes(files.errors)
    files.errors.clear()
    return text


def _text(line: bytes) -> str:
    """A line as printable text: what a crash leaves behind can hold anything."""
    text = line.decode("utf-8", errors="replace").rstrip("\r")
    return "".join(c if c.isprintable() else "?" for c in text)[:_LINE_LIMIT]
