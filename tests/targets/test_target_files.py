"""Target files: those that tinytrain brings along, and a user's own with mistakes in it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from tinytrain.errors import UsageError
from tinytrain.target import COMMON_CFLAGS, list_targets, load_target
from tinytrain.target.architecture import CORTEX_M, RISCV, architecture_of

UNCOUNTED = "olimex-stm32-h405"

VALID = """
description = "a board"
core = "cortex-m4"
compiler = "arm-none-eabi-gcc"
cflags = ["-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard"]
isa = "dsp"
[budget]
ram = 65536
flash = 262144
[memory]
flash = { origin = 0x08000000, length = 262144 }
ram = { origin = 0x20000000, length = 65536 }
"""


def test_list_is_what_the_project_promises() -> None:
    assert list_targets() == (
        "arduino-nano-33-ble-sense",
        "arduino-nano-rp2040",
        "arduino-portenta-h7",
        "ch32v307-evt",
        "esp32-c3-devkit",
        "esp32-c6-devkit",
        "esp32-devkit",
        "esp32-s3-devkit",
        "host",
        "lm3s6965evb",
        "longan-nano",
        "m0",
        "microbit",
        "microbit-v2",
        "mps2-an385",
        "mps2-an386",
        "mps2-an500",
        "mps2-an505",
        "mps3-an547",
        "nrf52840-dk",
        "nucleo-f401re",
        "nucleo-f446re",
        "nucleo-f746zg",
        "nucleo-h743zi",
        "nucleo-l476rg",
        "olimex-stm32-h405",
        "pico2",
        "raspberry-pi-pico",
        "riscv32",
        "stm32f746-disco",
    )


@pytest.mark.parametrize("name", list_targets())
def test_each_loads_and_fits_together(name: str) -> None:
    target = load_target(name)
    assert target.name == name
    assert len(target.description) < 100
    assert target.architecture is architecture_of(target.core)
    assert set(COMMON_CFLAGS) <= set(target.compile_flags)
    assert (target.core == "host") == target.is_host
    if target.architecture is CORTEX_M:
        assert f"-mcpu={target.core}" in target.cflags
        assert target.has_float_unit == (
            target.core not in ("cortex-m0", "cortex-m0plus", "cortex-m3")
        )
    if target.architecture is RISCV:
        assert f"-march={target.core}" in target.cflags
        assert target.has_float_unit == ("f" in target.core)
    # Its SysTick runs at 168 MHz, and no quarters of instructions make a tick.
    assert bool(target.machine) == (target.instructions_per_tick > 0) or name == UNCOUNTED


def test_budgets_of_boards() -> None:
    def budget(name: str) -> tuple[int, int]:
        target = load_target(name)
        return target.ram // 1024, target.flash // 1024

    assert budget("stm32f746-disco") == (320, 1024)
    assert budget("microbit") == (16, 256)
    assert budget("raspberry-pi-pico") == (264, 2047)  # and 768 bytes
    assert budget("arduino-nano-33-ble-sense") == (256, 960)


def test_clocks() -> None:
    clocks = {name: load_target(name).clock_hz for name in list_targets()}
    assert clocks["stm32f746-disco"] == 216_000_000
    # A description that names a clock names the same.
    for name, clock in clocks.items():
        if "MHz" in (text := load_target(name).description):
            assert f"at {(clock or 0) // 10**6} MHz" in text
    assert clocks["host"] is clocks["mps2-an500"] is None


def test_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UsageError) as caught:
        load_target("mps2-an50")
    text = str(caught.value)
    assert "there is no target 'mps2-an50'; did you mean 'mps2-an50" in text
    for name in list_targets():
        assert name in text


@pytest.mark.parametrize("name", ["../targets/host", "cortex_m", "", "HOST"])
def test_names_are_no_paths(name: str) -> None:
    with pytest.raises(UsageError, match="there is no target"):
        load_target(name)


def test_own_file(tmp_path: Path) -> None:
    file = tmp_path / "my-board.toml"
    file.write_text(VALID)
    target = load_target(file)
    assert target.name == "my-board"
    assert (target.ram, target.machine, target.instructions_per_tick) == (65536, None, 0)
    assert load_target(str(file)) == target
    assert dataclasses.replace(target, ram=1).ram == 1


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("isa =", "isaa =", "'isaa', which is not one of"),
        ("[budget]\nram = 65536", "[budget]", "'ram' is missing"),
        ("ram = 65536", "ram = 65537", "larger than its region"),
        ("ram = 65536", "ram = true", "'ram' is missing"),
        ("ram = 65536", "ram = -8", "from 1 on"),
        ("length = 65536", "length = 65537", "whole 8 bytes"),
        ("length = 65536", "size = 65536", "'size', which is not one of"),
        ("origin = 0x20000000", "origin = 0xfffffff8", "below 4 GiB"),
        ('"dsp"', '"neon"', "not one of portable, dsp, mve"),
        ('core = "cortex-m4"', 'core = "host"', "and only it"),
        ('["-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard"]', '"-mthumb"', "no list of texts"),
        ("[budget]", "[bugdet]", "'bugdet'"),
        ("[budget]", "clock_hz = 0\n[budget]", "'clock_hz' is no number of hertz"),
        ("[budget]", "clock_hz = 64e6\n[budget]", "'clock_hz' is no number of hertz"),
        ("isa =", "isa ", "is not TOML"),
        ("[memory]", '[emulator]\nmachine = "x"\ninstructions_per_tick = 0.3\n[memory]', "0.25"),
        ("[memory]", "[emulator]\ninstructions_per_tick = 40\n[memory]", "'machine' is missing"),
        ('core = "cortex-m4"', 'core = "avr"', "begins with none of 'host', 'cortex-m', 'rv32'"),
        ("isa =", 'files = "serial"\nisa =', "which needs a [serial] table"),
        ("isa =", 'files = "usb"\nisa =', "not one of 'debugger', 'serial'"),
        (
            "[memory]",
            '[serial]\nuart = "lpuart"\nsettings = {}\n[memory]',
            "not one of 16550, cmsdk",
        ),
        ("[memory]", '[serial]\nuart = "nrf"\n[memory]', "no table of numbers"),
        (
            "[memory]",
            '[serial]\nuart = "nrf"\nclock = "sundial"\nsettings = {}\n[memory]',
            "'clock' is 'sundial', not one of mtime, none, nrf, systick",
        ),
        ("[memory]", '[serial]\nuart = "nrf"\nsettings = { BASE = -1 }\n[memory]', "no table of"),
        ("[memory]", '[board]\nname = "b"\n[memory]', "'port' is missing"),
        ("[memory]", '[board.runners]\njlink = "x"\n[memory]', "not one of pyocd, openocd"),
        ("[memory]", "[board.runners]\npyocd = 3\n[memory]", "'pyocd' of [board.runners] is no"),
        ("[memory]", "[board]\nrunners = 3\n[memory]", "[board.runners] is no table"),
        ("[memory]", '[board]\nchip = "z80"\n[memory]', "there is nothing for 'chip' 'z80'"),
    ],
)
def test_mistakes(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in VALID
    file = tmp_path / "board.toml"
    file.write_text(VALID.replace(old, new, 1))
    with pytest.raises(UsageError) as caught:
        load_target(file)
    assert message in str(caught.value)
    assert str(file) in str(caught.value)
    assert caught.value.exit_code == 2


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        load_target(tmp_path / "none.toml")
