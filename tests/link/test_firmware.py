"""Firmware around a link: hostile bytes with sanitizers, and a program that trains by itself."""

from __future__ import annotations

import csv
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

import tinytrain
from tests.support.boards import running
from tests.support.host_programs import link
from tinytrain import UsageError
from tinytrain.cli.main import main
from tinytrain.link.plotting import COLUMNS


def test_hostile_bytes(folder: Path, tmp_path: Path) -> None:
    assert link("link_fuzz.c", [folder], tmp_path).run(20_000) == "ok 1\n"


@pytest.fixture
def port(folder: Path, tmp_path: Path) -> Iterator[str]:
    """The pseudo-terminal of a board that trains by itself."""
    place = Path(tinytrain.__file__).parents[1] / "targets" / "link"
    program = link("link_trains.c", [folder], tmp_path, more=[place / "link_host.c"])
    with running([str(program.path)]) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()


def test_a_board_that_trains_by_itself(port: str, tmp_path: Path) -> None:
    place = {"csv": tmp_path / "found.csv", "plot": tmp_path / "page.html"}
    shown: list[str] = []
    found = tinytrain.monitor(
        port,
        interval=0.2,
        readings=4,
        progress=lambda hello, one: shown.append(hello.name),
        **place,
    )
    assert shown == ["own"] * 4
    steps = [reading.steps for reading in found]
    assert steps == sorted(set(steps)) and steps[-1] > 4
    assert all(reading.trained for reading in found[1:])
    last = found[-1]
    assert last.loss is not None and last.loss > 0 and last.ms_per_step is not None
    assert last.accuracy is not None and 0 <= last.accuracy <= 1
    assert last.damaged == last.refused == 0
    assert last.stack_used is None and last.link_bytes > 512 and last.learning_rate > 0
    # What a host counts over is gone from the board, and steps go on.
    assert sum(reading.trained for reading in found) <= last.steps

    rows = list(csv.DictReader((tmp_path / "found.csv").open()))
    assert [row["steps"] for row in rows] == list(map(str, steps))
    assert tuple(rows[0]) == COLUMNS and rows[0]["stack_used"] == ""
    page = (tmp_path / "page.html").read_text()
    assert "<title>own: " in page and "<polyline" in page and "loss" in page


def test_what_the_command_prints(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["monitor", port, "--interval", "0.05", "--readings", "2"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("steps ") and ", loss " in second and ", rate " in second
    assert main(["monitor", port, "--interval", "0.05", "--readings", "2", "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [tuple(line) for line in lines] == [COLUMNS] * 2


def test_teleplot(port: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.settimeout(10)
        at = listening.getsockname()[1]
        monkeypatch.setattr("tinytrain.link.plotting._TELEPLOT_PORT", at)
        tinytrain.monitor(port, interval=0.1, readings=2, plot="teleplot")
        lines = listening.recv(4096).decode().splitlines()
    names = [line.split(":")[0] for line in lines]
    assert "own.steps" in names and "own.learning_rate" in names
    assert all(line.endswith("|g") and line.count(":") == 2 for line in lines)


def test_places_that_cannot_be_written(port: str, tmp_path: Path) -> None:
    for where in ("csv", "plot"):
        with pytest.raises(UsageError, match="cannot be written"):
            tinytrain.monitor(port, readings=1, **{where: tmp_path / "none" / "file"})
