"""The C of a training step, and everything that makes it a folder that builds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tinytrain.compiler.compiled import Compiled
from tinytrain.compiler.manifest import health_record
from tinytrain.emit.folder import FolderWriter
from tinytrain.emit.link import LINK_FUNCTIONS, link_files, link_main
from tinytrain.emit.model_files import ModelFiles, emit_model
from tinytrain.kernel.sources import runtime_files
from tinytrain.reference.training_settings import settings_crc
from tinytrain.target import ARITHMETIC_CFLAGS, Target
from tinytrain.toolchain.build_files import (
    LINK_MAIN,
    MAIN,
    link_port_files,
    makefile,
    port_files,
    program_lists,
)
from tinytrain.toolchain.package_files import Package, header_files, package_files, sketch_files
from tinytrain.toolchain.template import render
from tinytrain.version import __version__


def emit_step(compiled: Compiled, *, switched: bool = False) -> ModelFiles:
    """The C of a training step, without what makes it a folder.

    Args:
        switched: for a library in which a session says what trains.
    """
    return emit_model(
        compiled.graph,
        compiled.plan,
        scales=compiled.scales,
        rate=compiled.rate,
        rate_limit=compiled.rate_limit,
        schedule=compiled.options.rate_schedule,
        seed=compiled.options.seed,
        classes=compiled.classes,
        wants=compiled.wants,
        pixels=compiled.pixels,
        summary=_summary(compiled),
        slots=compiled.options.replay,
        slots_in=compiled.options.replay_in,
        health=compiled.options.health,
        rehearsal=compiled.rehearsal,
        guard_interval=compiled.options.guard,
        enrolment=compiled.enrolment,
        fade=compiled.fade,
        anomaly=compiled.options.anomaly_request,
        switched=switched,
        pseudo=compiled.pseudo,
        self_test=compiled.self_test,
        portions=compiled.options.portions,
        concurrent=compiled.concurrent,
    )


def emit_folder(writer: FolderWriter, compiled: Compiled, target: Target) -> ModelFiles:
    """Writes all but the manifest: the model, the runtime that it calls, port, build files, main.

    Returns:
        the model's files, and what they measure.
    """
    name = compiled.graph.name
    files = emit_step(compiled)
    link = compiled.options.link
    runtime = runtime_files(files.functions | (LINK_FUNCTIONS if link else frozenset()))
    written = {f"src/{file}": text for file, text in files.files.items()} | runtime
    if link:
        context = _program_context(compiled, files)
        glue = link_files(compiled.plan.nbytes, files, _settings(compiled), context)
        written |= {f"src/{file}": text for file, text in glue.items()}
    sources = sorted(path for path in written if path.endswith(".c"))
    package = Package.of(name, {name: written})
    headers = [Path(path).name for path in written if path.startswith("include/")]
    writer.write(written | header_files(headers))
    writer.write({f"port/{file}": text for file, text in port_files(target).items()})
    if link:
        writer.write({LINK_MAIN: link_main(name)})
        writer.write({f"port/{file}": text for file, text in link_port_files(target).items()})
    writer.write(
        {
            "Makefile": makefile(target, name, sources, link=link),
            "CMakeLists.txt": program_lists(package, target),
            MAIN: _main(compiled, files),
            "README.md": _readme(compiled, target),
        }
    )
    writer.write(package_files(package))
    tests_itself = compiled.self_test is not None
    writer.write(sketch_files(files.interface, self_test=tests_itself, link=link))
    return files


def _settings(compiled: Compiled) -> int:
    options = compiled.options
    return settings_crc(
        trains=bool(compiled.plan.graph.updates),
        rate=compiled.rate,
        schedule=options.rate_schedule,
        seed=options.seed,
        slots=options.replay,
        rehearsed=compiled.rehearsal.crc if compiled.rehearsal else 0,
    )


def _main(compiled: Compiled, files: ModelFiles) -> str:
    """The program that `simulate` speaks to."""
    return render("codegen", "main_simulate.c.j2", **_program_context(compiled, files))


def _program_context(compiled: Compiled, files: ModelFiles) -> dict[str, Any]:
    """What the templates of programs around a model name."""
    return {
        "NAME": compiled.graph.name.upper(),
        "health": health_record(compiled),
        "self_test": compiled.self_test is not None,
        "portions": files.portions,
        **vars(files.interface),
    }


def _readme(compiled: Compiled, target: Target) -> str:
    return render(
        "codegen",
        "folder_readme.md.j2",
        name=compiled.graph.name,
        target=target.name,
        version=__version__,
        summary=_summary(compiled),
        flags=" ".join(("-std=c11", *ARITHMETIC_CFLAGS)),
    )


def _summary(compiled: Compiled) -> str:
    what = f"{compiled.classes} classes" if compiled.classes else f"{compiled.output_size} outputs"
    file = compiled.forward.source.file or "a PyTorch module"
    return f"{file}, {what}, update scheme {Path(compiled.options.scheme).name}"
