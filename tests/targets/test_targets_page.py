"""docs/targets.md and docs/boards.md: their tables, from the targets' files."""

from __future__ import annotations

from tests.support.pages import hold_section
from tests.support.rp2040 import PICO
from tinytrain.target import Target, targets


def size(nbytes: int) -> str:
    for unit, letter in ((1 << 20, "M"), (1 << 10, "K")):
        if nbytes >= unit:
            return f"{nbytes / unit:.4g}{letter}"
    return str(nbytes)


def checked_by(target: Target) -> str:
    if target.is_host:
        return "here"
    if target.machine is None:
        return "rp2040js, UART" if target.name == PICO else "-"
    return "QEMU, UART" if target.files_over_serial else "QEMU"


def core(target: Target) -> str:
    if target.is_host:
        return "this machine"
    clock = f" at {target.clock_hz // 10**6} MHz" if target.clock_hz else ""
    return f"{target.core}{clock}"


def test_targets_page() -> None:
    head = "| target | what it is | core | RAM | flash | checked by |"
    rows = [head, "|---" * 6 + "|"]
    for target in targets():
        words = [f"`{target.name}`", target.description, core(target)]
        budget = ["", ""] if target.is_host else [size(target.ram), size(target.flash)]
        rows.append("| " + " | ".join([*words, *budget, checked_by(target)]) + " |")
    hold_section("targets.md", "targets", "\n".join(["", *rows, "", ""]))


def test_boards_page() -> None:
    head = "| target | board | serial port | program of `--link` | runners |"
    rows = [head, "|---" * 5 + "|"]
    for target in targets():
        if (board := target.board) is not None:
            runners = ", ".join(board.runners)
            linked = "yes" if target.has_line else "your own"
            words = (f"`{target.name}`", board.name, board.port, linked, runners)
            rows.append(f"| {' | '.join(words)} |")
    hold_section("boards.md", "boards", "\n".join(["", *rows, "", ""]))
