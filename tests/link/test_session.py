"""A session on a board is the session on the host: the same figures, losses and weights."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
import serial

import tinytrain
from tests.support.boards import DIGITS, X, Y, host_board
from tests.support.paths import ROOT
from tinytrain import ModelError, SimulationResult, UsageError
from tinytrain.cli.main import main
from tinytrain.reference.rehearsal import RehearsalSet
from tinytrain.reference.schedule import parse_schedule
from tinytrain.reference.training_settings import settings_crc
from tinytrain.target import load_target
from tinytrain.toolchain.build_files import makefile


def plain(result: SimulationResult) -> SimulationResult:
    """Without what says where it ran, and what the host alone has."""
    return dataclasses.replace(result, on="", board=None, kept_bytes=0, stack_used=None)


def test_the_same_session(folder: Path, data: Path, tmp_path: Path) -> None:
    session = {"data": data, "eval": data, "learning_rate": 0.003, "evaluate_every": 15}
    found = {}
    with host_board(folder) as port:
        for on in ("host", f"serial:{port}"):
            place = tmp_path / f"{len(found)}.bin"
            found[on] = tinytrain.simulate(folder, on=on, steps=40, save=place, **session)
            again = tinytrain.simulate(folder, on=on, steps=10, load=place, **session)
            found[f"{on} again"] = again
    host, host_again, board, board_again = found.values()
    assert plain(board) == plain(host) and plain(board_again) == plain(host_again)
    assert board.weights_sha256 == host.weights_sha256 != board_again.weights_sha256
    assert host.board is None and board.board is not None
    assert board.board.ms_per_step is not None and board.board.ms_per_step > 0
    # The board that it is compiled for has a clock that is known.
    assert (board.board.estimated_ms_per_step is None) == (host_speed(folder) is None)


def host_speed(folder: Path) -> object:
    return json.loads((folder / "manifest.json").read_text())["speed"]["seconds"]


OPTIONS: dict[str, dict[str, object]] = {
    "replay": {"replay": 6, "scheme": "head"},
    "a saved file larger than the arena": {"replay": 500, "scheme": "head", "health": False},
    "a rehearsal set": {"rehearse": (X, Y), "rehearsal_slots": 12, "scheme": "last-1"},
    "rehearsal and replay": {
        "rehearse": (X, Y),
        "rehearsal_slots": 12,
        "scheme": "head",
        "replay": 4,
    },
    "rows": {"feed": "rows", "scheme": "head"},
    "a regression": {"loss": "mean_squared_error", "scheme": "last-1"},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIONS)
def test_every_kind_of_model(name: str, data: Path, tmp_path: Path) -> None:
    options, samples = OPTIONS[name], data
    folder = tmp_path / "own"
    tinytrain.compile_model(
        DIGITS, output=folder, name="own", calibration=X, link=True, target="host", **options
    )
    if "loss" in options:
        samples = tmp_path / "data.npz"
        np.savez(samples, x=X, y=np.eye(10, dtype=np.float32)[Y])
    has_rest = "rest[" in (folder / "src" / "own_link.h").read_text()
    assert has_rest == ("larger" in name)
    session = {"data": samples, "eval": samples, "steps": 20, "learning_rate": 0.003}
    host = tinytrain.simulate(folder, **session)
    with host_board(folder) as port:
        board = tinytrain.simulate(folder, on=f"serial:{port}", **session)
    assert plain(board) == plain(host)


def test_nothing_of_it_is_there_without_it(tmp_path: Path) -> None:
    tinytrain.compile_model(DIGITS, output=tmp_path / "own", calibration=X, target="host")
    assert not [file for file in (tmp_path / "own").rglob("*") if "link" in file.name]
    assert "link" not in (tmp_path / "own" / "Makefile").read_text()


def test_a_board_without_a_line_of_ours_says_what_to_do(tmp_path: Path) -> None:
    target = load_target("esp32-c3-devkit")
    (tmp_path / "Makefile").write_text(makefile(target, "own", ["src/own.c"], link=True))
    made = subprocess.run(["make", "link"], cwd=tmp_path, capture_output=True, text=True)
    assert made.returncode == 2
    assert "no serial line of this board is known here: call own_link.h" in made.stderr


def test_a_board_without_a_line_of_ours_is_told_while_it_is_compiled(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = "--link adds no program for '{}', as there is no driver of its serial line: call own_"
    own = tmp_path / "own.toml"
    text = (ROOT / "targets" / "pico2" / "target.toml").read_text()
    own.write_text(text)
    for target, name in (("pico2", "pico2"), (str(own), "own")):
        place = tmp_path / name
        command = ["compile", str(DIGITS), "-o", str(place), "--name", "own", "--target", target]
        np.savez(tmp_path / "x.npz", x=X)
        command += ["--calibration", str(tmp_path / "x.npz"), "--scheme", "head"]
        assert main([*command, "--link"]) == 0
        err = capsys.readouterr().err
        assert f"warning: {said.format(name)}" in err and "(docs/link.md)" in err
        (warning,) = json.loads((place / "manifest.json").read_text())["warnings"]
        assert warning.startswith(said.format(name))
    assert main([*command, "--force"]) == 0
    assert "--link" not in capsys.readouterr().err


def test_another_model_is_refused(folder: Path, data: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    tinytrain.compile_model(DIGITS, output=other, calibration=X, target="host", scheme="head")
    with host_board(folder) as port, pytest.raises(ModelError, match="holds another model"):
        tinytrain.simulate(other, on=f"serial:{port}", data=data, steps=1)


@pytest.mark.parametrize(
    "option", [{"schedule": "constant"}, {"seed": 3}], ids=lambda option: next(iter(option))
)
def test_a_program_that_trains_otherwise_is_refused(
    option: dict[str, object], folder: Path, data: Path, tmp_path: Path
) -> None:
    """The hash of a model covers neither rate nor schedule nor seed: weights would differ."""
    other = tmp_path / "other"
    tinytrain.compile_model(
        DIGITS, output=other, name="own", calibration=X, target="host", scheme="last-2", **option
    )
    wanted = "compiled with another learning rate, schedule, seed, replay buffer or rehearsal set"
    with host_board(folder) as port:
        model = json.loads((other / "manifest.json").read_text())["model_hash"]
        assert model == json.loads((folder / "manifest.json").read_text())["model_hash"]
        with pytest.raises(ModelError, match=wanted):
            tinytrain.simulate(other, on=f"serial:{port}", data=data, steps=1)
        with pytest.raises(ModelError, match=wanted):
            tinytrain.load(other, on=f"serial:{port}")


@pytest.mark.slow
def test_drift_is_followed_on_a_board(data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "own"
    tinytrain.compile_model(
        DIGITS, output=folder, name="own", calibration=X, link=True, target="host", scheme="head",
        follow="auto",
    )  # fmt: skip
    session = {"data": data, "eval": data, "steps": 30, "order": "drift", "follow": True}
    host = tinytrain.simulate(folder, save=tmp_path / "host.bin", **session)
    with host_board(folder) as port:
        board = tinytrain.simulate(
            folder, on=f"serial:{port}", save=tmp_path / "board.bin", **session
        )
        with (
            tinytrain.load(folder, on=f"serial:{port}") as device,
            tinytrain.load(folder) as here,
        ):
            for one in (device, here):
                one.load(tmp_path / "host.bin")
            assert np.array_equal(
                device.follow(X[:3], predict=True), here.follow(X[:3], predict=True)
            )
            device.follow_reset()
            assert not np.array_equal(device.predict(X[:3]), here.predict(X[:3]))
            here.follow_reset()
            assert np.array_equal(device.predict(X[:3]), here.predict(X[:3]))
    assert plain(board) == plain(host) and board.followed == 30
    assert (tmp_path / "board.bin").read_bytes() == (tmp_path / "host.bin").read_bytes()


def test_rehearsal_sets_are_told_apart() -> None:
    sets = [RehearsalSet(x, y) for x in (X, X + 1) for y in (np.int32(Y), np.int32(Y + 1))]
    how = {"trains": True, "rate": 0.01, "schedule": parse_schedule("constant", 0), "seed": 0}
    crcs = [settings_crc(**how, slots=0, rehearsed=held.crc) for held in sets]
    assert len({settings_crc(**how, slots=0), *crcs}) == 5


def test_a_replay_buffer_in_flash_is_refused(data: Path, tmp_path: Path) -> None:
    """Before the port is opened, as no program behind the link has a driver for it."""
    other = tmp_path / "other"
    tinytrain.compile_model(
        DIGITS, output=other, calibration=X, target="host", scheme="head", replay=4,
        replay_in="flash", link=True,
    )  # fmt: skip
    with pytest.raises(UsageError, match="has its replay buffer in flash"):
        tinytrain.simulate(other, on="serial:/dev/none", data=data, steps=1)
    with pytest.raises(UsageError, match="has its replay buffer in flash"):
        tinytrain.load(other, on="serial:/dev/none")


def test_a_program_that_only_infers_is_told(folder: Path, data: Path, tmp_path: Path) -> None:
    reader = tmp_path / "reader"
    tinytrain.compile_model(
        DIGITS, output=reader, name="own", calibration=X, target="host", scheme="last-2",
        inference=True, link=True,
    )  # fmt: skip
    with (
        host_board(reader) as port,
        pytest.raises(ModelError, match="compiled with inference=True: it trains nothing"),
    ):
        tinytrain.simulate(folder, on=f"serial:{port}", data=data, steps=1)


def test_a_port_that_is_none(folder: Path, data: Path) -> None:
    with pytest.raises(UsageError, match=r"'/dev/none' cannot be opened: No such file"):
        tinytrain.simulate(folder, on="serial:/dev/none", data=data, steps=1)
    with pytest.raises(UsageError, match=r"'/dev/null' cannot be opened: it is no serial port"):
        tinytrain.simulate(folder, on="serial:/dev/null", data=data, steps=1)
    with pytest.raises(UsageError, match="a line of 0 bits a second carries nothing"):
        tinytrain.simulate(folder, on="serial:/dev/none@0", data=data, steps=1)
    with pytest.raises(UsageError, match=r"on= must be host, qemu or serial:PORT, got 'serial:'"):
        tinytrain.simulate(folder, on="serial:", data=data, steps=1)


def test_a_device_in_python(folder: Path, tmp_path: Path) -> None:
    """`load(on="serial:...")` gives call by call what the library of this machine gives."""
    with host_board(folder) as port:
        said = {}
        for on in ("host", f"serial:{port}"):
            with tinytrain.load(folder, on=on) as device:
                device.learning_rate = 0.005
                steps = device.train(X, Y)
                device.save(tmp_path / f"{len(said)}.bin")
                found = device.evaluate(X, Y)
                said[on] = [
                    steps.losses.tolist(),
                    steps.predictions.tolist(),
                    device.predict(X[:3]).tolist(),
                    (found.loss, found.accuracy, found.predictions.tolist()),
                    {name: one.tolist() for name, one in device.state_dict().items()},
                    device.learning_rate,
                    (tmp_path / f"{len(said)}.bin").read_bytes(),
                ]
                device.reset()
                device.load(tmp_path / f"{len(said) - 1}.bin")
                assert device.evaluate(X, Y) == found
        host, board = said.values()
        assert board == host
        # The line is free again; what a board has no message for is said.
        with tinytrain.load(folder, on=f"serial:{port}") as device:
            assert device.evaluate(X, Y).accuracy is not None
    with pytest.raises(UsageError, match="on must be host or serial:PORT, got 'qemu'"):
        tinytrain.load(folder, on="qemu")


def test_a_port_that_is_taken(folder: Path, data: Path) -> None:
    taken = "cannot be opened: another program has it open"
    with (
        host_board(folder) as port,
        serial.serial_for_url(port, exclusive=True),
        pytest.raises(UsageError, match=taken),
    ):
        tinytrain.simulate(folder, on=f"serial:{port}", data=data, steps=1)
