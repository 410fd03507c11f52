"""Writes a training step as a folder of C that is known to fit its target."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tinytrain.compiler.budget import Budget, MemoryUse, check_budget, check_slots, measure_memory
from tinytrain.compiler.compiled import Compiled
from tinytrain.compiler.concurrent import with_concurrent
from tinytrain.compiler.emission import emit_folder
from tinytrain.compiler.integers import IntegerModel
from tinytrain.compiler.manifest import Setting, manifest_of
from tinytrain.compiler.origins import origin_files
from tinytrain.compiler.pipeline import EMIT, MEASURE, for_isa, within
from tinytrain.compiler.rehearsal import fewer
from tinytrain.compiler.samples import sample_spec
from tinytrain.data import Preprocess
from tinytrain.emit.folder import FolderWriter
from tinytrain.manifest import Manifest
from tinytrain.manifest.records import QuantizationRecord
from tinytrain.passes.base import Runner
from tinytrain.target import Target


@dataclass(frozen=True, eq=False)
class Product:
    """A compiled model: the folder that was written, and what it takes.

    Attributes:
        directory: the folder.
        manifest: what stands in its manifest.json.
        compiled: graph, plan and options; what the reference runs.
        memory: RAM and flash, everything counted.
        quantization: what quantization cost, if the model came as floats.
    """

    directory: Path
    manifest: Manifest
    compiled: Compiled
    memory: MemoryUse
    quantization: QuantizationRecord | None


def write_folder(
    compiled: Compiled,
    output: str | Path,
    *,
    target: Target,
    target_name: str | None = None,
    preprocess: Preprocess | None = None,
    budget: Budget | None = None,
    given: IntegerModel | None = None,
    runner: Runner | None = None,
) -> Product:
    """The second half of `compile_model`: emits a training step, holds it to the budget.

    Args:
        output: the folder to write; replaced as a whole if tinytrain wrote it before.
        target: the device; its kernels are chosen anew if the step was planned for another core.
        target_name: what finds the target again: its name, or the path of its file.
        preprocess: for uint8 images in data files.
        budget: bytes that it may take; None leaves it what the target has.
        given: the model before anything in it was trained, for the manifest.
        runner: that the step was built with; plans that the budget asks for are dumped too.

    Raises:
        TinytrainError: nothing was written then.
    """
    runner = runner or Runner()
    budget = budget or Budget(target.ram, target.flash)
    compiled = with_concurrent(for_isa(compiled, target.isa, runner))
    sample = sample_spec(compiled, preprocess)
    setting = Setting(
        target,
        target_name or target.name,
        budget,
        None if given is None else given.report,
        None if given is None else given.calibration,
        None if given is None else given.proof,
    )
    while True:
        with FolderWriter(Path(output)) as writer:
            runner.begin(EMIT)
            files = emit_folder(writer, compiled, target)
            runner.begin(MEASURE)
            check_slots(compiled, files, budget, target)
            memory = measure_memory(writer.path, target, compiled, files)
            smaller = _smaller(compiled, memory, budget, runner)
            if smaller is None:
                check_budget(memory, compiled, files, budget, target)
                if given is not None:
                    writer.write(origin_files(given.imported, compiled))
                manifest = manifest_of(compiled, files, memory, sample, setting, writer.digests)
                writer.commit(manifest.text())
                return Product(Path(output), manifest, compiled, memory, setting.quantization)
        compiled = smaller


def _smaller(
    compiled: Compiled, memory: MemoryUse, budget: Budget, runner: Runner
) -> Compiled | None:
    """The step in an arena smaller by what is missing, or with fewer samples of before in flash;
    None if it fits, or none is smaller."""
    excess = memory.ram["total"] - budget.ram
    if excess <= 0:
        over = memory.flash["total"] - budget.flash
        return fewer(compiled, over) if over > 0 else None
    smaller = within(compiled, compiled.plan.nbytes - excess, runner)
    return smaller if smaller.plan.nbytes < compiled.plan.nbytes else None
