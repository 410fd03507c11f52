"""Runners: the tools that put a program into a board. One row each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FlashRunner:
    """One tool, and the commands that it takes.

    Words of a command are filled in: `{program}` is the file, `{chip}` what the tool calls the chip
    (the value in the board's file), `{address}` where flash begins, `{port}` the serial port of
    this machine, `{drive}` the folder of a board that shows itself as a drive.

    Attributes:
        name: as `--runner` takes it.
        takes: the file: "elf", "bin" or "uf2".
        commands: run one after the other; each is a tuple of words, of one tool.
        chip: what the value in a board's file is.
        before: what to do with the board first; "" where nothing.
        makes_program: what puts the program together where that is not tinytrain; "" where it is.
        has_server: whether `{port}` is a server's, which the board's file names.
        done: what the tool says when it did it; "" where its exit code tells.
        failed: what it says when it did not, whatever its exit code.
        unreached: what it says where nobody is at `{port}`.
    """

    name: str
    takes: str
    commands: tuple[tuple[str, ...], ...]
    chip: str
    before: str = ""
    makes_program: str = ""
    has_server: bool = False
    done: str = ""
    failed: str = ""
    unreached: str = ""

    @property
    def tool(self) -> str:
        """The command that must be installed."""
        return self.commands[0][0]


RUNNERS = (
    FlashRunner(
        "pyocd",
        "elf",
        (("pyocd", "load", "--target", "{chip}", "{program}"),),
        "pyOCD's name of the chip (`pyocd list --targets`)",
    ),
    FlashRunner(
        "openocd",
        "elf",
        (("openocd", "-f", "{chip}", "-c", "program {{{program}}} verify reset exit"),),
        "OpenOCD's configuration file",
    ),
    FlashRunner(
        "probe-rs",
        "elf",
        (
            ("probe-rs", "download", "--chip", "{chip}", "--verify", "{program}"),
            ("probe-rs", "reset", "--chip", "{chip}"),
        ),
        "probe-rs' name of the chip (`probe-rs chip list`)",
    ),
    FlashRunner(
        "gdb",
        "elf",
        (
            (
                "gdb-multiarch",
                "-nx",
                "-batch",
                "-ex",
                "set confirm off",
                # Of a server that starts at the same time; gdb's own patience is 15 seconds.
                "-ex",
                "set tcp connect-timeout 3",
                "-ex",
                "target extended-remote {port}",
                "-ex",
                "load",
                "-ex",
                "compare-sections",
                # A Cortex-M that never ran has not yet been told that its code is Thumb.
                "-ex",
                "set $xpsr = 0x1000000",
                "-ex",
                "detach",
                "{program}",
            ),
        ),
        "HOST:PORT of a gdb server that holds the core, as `openocd -f FILE`, `pyocd gdbserver`, "
        "JLinkGDBServer and QEMU are",
        "start the gdb server, and let it hold the core",
        has_server=True,
        done=r"Start address 0x[0-9a-f]+",
        failed="MIS-MATCHED",
        unreached=r"^\S+: (Connection |Operation timed|No route|cannot resolve|No such file).*",
    ),
    FlashRunner(
        "uf2",
        "uf2",
        (("cp", "{program}", "{drive}"),),
        "the family's number in a UF2 file",
        "hold BOOTSEL while you plug the board in; it shows itself as a drive",
    ),
    FlashRunner(
        "dfu-util",
        "bin",
        (
            (
                "dfu-util",
                "--device",
                "{chip}",
                "--alt",
                "0",
                "--dfuse-address",
                "{address}:leave",
                "--download",
                "{program}",
            ),
        ),
        "VENDOR:PRODUCT of the boot loader's USB device",
        "set BOOT0 and press reset: the chip's boot loader shows itself on USB",
    ),
    FlashRunner(
        "esptool",
        "bin",
        (
            (
                "esptool",
                "--chip",
                "{chip}",
                "--port",
                "{port}",
                "write_flash",
                "0x10000",
                "{program}",
            ),
        ),
        "esptool's name of the chip",
        makes_program="ESP-IDF",
    ),
    FlashRunner(
        "stm32flash",
        "bin",
        (("stm32flash", "-w", "{program}", "-v", "-g", "{address}", "{port}"),),
        "the empty text: the boot loader tells the chip itself",
        "set BOOT0 and press reset: the chip's boot loader listens on its first UART",
    ),
)
"""All of them; the first of a board's own is what it is usually flashed with."""


def runner_named(name: str) -> FlashRunner | None:
    """The row of a runner; None where there is none of this name."""
    return next((one for one in RUNNERS if one.name == name), None)
