"""What each command of the command line does: options in, tables out."""

from __future__ import annotations

import argparse
import json
import os
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tinytrain.cli.console import (
    ProgressDisplay,
    classes_table,
    curve_table,
    facts_table,
    kernels_summary,
    kernels_table,
    memory_table,
    print_health,
    print_table,
    print_warnings,
    replay_summary,
    targets_table,
    ways_summary,
)
from tinytrain.cli.model_options import preprocess, setting
from tinytrain.errors import UsageError


def _compile(options: argparse.Namespace) -> None:
    from tinytrain.compiler.compile import compile_model
    from tinytrain.compiler.pipeline import PIPELINE
    from tinytrain.manifest import to_json

    steps = [stage.name for stage in PIPELINE]
    with ProgressDisplay(quiet=options.json) as display:
        product = compile_model(
            options.model,
            output=options.output,
            target=options.target,
            calibration=options.calibration,
            preprocess=preprocess(options),
            ram=options.ram,
            flash=options.flash,
            dump_ir=options.dump_ir,
            progress=lambda step: display.update("compile", steps.index(step), len(steps), step),
            health=options.health,
            name=options.name,
            **setting(options),
        )
        display.update("compile", len(steps), len(steps), "done")
    manifest = product.manifest
    print_warnings(manifest.warnings)
    if options.json:
        # Hashes of files are for whoever checks the folder.
        shown = {key: held for key, held in to_json(manifest).items() if key != "files"}
        print(json.dumps(shown, indent=2))
        return
    print_table(
        memory_table(
            product.memory.ram,
            product.memory.flash,
            ram_budget=manifest.budget.ram,
            flash_budget=manifest.budget.flash,
        )
    )
    facts: dict[str, object] = {"sources": product.directory, "header": f"src/{manifest.name}.h"}
    facts["learning rate"] = product.compiled.guidance.rate_text(product.compiled.rate)
    facts["kernels"] = kernels_summary(manifest.kernels)
    if ways := ways_summary(manifest.arena.optimizations):
        facts["arena"] = ways
    if manifest.replay is not None:
        facts["replay slots"] = replay_summary(manifest.replay)
    if product.quantization is not None:
        report = product.quantization
        facts["same prediction as float"] = f"{report.agreement:.1%} of {report.samples} samples"
        if report.accuracy_float is not None:
            facts["accuracy float, int8"] = (
                f"{report.accuracy_float:.1%}, {report.accuracy_int8:.1%}"
            )
        facts["error of the outputs"] = f"{report.rms_error:.1%} (root mean square)"
    facts["next"] = f"tinytrain simulate {product.directory} --data F.npz --steps N"
    print_table(facts_table(facts))


def _simulate(options: argparse.Namespace) -> None:
    from tinytrain.simulation.frozen_cache import FROZEN_MEMORY
    from tinytrain.simulation.session import simulate

    memory = FROZEN_MEMORY if options.frozen_memory is None else options.frozen_memory
    for place in filter(None, (options.save, options.losses)):
        _check_place(Path(place))
    with ProgressDisplay() as display:
        result = simulate(
            options.directory,
            on=options.on,
            data=options.data,
            eval_data=options.eval,
            steps=options.steps,
            seed=options.seed,
            learning_rate=options.learning_rate,
            evaluate_every=options.evaluate_every,
            patience=options.patience,
            icount=options.icount,
            parameters_in=options.load,
            frozen_memory=memory,
            order=options.order,
            replay_steps=options.replay_steps,
            progress=display.update,
        )
    if options.save and result.saved is not None:
        _write(Path(options.save), result.saved)
    if options.losses:
        text = "".join(f"{loss!r}\n" for loss in result.losses)
        _write(Path(options.losses), text.encode())
    if options.json:
        print(result.to_json())
    else:
        figures = json.loads(result.to_json())
        # Below the table, where the narrowest terminal shows it whole.
        digest = figures.pop("weights_sha256")
        classes = [figures.pop(f"class_accuracy_{when}") for when in ("before", "after")]
        if curve := figures.pop("curve"):
            print_table(curve_table(curve))
        best = figures.pop("best")
        figures["best_at"] = best and best["step"]
        figures.pop("health")
        print_table(facts_table({name.replace("_", " "): value for name, value in figures.items()}))
        if None not in classes:
            print_table(classes_table(*classes))
        print(f"weights sha256 {digest}")
        if result.health is not None:
            print_health(result.health)


def _experiment(options: argparse.Namespace) -> None:
    from tinytrain.cli.experiments import list_runs, perform
    from tinytrain.experiments.toml_file import load_experiment

    if options.workers is not None and options.workers < 1:
        raise UsageError(f"{options.workers} workers can do nothing", help="give 1 or more")
    try:
        only = None if options.only is None else re.compile(options.only)
    except re.error as error:
        raise UsageError(f"'{options.only}' is no regular expression: {error}") from error
    experiment = load_experiment(options.file)
    folder = Path("build", "experiments")
    output = Path(options.output) if options.output else folder / experiment.file.stem
    if options.dry_run:
        list_runs(experiment, output, only)
        return
    cache = Path(options.cache) if options.cache else folder / "cache"
    perform(experiment, output, cache, workers=options.workers, only=only)


def _check_place(path: Path) -> None:
    """Raises UsageError, before a long session, for a file that could not be written after it."""
    if path.is_dir() or not os.access(path.absolute().parent, os.W_OK):
        raise UsageError(
            f"'{path}' cannot be written: "
            + ("it is a folder" if path.is_dir() else "its folder is missing or not writable"),
            help="name another file",
        )


def _write(path: Path, data: bytes) -> None:
    """Writes a file whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(data)  # a pipe or a device
            return
        try:
            part.write_bytes(data)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"'{path}' cannot be written: {error.strerror}") from error


def _inspect(options: argparse.Namespace) -> None:
    from tinytrain.cli.inspect_tables import layer_table, trained_table
    from tinytrain.compiler.inspect import inspect_model
    from tinytrain.compiler.options import Options

    given = {**setting(options), "scheme": options.scheme or "full"}
    chosen = Options(**given)
    asked = options.scheme or options.calibration or chosen != Options()
    report = inspect_model(
        options.model,
        options=chosen if asked else None,
        calibration=options.calibration,
        preprocess=preprocess(options),
    )
    training = report.training
    if training is not None:
        print_warnings(training.warnings)
    if options.json:
        print(json.dumps(report.to_json(), indent=2))
        return
    print_table(layer_table(report))
    if training is not None:
        print_table(trained_table(training))
    print_table(facts_table(report.facts()))


def _kernels(options: argparse.Namespace) -> None:
    from tinytrain.manifest import to_json
    from tinytrain.simulation.folder import open_folder

    kernels = open_folder(options.directory).manifest.kernels
    if options.json:
        print(json.dumps(to_json(kernels), indent=2))
        return
    print_table(kernels_table(kernels))
    print(kernels_summary(kernels))


def _report(options: argparse.Namespace) -> None:
    from tinytrain.manifest import read_manifest
    from tinytrain.reports.page import report_page
    from tinytrain.reports.tables import (
        layers_table,
        peak_table,
        report_facts,
        report_json,
        ways_table,
    )

    manifest = read_manifest(options.directory)
    page = Path(options.output or Path(options.directory, "build", "report.html"))
    if not options.output:
        # In `build`, which belongs to nobody: `compile` replaces no folder that holds other files.
        with suppress(OSError):
            page.parent.mkdir(exist_ok=True)
    _check_place(page)
    _write(page, report_page(manifest))
    if options.json:
        print(json.dumps(report_json(manifest, page), indent=2))
        return
    ram, flash = manifest.budget.ram, manifest.budget.flash
    print_table(memory_table(manifest.ram, manifest.flash, ram_budget=ram, flash_budget=flash))
    print_table(peak_table(manifest.arena))
    print_table(layers_table(manifest.layers))
    if manifest.arena.optimizations:
        print_table(ways_table(manifest.arena.optimizations))
    print_table(facts_table(report_facts(manifest)))
    # Below the table, where the narrowest terminal shows it whole.
    print(f"page: {page}")


def _targets(options: argparse.Namespace) -> None:
    from tinytrain.target import list_targets, load_target

    found = [load_target(name) for name in list_targets()]
    if options.json:
        print(
            json.dumps(
                {
                    t.name: {
                        "description": t.description,
                        "core": t.core,
                        "ram": t.ram,
                        "flash": t.flash,
                        "emulated": t.machine is not None,
                    }
                    for t in found
                },
                indent=2,
            )
        )
        return
    print_table(targets_table(found))


COMMANDS: dict[str, Callable[[argparse.Namespace], None]] = {
    "compile": _compile,
    "simulate": _simulate,
    "experiment": _experiment,
    "inspect": _inspect,
    "kernels": _kernels,
    "report": _report,
    "targets": _targets,
}
"""By name; each raises what it cannot do."""
