"""What a generated folder needs beside the model to become a program: port, Makefile, CMake."""

from __future__ import annotations

from collections.abc import Sequence

from tinytrain import resources
from tinytrain.target import WARNINGS, Target
from tinytrain.toolchain.package_files import Package, cmake_lists
from tinytrain.toolchain.template import render

MAIN = "port/main.c"
"""Where the program's `main` lies in a generated folder."""

LINK_MAIN = "port/main_link.c"
"""The same of the program that a model behind a serial line runs."""

_CORTEX_M_FILES = ("port_semihosting.c", "startup.c", "tt_semihosting.h")
_HOST_FILES = ("port_host.c",)


def port_files(target: Target, *, stack_bytes: int = 1024) -> dict[str, str]:
    """The files of the port in a generated folder, without `main.c`.

    Args:
        target: where the program will run.
        stack_bytes: stack that linking must leave free at least.

    Returns:
        The text of each file by its name inside `port/`, sorted.
    """
    targets = resources.folder("targets")
    folder, names = ("host", _HOST_FILES) if target.is_host else ("cortex_m", _CORTEX_M_FILES)
    files = {name: (targets / folder / name).read_text(encoding="utf-8") for name in names}
    files["tt_port.h"] = (targets / "tt_port.h").read_text(encoding="utf-8")
    if target.memory is not None:
        regions = {"FLASH": target.memory.flash, "RAM": target.memory.ram}
        if target.memory.vectors is not None:
            regions["VECTORS"] = target.memory.vectors
        files["link.ld"] = render(
            "targets",
            "cortex_m/link.ld.j2",
            target=target.name,
            regions=[{"name": name, **vars(region)} for name, region in regions.items()],
            vectors="VECTORS" if "VECTORS" in regions else "FLASH",
            stack_bytes=stack_bytes,
        )
    return dict(sorted(files.items()))


def link_port_files(target: Target) -> dict[str, str]:
    """The files that the program behind a serial line needs beside those of `port_files`, without
    its `main`: as these, and none where no serial line of the target is known."""
    folder = resources.folder("targets") / "link"
    names = _link_files(target)
    return {name: (folder / name).read_text(encoding="utf-8") for name in names}


def _link_files(target: Target) -> tuple[str, ...]:
    return ("link_host.c", "tt_link_board.h") if target.is_host else ()


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
    own = [f"{port}/{file}" for file in _link_files(target) if file.endswith(".c")]
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
        include_dirs=["include", "src", port],
        cflags=target.compile_flags,
        warnings=WARNINGS,
        ldflags=target.link_flags,
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
    names = _HOST_FILES if target.is_host else _CORTEX_M_FILES
    return [MAIN, *(f"{port}/{file}" for file in names if file.endswith(".c"))]
