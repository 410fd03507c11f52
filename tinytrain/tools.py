"""What tinytrain runs or imports and does not bring along: one row a tool."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tool:
    """A command, or a Python package, and where it comes from.

    Attributes:
        name: the command, or the package as `pip` calls it.
        use: what it is for.
        debian: Debian's packages that have it; empty for a Python package.
        extra: tinytrain's extra that has it; "" where it comes with tinytrain itself.
        others: commands that do as well.
        part_of: the compiler that must find it: it is a file, not a command.
        by: the command that installs it, where neither Debian nor `pip` does.
        flashes: whether it puts programs into boards: who has a board installs it.
    """

    name: str
    use: str
    debian: str = ""
    extra: str = ""
    others: tuple[str, ...] = ()
    part_of: str = ""
    by: str = ""
    flashes: bool = False

    @property
    def get(self) -> str:
        """The command that installs it."""
        if self.by:
            return self.by
        if self.debian:
            return f"apt-get install {self.debian}"
        return f"pip install 'tinytrain[{self.extra}]'" if self.extra else "pip install tinytrain"


TOOLS = (
    Tool("make", "builds every compiled folder", "make"),
    Tool("cc", "compiles for this machine", "gcc libc6-dev", others=("gcc",)),
    Tool(
        "arm-none-eabi-gcc",
        "compiles for every Cortex-M",
        "gcc-arm-none-eabi libnewlib-arm-none-eabi",
    ),
    Tool(
        "nano.specs",
        "newlib, the C library for Cortex-M",
        "libnewlib-arm-none-eabi",
        part_of="arm-none-eabi-gcc",
    ),
    Tool("qemu-system-arm", "emulates Cortex-M: simulate --on qemu", "qemu-system-arm"),
    Tool(
        "riscv64-unknown-elf-gcc",
        "compiles for RISC-V",
        "gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf",
    ),
    Tool(
        "picolibc.specs",
        "picolibc, the C library for RISC-V",
        "picolibc-riscv64-unknown-elf",
        part_of="riscv64-unknown-elf-gcc",
    ),
    Tool("qemu-system-riscv32", "emulates RISC-V: simulate --on qemu", "qemu-system-misc"),
    Tool(
        "xtensa-lx106-elf-gcc",
        "compiles for Xtensa, to be counted: ESP32 and ESP32-S3",
        "gcc-xtensa-lx106 picolibc-xtensa-lx106-elf",
    ),
    Tool("arm-none-eabi-objdump", "bench: counts what kernels take", "binutils-arm-none-eabi"),
    Tool("cmake", "builds a compiled folder instead of make", "cmake"),
    Tool("pyocd", "flashes boards by their debug probe", extra="flash", flashes=True),
    Tool("openocd", "flashes boards by their debug probe", "openocd", flashes=True),
    Tool(
        "probe-rs",
        "flashes boards by their debug probe",
        by="cargo install probe-rs-tools --locked",
        flashes=True,
    ),
    Tool("gdb-multiarch", "flashes by a gdb server: flash --runner gdb", "gdb-multiarch"),
    Tool("dfu-util", "flashes boards by the boot loader on USB", "dfu-util", flashes=True),
    Tool("esptool", "flashes boards with an ESP32", extra="flash", flashes=True),
    Tool("stm32flash", "flashes STM32 by a serial line", "stm32flash", flashes=True),
    Tool("cp", "copies a UF2 file to a board that shows itself as a drive", "coreutils"),
    Tool("clang", "tests: a second compiler", "clang libclang-rt-dev"),
    Tool("chromium", "tests: shows the report's page", "chromium", others=("google-chrome",)),
    Tool("onnx", "reads .onnx files"),
    Tool("tflite", "reads .tflite files"),
    Tool("numpy", "computes"),
    Tool("ortools", "places buffers in the arena"),
    Tool("torch", "nn.Module, .pt2, experiments in float", extra="torch"),
    Tool("matplotlib", "plots of experiments", extra="experiment"),
    Tool("ray", "experiments on many machines: --workers ray", extra="ray"),
    Tool("pyserial", "boards at a serial port: simulate --on serial:PORT", extra="serial"),
    Tool("cobs", "frames of a serial line", extra="serial"),
    Tool("cwt", "signs updates of what was learned: sign", extra="signing"),
    Tool("onnxruntime", "proves that an ONNX model was read right, fast", extra="verify"),
    Tool("ai-edge-litert", "proves that a TFLite model was read right", extra="verify"),
)


def tool_of(name: str) -> Tool | None:
    """The row of a command or package; None where it is none of ours."""
    return next((tool for tool in TOOLS if name in (tool.name, *tool.others)), None)


def how_to_get(name: str) -> str:
    """The command that installs a command or package; general advice where it is none of ours."""
    tool = tool_of(name)
    return tool.get if tool else f"install {name}"
