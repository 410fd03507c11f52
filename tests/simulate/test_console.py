"""Progress, errors and tables as text."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from tinytrain.cli.commands.simulate import classes_table
from tinytrain.cli.console import ProgressDisplay, print_error, print_table
from tinytrain.cli.tables import facts_table, memory_table
from tinytrain.errors import DataError, Where


def console(*, terminal: bool) -> tuple[Console, io.StringIO]:
    text = io.StringIO()
    return Console(file=text, force_terminal=terminal, width=100), text


def test_plain_lines_each_tenth() -> None:
    output, text = console(terminal=False)
    with ProgressDisplay(output) as display:
        for done in range(1, 101):
            display.update("train", done, 100, f"loss {done}[b]")
        display.update("evaluate after", 1, 1, "")
    lines = text.getvalue().splitlines()
    assert len(lines) == 11
    assert lines[0] == "train 10/100 loss 10[b]"
    assert lines[-2:] == ["train 100/100 loss 100[b]", "evaluate after 1/1"]


def test_bars_on_a_terminal() -> None:
    output, text = console(terminal=True)
    with ProgressDisplay(output) as display:
        display.update("train", 50, 100, "loss 0.5")
        display.update("train", 100, 100, "loss 0.25[b]")
    assert "train" in text.getvalue()
    assert "100/100" in text.getvalue()
    assert "loss 0.25[b]" in text.getvalue()


@pytest.mark.parametrize("terminal", [False, True])
def test_quiet(terminal: bool) -> None:
    output, text = console(terminal=terminal)
    with ProgressDisplay(output, quiet=True) as display:
        display.update("train", 100, 100, "loss 0.5")
    assert text.getvalue() == ""


def test_progress_and_errors_leave_standard_output_alone(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with ProgressDisplay() as display:
        display.update("train", 1, 1, "")
    print_error(DataError("x is [bold]wrong[/bold]", where=Where("a.npz"), help="mend it"))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == (
        "train 1/1\nerror: x is [bold]wrong[/bold]\n  at: a.npz\n  help: mend it\n"
    )


def test_memory_table(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(
        memory_table({"arena": 1500, "stack": 500, "total": 2000}, {"total": 10}, ram_budget=4000)
    )
    rows = [
        [cell.strip() for cell in line.strip("│┃").replace("┃", "│").split("│")]
        for line in capsys.readouterr().out.splitlines()
        if line[:1] in "│┃"
    ]
    assert rows == [
        ["memory", "use", "bytes"],
        ["RAM", "arena", "1,500"],
        ["RAM", "stack", "500"],
        ["RAM", "total", "2,000"],
        ["RAM", "budget, 50% used", "4,000"],
        ["flash", "total", "10"],
    ]


def test_classes_table_shows_what_lost_most() -> None:
    output, text = console(terminal=False)
    output.print(classes_table([0.5, None, 1.0, 0.25], [0.75, None, 0.5, 0.25], most=2))
    rows = [line.replace("│", " ").split() for line in text.getvalue().splitlines()[3:-1]]
    assert rows == [["2", "100.0%", "50.0%", "-50.0"], ["3", "25.0%", "25.0%", "+0.0"]]


def test_facts_table() -> None:
    output, text = console(terminal=False)
    output.print(facts_table({"steps": 3, "accuracy": None, "file": "a[b].npz"}))
    lines = [line.replace("│", " ").split() for line in text.getvalue().splitlines()[1:-1]]
    assert lines == [["steps", "3"], ["accuracy", "-"], ["file", "a[b].npz"]]
