"""Puts the program of a compiled folder into a board."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tinytrain.boards.drive import check_drive, uf2_drive
from tinytrain.boards.images import flat, segments, uf2
from tinytrain.boards.parameters import FLASH
from tinytrain.boards.run import run_runner
from tinytrain.errors import UsageError, Where
from tinytrain.link.line import check_device
from tinytrain.option import check_options
from tinytrain.output_file import write_file
from tinytrain.simulation.folder import open_folder
from tinytrain.target import BoardFacts, Target, load_target, targets
from tinytrain.target.runner import FlashRunner, runner_named
from tinytrain.toolchain.build import build
from tinytrain.toolchain.build_files import LINK_MAIN
from tinytrain.toolchain.commands import require

Tell = Callable[[str], None]
"""Called with each command before it runs, and with each line that it says."""


@dataclass(frozen=True)
class FlashResult:
    """What was done, or would be.

    Attributes:
        board: the target's name.
        runner: the tool's.
        program: the file that is flashed.
        commands: as one would type them.
        ran: whether they were run.
    """

    board: str
    runner: str
    program: Path
    commands: tuple[str, ...]
    ran: bool


def flash(
    directory: str | Path,
    *,
    board: str | None = None,
    runner: str | None = None,
    port: str | None = None,
    program: str | Path | None = None,
    dry_run: bool = False,
    tell: Tell = print,
) -> FlashResult:
    """Builds the program of a compiled folder for a board, and flashes it.

    It is the one that answers over a serial line where the folder was compiled with `link`.

    Args:
        directory: a folder that `compile_model` wrote.
        board: a target, or the path of its file; None takes the one that the folder is for.
        runner: one of the board's; None takes its first.
        port: where the board is, if the runner cannot know: a serial port, HOST:PORT of a gdb
            server, the folder of a drive.
        program: this file instead.
        dry_run: build nothing and run nothing.
        tell: is called with each command before it runs, and with what it says.

    Raises:
        UsageError: the folder is none; the target is no board, or this runner is none of its own;
            the runner must know where the board is; no drive waits there, or no serial port is
            there.
        ToolchainError: the tool is missing or fails, or the program does not build.
        BudgetError: the program does not fit the board.
    """
    check_options(FLASH, directory=directory, board=board, runner=runner, port=port,
                  program=program, dry_run=dry_run)  # fmt: skip
    folder = open_folder(directory)
    target = load_target(board or folder.manifest.target)
    facts, row = _runner_of(target, runner)
    chip = facts.runners[row.name]
    name = folder.manifest.name
    linked = _has_link(folder.path, target, tell if program is None else lambda line: None)
    place = folder.path / "build" / f"flash-{target.name}"
    if program is None:
        _check_own_program(target, row)
        file = place / f"{name}{'_link' if linked else ''}.{row.takes}"
    else:
        file = _given(Path(program))
    where = _where(row, facts, port, dry_run=dry_run)
    if not dry_run:
        _require(row.tool)
        if program is None:
            built = build(folder.path, target, variant=place.name, name=name, link=linked)
            _convert(built, file, row, chip)
    commands = _commands(row, chip, target, file, where)
    if row.before:
        tell(f"first: {row.before}")
    for words in commands:
        tell(f"$ {shlex.join(words)}")
        if not dry_run:
            run_runner([_require(words[0]), *words[1:]], row, tell)
    shown = tuple(shlex.join(words) for words in commands)
    return FlashResult(target.name, row.name, file, shown, not dry_run)


def _runner_of(target: Target, name: str | None) -> tuple[BoardFacts, FlashRunner]:
    """What a target is as a board, and the runner that was asked for."""
    facts = target.board
    if facts is None or not facts.runners:
        boards = ", ".join(one.name for one in targets() if one.board and one.board.runners)
        raise UsageError(
            f"target '{target.name}' is no board that can be flashed",
            detail=f"boards: {boards}",
            help="name one with --board, or give a target file of your own a [board] table",
        )
    chosen = name or next(iter(facts.runners))
    row = runner_named(chosen)
    if row is None or chosen not in facts.runners:
        raise UsageError(
            f"'{target.name}' is not flashed by '{chosen}'",
            help=f"take one of {', '.join(facts.runners)}, or add it to [board.runners] of a "
            "target file of your own",
        )
    return facts, row


def _given(program: Path) -> Path:
    if not program.is_file():
        raise UsageError(
            "there is no such program",
            where=Where(str(program)),
            help="build it first, or leave --program out: the folder's own is built by itself",
        )
    return program


def _has_link(directory: Path, target: Target, tell: Tell) -> bool:
    """Whether a folder has the program that answers over a serial line, and the board a line; tells
    where only the latter lacks."""
    has_link = (directory / LINK_MAIN).is_file()
    if has_link and not target.has_line:
        tell(f"the program of simulate: --link has none for '{target.name}' (docs/boards.md)")
    return has_link and target.has_line


def _check_own_program(target: Target, row: FlashRunner) -> None:
    if row.makes_program:
        raise UsageError(
            f"the program for '{target.name}' comes from {row.makes_program}, not from the folder",
            help=f"build it with the folder as a component of {row.makes_program} "
            "(docs/packages.md), and give the image: --program build/NAME.bin",
        )


def _where(row: FlashRunner, facts: BoardFacts, port: str | None, *, dry_run: bool) -> str:
    """What stands for `{port}` and `{drive}`."""
    words = " ".join(word for command in row.commands for word in command)
    if port is not None:
        if "{drive}" in words and not dry_run:
            check_drive(Path(port))
        if "{port}" in words and not dry_run:
            check_device(port)
        return port
    if "{drive}" in words:
        return "DRIVE" if dry_run else uf2_drive()
    if "{port}" not in words:
        return ""
    if row.has_server:
        return facts.runners[row.name]
    if dry_run:
        return "PORT"
    raise UsageError(
        f"'{row.name}' has to know where the board is",
        help=f"name the serial port, such as --port /dev/ttyUSB0; of this board: {facts.port}",
    )


def _commands(
    row: FlashRunner, chip: str, target: Target, file: Path, where: str
) -> list[tuple[str, ...]]:
    assert target.memory is not None, "a board has memory"
    held = (room for name, room in target.memory.regions.items() if name != "RAM")
    first = min(room.origin for room in held)
    words = {"program": str(file), "chip": chip, "address": f"{first:#010x}"}
    words |= {"port": where, "drive": where}
    return [tuple(word.format(**words) for word in command) for command in row.commands]


def _convert(built: Path, file: Path, row: FlashRunner, chip: str) -> None:
    """Writes the file that the runner takes beside the ELF file; that file itself stays."""
    if row.takes == "bin":
        write_file(file, flat(segments(built))[1])
    elif row.takes == "uf2":
        write_file(file, uf2(segments(built), int(chip, 16)))


def _require(tool: str) -> str:
    """The path of a tool, also where it lies beside the Python that runs this."""
    beside = Path(sys.executable).parent / tool
    return str(beside) if beside.is_file() and not shutil.which(tool) else require(tool)
