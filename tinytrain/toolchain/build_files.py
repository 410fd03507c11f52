"""What a generated folder needs beside the model to become a program: port, Makefile, CMake."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tinytrain import resources
from tinytrain.target import WARNINGS, Serial, Target
from tinytrain.toolchain.package_files import Package, cmake_lists
from tinytrain.toolchain.template import render

MAIN = "port/main.c"
"""Where the program's `main` lies in a generated folder."""

LINK_MAIN = "port/main_link.c"
"""The same of the program that a model behind a serial line runs."""


def port_files(target: Target, *, stack_bytes: int = 1024) -> dict[str, str]:
    """The files of the port in a generated folder, without `main.c`.

    Args:
        target: where the program will run.
        stack_bytes: stack that linking must leave free at least.

    Returns:
        The text of each file by its name inside `port/`, sorted.
    """
    files = _texts(_port_names(target))
    if target.serial is not None:
        files["tt_board.h"] = _board_header(target.serial)
    if target.memory is not None:
        regions = target.memory.regions
        files["link.ld"] = render(
            "targets",
            "link.ld.j2",
            target=target.name,
            regions=[{"name": name, **vars(region)} for name, region in regions.items()],
            vectors="VECTORS" if "VECTORS" in regions else "FLASH",
            boot="BOOT" in regions,
            stack_bytes=stack_bytes,
        )
    return dict(sorted(files.items()))


def _texts(names: Sequence[str]) -> dict[str, str]:
    """Files of `targets/`, each by its own name."""
    folder = resources.folder("targets")
    return {Path(name).name: (folder / name).read_text("utf-8") for name in names}


def _board_header(serial: Serial) -> str:
    lines = [f"#define TT_UART_{name} 0x{value:X}U" for name, value in serial.settings.items()]
    return "\n".join(
        (
            f"/* The UART of this target, for {serial.driver}. */",
            "#ifndef TT_BOARD_H",
            "#define TT_BOARD_H",
            "",
            *lines,
            "",
            "#endif",
            "",
        )
    )


def _port_names(target: Target) -> list[str]:
    """The files of `targets/` that a target's port is made of, sorted by their own names."""
    own, serial = target.architecture, target.serial
    names = ["tt_port.h", *own.port]
    if serial is not None:
        names += ["uart/tt_uart.h", f"uart/{serial.driver}"]
    if target.files_over_serial:
        names.append("uart/semihosting_uart.c")
    elif own.trap:
        names.append(f"{own.folder}/{own.trap}")
    if target.files_over_serial or own.trap:
        names += ["semihosting/port_semihosting.c", "semihosting/tt_semihosting.h"]
    if target.board is not None and target.board.chip:
        chip = resources.folder("targets") / "chips" / target.board.chip
        names += [f"chips/{target.board.chip}/{file.name}" for file in chip.glob("*.[ch]")]
    return sorted(names, key=lambda name: Path(name).name)


def link_port_files(target: Target) -> dict[str, str]:
    """The files that the program behind a serial line needs beside those of `port_files`, without
    its `main`: as these, and none where no serial line of the target is known."""
    return _texts(_link_names(target))


def _link_names(target: Target) -> list[str]:
    """The same as paths in `targets/`."""
    if target.is_host:
        return ["link/link_host.c", "link/tt_link_board.h"]
    if target.serial is None:
        return []
    clock = f"link/clock_{target.serial.clock or target.architecture.clock}.c"
    return [clock, "link/link_uart.c", "link/tt_link_board.h", "link/tt_link_clock.h"]


def makefile(
    target: Target, name: str, sources: Sequence[str], *, port: str = "port", link: bool = False
) -> str:
    """The text of a Makefile to be run in a generated folder.

    Args:
        target: where the program will run.
        name: the model's name, a C identifier.
        sources: C files of model and runtime, relative to the folder.
        port: the folder of the files of `port_files`, relative to the generated folder.
        link: whether it knows the program behind a serial line, too: its goal `link`.
    """
    own = [f"{port}/{Path(file).name}" for file in _link_names(target) if file.endswith(".c")]
    return render(
        "codegen",
        "Makefile.j2",
        name=name,
        target=target.name,
        compiler=target.compiler,
        executable=name + target.executable,
        sources=sorted(sources),
        port_sources=_port_sources(target, port),
        link_sources=[LINK_MAIN, *own] if link and own else [],
        lacks_line=link and not target.has_line,
        include_dirs=["include", "src", port],
        cflags=target.compile_flags,
        warnings=WARNINGS,
        # The core's flags stand there already; a specs file may stand in a command only once.
        ldflags=target.architecture.link_flags,
        linker_script=None if target.is_host else f"{port}/link.ld",
    )


def program_lists(package: Package, target: Target) -> str:
    """The text of CMakeLists.txt of a generated folder: its model, and the program around it."""
    return cmake_lists(
        package,
        program={
            "compiler": target.compiler,
            "cross": not target.is_host,
            "core": (*target.cflags, *target.one_name_flags),
            "defines": target.port_flags,
            "executable": package.name + target.executable,
            "sources": _port_sources(target, "port"),
            "ldflags": target.link_flags,
            "linker_script": None if target.is_host else "port/link.ld",
        },
    )


def _port_sources(target: Target, port: str) -> list[str]:
    names = [Path(name).name for name in _port_names(target)]
    return [MAIN, *(f"{port}/{name}" for name in names if name.endswith(".c"))]
