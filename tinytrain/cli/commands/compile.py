"""`tinytrain compile`: from a model to a folder of C that is known to fit."""

from __future__ import annotations

import argparse
from pathlib import Path

from tinytrain.cli.command import arguments_of
from tinytrain.cli.console import (
    ProgressDisplay,
    print_json,
    print_notes,
    print_table,
    print_warnings,
)
from tinytrain.cli.tables import (
    enrolment_summary,
    facts_table,
    follow_summary,
    kernels_summary,
    memory_table,
    pseudo_summary,
    race_summary,
    rehearsal_summary,
    replay_summary,
    ways_summary,
)
from tinytrain.compiler.compile import compile_model
from tinytrain.compiler.folder import Product
from tinytrain.compiler.parameters import COMPILE as PARAMETERS
from tinytrain.compiler.pipeline import PIPELINE
from tinytrain.manifest import Manifest, to_json
from tinytrain.reports.tables import choice_table

__all__ = ["PARAMETERS", "run"]


def run(options: argparse.Namespace) -> None:
    """Compiles, and shows what the folder takes."""
    steps = [step.name for step in PIPELINE]
    with ProgressDisplay(quiet=options.json) as display:
        product = compile_model(
            **arguments_of(options, PARAMETERS),
            progress=lambda step: display.update("compile", steps.index(step), len(steps), step),
            race_progress=display.update,
        )
        display.update("compile", len(steps), len(steps), "done")
    manifest = product.manifest
    print_notes(product.compiled.forward.source.notes)
    print_warnings(manifest.warnings)
    if options.json:
        # Hashes of files are for whoever checks the folder.
        print_json({key: held for key, held in to_json(manifest).items() if key != "files"})
        return
    budget, memory = manifest.budget, product.memory
    print_table(
        memory_table(memory.ram, memory.flash, ram_budget=budget.ram, flash_budget=budget.flash)
    )
    if manifest.choice is not None:
        print_table(choice_table(manifest.choice))
    print_table(facts_table({**_facts(product), **_cost_of_quantization(product)}))
    print(f"next: tinytrain {_next(manifest, product.directory)}")


def _next(manifest: Manifest, folder: Path) -> str:
    """The command that tries what the model was compiled for."""
    if manifest.anomaly is not None:
        return f"watch {folder} --data F.npz"
    return f"simulate {folder} --data F.npz --steps N{' --follow' if manifest.follow else ''}"


def _facts(product: Product) -> dict[str, object]:
    manifest = product.manifest
    facts: dict[str, object] = {
        "import": None if manifest.proof is None else manifest.proof.sentence(),
        "sources": product.directory,
        "header": f"src/{manifest.name}.h",
        "learning rate": _rate_text(product),
        "kernels": kernels_summary(manifest.kernels),
    }
    if manifest.choice is not None:
        facts["scheme"] = manifest.choice.sentence()
    if manifest.race is not None:
        facts["race"] = race_summary(manifest.race)
    if ways := ways_summary(manifest.arena.optimizations):
        facts["arena"] = ways
    if ended := product.compiled.plan.unfinished:
        facts["search"] = f"ended at its limit of work for {' and '.join(ended)}"
    if manifest.portions is not None:
        facts["portions"] = manifest.portions.sentence()
    if manifest.follow is not None:
        facts["followed"] = follow_summary(manifest.follow)
    if manifest.replay is not None:
        facts["replay slots"] = replay_summary(manifest.replay)
    if manifest.rehearsal is not None:
        facts["rehearsal set"] = rehearsal_summary(manifest.rehearsal)
    if manifest.enrolment is not None:
        facts["enrolment"] = enrolment_summary(manifest.enrolment)
    if manifest.pseudo_labels is not None:
        facts["pseudo-labels"] = pseudo_summary(manifest.pseudo_labels)
    return facts


def _rate_text(product: Product) -> str:
    compiled = product.compiled
    if not product.manifest.trains:
        return "nothing trains"
    return compiled.guidance.rate_text(compiled.rate)


def _cost_of_quantization(product: Product) -> dict[str, object]:
    report = product.quantization
    if report is None:
        return {}
    facts: dict[str, object] = {
        "same prediction as float": f"{report.agreement:.1%} of {report.samples} samples"
    }
    if report.accuracy_float is not None:
        facts["accuracy float, int8"] = f"{report.accuracy_float:.1%}, {report.accuracy_int8:.1%}"
    facts["error of the outputs"] = f"{report.rms_error:.1%} (root mean square)"
    return facts
