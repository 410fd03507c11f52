"""`tinytrain flash`: what it would run, what it refuses, and a program in an emulated core."""

from __future__ import annotations

import json
import os
import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import tinytrain
from tests.support.onnx_models import save
from tests.support.surroundings import HANGS, free_port
from tinytrain.boards.drive import MARK, uf2_drive
from tinytrain.boards.images import flat, segments, uf2
from tinytrain.cli import main
from tinytrain.errors import ToolchainError, UsageError
from tinytrain.simulation.serial_files import CALL
from tinytrain.target import load_target, targets
from tinytrain.target.runner import RUNNERS
from tinytrain.tools import TOOLS, tool_of

BOARD = "olimex-stm32-h405"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model, compiled for a board that QEMU emulates with its UART."""
    from onnx import helper

    place = tmp_path_factory.mktemp("flash")
    rng = np.random.default_rng(0)
    w = rng.normal(size=(6, 3)).astype(np.float32)
    model = save(
        place / "own.onnx",
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        {"w": w},
        inputs={"x": (1, 6)},
    )
    x = rng.normal(size=(40, 6)).astype(np.float32)
    tinytrain.compile_model(model, output=place / "own", calibration=x, target=BOARD)
    return place / "own"


def dry(folder: Path, **options: str) -> str:
    """The commands of a dry run, without the folder's path."""
    said: list[str] = []
    result = tinytrain.flash(folder, dry_run=True, tell=said.append, **options)
    assert not result.ran
    assert [f"$ {line}" for line in result.commands] == [s for s in said if s.startswith("$")]
    return "; ".join(result.commands).replace(f"{folder}/build/flash-", "")


def test_each_runner_has_its_command(folder: Path) -> None:
    assert dry(folder) == (
        f"openocd -f board/olimex_stm32_h405.cfg -c 'program {{{BOARD}/own.elf}} verify reset exit'"
    )
    assert dry(folder, runner="pyocd") == f"pyocd load --target stm32f405rg {BOARD}/own.elf"
    assert dry(folder, runner="probe-rs") == (
        f"probe-rs download --chip STM32F405RGTx --verify {BOARD}/own.elf; "
        "probe-rs reset --chip STM32F405RGTx"
    )
    assert dry(folder, runner="dfu-util") == (
        "dfu-util --device 0483:df11 --alt 0 --dfuse-address 0x08000000:leave "
        f"--download {BOARD}/own.bin"
    )
    assert dry(folder, runner="stm32flash", port="/dev/ttyUSB3") == (
        f"stm32flash -w {BOARD}/own.bin -v -g 0x08000000 /dev/ttyUSB3"
    )
    assert dry(folder, board="raspberry-pi-pico", port="/media/me/RPI-RP2") == (
        "cp raspberry-pi-pico/own.uf2 /media/me/RPI-RP2"
    )
    image = folder / "Makefile"
    assert dry(folder, board="esp32-c3-devkit", port="COM3", program=str(image)) == (
        f"esptool --chip esp32c3 --port COM3 write_flash 0x10000 {image}"
    )
    assert not list((folder / "build").glob("flash-*")), "a dry run builds nothing"


def test_every_board_has_a_command_for_each_of_its_runners(folder: Path) -> None:
    boards = [target for target in targets() if target.board is not None]
    assert len(boards) >= 15
    for target in boards:
        assert target.board is not None and target.board.runners and target.clock_hz
        for runner in target.board.runners:
            options = {"board": target.name, "runner": runner, "port": "WHERE"}
            if runner == "esptool":
                options["program"] = str(folder / "Makefile")
            assert "{" not in dry(folder, **options).replace("{" + target.name, "")


def test_a_board_that_the_link_has_no_program_for_is_told(folder: Path, tmp_path: Path) -> None:
    linked = tmp_path / "own"
    x = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
    model = folder.parent / "own.onnx"
    tinytrain.compile_model(model, output=linked, calibration=x, target=BOARD, link=True)

    def said(board: str) -> list[str]:
        lines: list[str] = []
        tinytrain.flash(linked, board=board, runner="gdb", dry_run=True, tell=lines.append)
        return [line for line in lines if "--link has none" in line]

    assert said("pico2") == [
        "the program of simulate: --link has none for 'pico2' (docs/boards.md)"
    ]
    assert said(BOARD) == []


def test_every_tool_of_a_runner_is_a_row_of_the_table() -> None:
    for runner in RUNNERS:
        assert tool_of(runner.tool) in TOOLS
        assert all(words[0] == runner.tool for words in runner.commands)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"board": "mps2-an500"}, "target 'mps2-an500' is no board that can be flashed"),
        ({"board": "host"}, "target 'host' is no board that can be flashed"),
        ({"board": "nucleo-f999"}, "there is no target 'nucleo-f999'"),
        ({"runner": "uf2"}, f"'{BOARD}' is not flashed by 'uf2'"),
        ({"runner": "jlink"}, "must be pyocd, openocd"),
        ({"program": "none.elf"}, "there is no such program"),
        ({"runner": "stm32flash", "program": "own.bin"}, "'stm32flash' has to know where"),
        ({"board": "esp32-devkit"}, "the program for 'esp32-devkit' comes from ESP-IDF"),
    ],
)
def test_what_cannot_be_flashed(
    folder: Path, options: dict[str, str], message: str, tmp_path: Path
) -> None:
    if options.get("program") == "own.bin":
        options = {**options, "program": str(tmp_path / "own.bin")}
        (tmp_path / "own.bin").write_bytes(b"\0")
    with pytest.raises(UsageError, match=message) as caught:
        tinytrain.flash(folder, **options)
    assert caught.value.help or "jlink" in str(caught.value)


def test_a_missing_tool_is_named_before_anything_is_built(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    for runner, get in (
        ("openocd", "apt-get install openocd"),
        ("pyocd", "pip install 'tinytrain[flash]'"),
        ("probe-rs", "cargo install probe-rs-tools --locked"),
    ):
        with pytest.raises(ToolchainError, match=f"'{runner}' is not installed") as caught:
            tinytrain.flash(folder, runner=runner)
        assert caught.value.help == get
    assert not list((folder / "build").glob("flash-*"))


def test_a_tool_that_fails_is_an_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tool = tmp_path / "pyocd"
    tool.write_text("#!/bin/sh\necho no probe was found >&2\nexit 3\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    said: list[str] = []
    with pytest.raises(ToolchainError, match="'pyocd' did not flash the board") as caught:
        tinytrain.flash(folder, runner="pyocd", program=folder / "Makefile", tell=said.append)
    assert caught.value.detail == "no probe was found"
    assert said[-1] == "  no probe was found"


def test_the_command_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["flash", str(folder), "--runner", "dfu-util", "--dry-run"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].startswith("first: set BOOT0")
    assert shown[1].startswith("$ dfu-util --device 0483:df11")
    assert main(["flash", str(folder), "--dry-run", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["board"], found["runner"], found["ran"]) == (BOARD, "openocd", False)


@pytest.fixture
def halted() -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """QEMU with an empty STM32F405 that waits for gdb, and where it listens."""
    if not (shutil.which("qemu-system-arm") and shutil.which("gdb-multiarch")):
        pytest.skip("needs qemu-system-arm and gdb-multiarch")
    where = f"127.0.0.1:{free_port()}"
    command = ["qemu-system-arm", "-machine", str(load_target(BOARD).machine), "-S"]
    command += ["-display", "none", "-monitor", "none", "-serial", "stdio", "-gdb", f"tcp:{where}"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        host, port = where.split(":")
        for _ in range(int(HANGS)):
            with socket.socket() as probe:
                if probe.connect_ex((host, int(port))) == 0:
                    break
            time.sleep(0.05)
        yield process, where
    finally:
        process.kill()
        process.communicate()


def test_gdb_loads_verifies_and_runs(
    folder: Path, halted: tuple[subprocess.Popen[bytes], str]
) -> None:
    process, where = halted
    said: list[str] = []
    result = tinytrain.flash(folder, runner="gdb", port=where, tell=said.append)
    assert result.ran
    assert [line for line in said if "Section .text" in line and "matched." in line]
    # The program runs: the first that it asks for over the UART is its console.
    assert process.stdout is not None
    first = process.stdout.read(17)
    assert first[:2] == bytes([CALL, 1]) and first.endswith(b":tt")


def test_gdb_without_a_server_is_an_error(folder: Path) -> None:
    if shutil.which("gdb-multiarch") is None:
        pytest.skip("needs gdb-multiarch")
    start = time.monotonic()
    with pytest.raises(ToolchainError, match="'gdb' did not flash the board") as caught:
        tinytrain.flash(folder, runner="gdb", port="127.0.0.1:1", tell=lambda line: None)
    assert caught.value.help == "start the gdb server, and let it hold the core"
    assert caught.value.what.endswith("nobody answers at 127.0.0.1:1: Connection timed out")
    assert time.monotonic() - start < 10  # gdb by itself takes 15 seconds
    with pytest.raises(
        ToolchainError, match=r"nobody answers at nohost\.invalid:1: cannot resolve"
    ):
        tinytrain.flash(folder, runner="gdb", port="nohost.invalid:1", tell=lambda line: None)


def test_a_serial_port_that_is_none_is_told_before_anything_is_built(folder: Path) -> None:
    image = {"board": "esp32-c3-devkit", "program": str(folder / "Makefile")}
    for options in ({"runner": "stm32flash"}, image):
        with pytest.raises(UsageError, match="'/dev/none' cannot be opened: No such file"):
            tinytrain.flash(folder, port="/dev/none", **options)
    assert not list((folder / "build").glob(f"flash-{BOARD}/*.bin"))


def test_uf2_holds_every_byte_at_its_address() -> None:
    parts = [(0x10000000, bytes(range(256))), (0x10000100, b"\1" * 300)]
    blocks = uf2(parts, 0xE48BFF56)
    assert len(blocks) == 3 * 512
    held: dict[int, int] = {}
    for number in range(3):
        fields = struct.unpack_from("<8I", blocks, 512 * number)
        assert fields[:3] == (0x0A324655, 0x9E5D5157, 0x2000)
        assert fields[4:] == (256, number, 3, 0xE48BFF56)
        assert blocks[512 * number + 508 : 512 * number + 512] == b"\x30\x6f\xb1\x0a"
        page = blocks[512 * number + 32 : 512 * number + 288]
        held |= {fields[3] + i: byte for i, byte in enumerate(page)}
    first, image = flat(parts)
    assert first == 0x10000000 and len(image) == 556
    assert bytes(held[first + i] for i in range(768)) == image + b"\xff" * 212


def test_gaps_are_erased_flash_and_far_parts_are_none() -> None:
    assert flat([(8, b"ab"), (12, b"c")]) == (8, b"ab\xff\xffc")
    with pytest.raises(ToolchainError, match="that is no flash"):
        flat([(0, b"a"), (0x20000000, b"b")])


@pytest.mark.parametrize(
    "data", [b"", b"\x7fELF", b"\x7fELF\x01\x01" + bytes(60), b"\x7fELF\x02\x01"]
)
def test_other_files_are_no_programs(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.elf").write_bytes(data)
    with pytest.raises(ToolchainError, match="the program cannot be flashed"):
        segments(tmp_path / "x.elf")
    with pytest.raises(ToolchainError, match="the program cannot be read"):
        segments(tmp_path / "none.elf")


def test_a_pico_gets_its_boot_stage_and_the_program(folder: Path, tmp_path: Path) -> None:
    drive = tmp_path / "drive"
    for wrong, said in ((drive, "there is no folder"), (tmp_path, "no drive waits for a UF2 file")):
        with pytest.raises(UsageError, match=said):
            tinytrain.flash(folder, board="raspberry-pi-pico", port=str(wrong), tell=print)
    assert not drive.exists() and not list(tmp_path.glob("*.uf2"))
    drive.mkdir()
    (drive / MARK).write_text("UF2 Bootloader v3.0\n")
    tinytrain.flash(folder, board="raspberry-pi-pico", port=str(drive), tell=lambda line: None)
    data = (drive / "own.uf2").read_bytes()
    stage = data[32 : 32 + 256]
    assert struct.unpack_from("<I", data, 12) == (0x10000000,)
    assert struct.unpack("<I", stage[252:])[0] == checksum(stage[:252])
    # Behind it the vector table: a stack in RAM, and Thumb code in flash.
    top, reset = struct.unpack_from("<2I", data, 512 + 32)
    assert top == 0x20000000 + 270_336 and 0x10000100 < reset < 0x10200000 and reset % 2 == 1


def checksum(data: bytes) -> int:
    """RP2040 datasheet, 2.8.1.3.1."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ (0x04C11DB7 if value >> 31 else 0)) & 0xFFFFFFFF
    return value


def test_the_checksum_is_the_one_that_is_meant() -> None:
    """The check value of CRC-32/MPEG-2 in the usual catalogues."""
    assert checksum(b"123456789") == 0x0376E6E7


def test_a_drive_is_found_where_there_is_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no drive waits") as caught:
        uf2_drive([tmp_path])
    assert "hold BOOTSEL" in (caught.value.help or "")
    for name in ("RPI-RP2", "OTHER"):
        (tmp_path / name).mkdir()
    (tmp_path / "RPI-RP2" / MARK).write_text("UF2 Bootloader v3.0\n")
    assert uf2_drive([tmp_path]) == str(tmp_path / "RPI-RP2")
    (tmp_path / "OTHER" / MARK).write_text("UF2 Bootloader v3.0\n")
    with pytest.raises(UsageError, match="several drives wait"):
        uf2_drive([tmp_path])
