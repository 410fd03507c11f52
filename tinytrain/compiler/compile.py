"""From a model to a folder of C that is known to fit."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinytrain.compiler.budget import MemoryUse, check_budget, check_slots, measure_memory
from tinytrain.compiler.compiled import Compiled
from tinytrain.compiler.manifest import health_record, manifest_of
from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import (
    EMIT,
    IMPORT,
    MEASURE,
    build_step,
    for_isa,
    to_integers,
    within,
)
from tinytrain.data import Preprocess, SampleSpec, load_calibration
from tinytrain.emit.folder import FolderWriter, refuse_foreign
from tinytrain.emit.model_files import ModelFiles, emit_model
from tinytrain.errors import UsageError
from tinytrain.ir.graph import Graph
from tinytrain.ir.source import ModelSource
from tinytrain.kernel.sources import runtime_files
from tinytrain.passes.base import Runner
from tinytrain.plan.speed import speed_record
from tinytrain.quantize.accuracy import QuantizationReport, quantization_report
from tinytrain.quantize.passes import is_quantized
from tinytrain.target import Target, load_target
from tinytrain.toolchain.build_files import MAIN, cmake_lists, makefile, port_files
from tinytrain.toolchain.template import render
from tinytrain.version import __version__

CALIBRATION_SAMPLES = 256
Progress = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Product:
    """A written folder.

    Attributes:
        directory: the folder.
        manifest: what stands in its manifest.json, without the file hashes.
        compiled: graph, plan and options; what the reference runs.
        memory: RAM and flash, everything counted.
        quantization: what quantization cost, if the model came as floats.
    """

    directory: Path
    manifest: Mapping[str, Any]
    compiled: Compiled
    memory: MemoryUse
    quantization: QuantizationReport | None


def compile_model(
    model: Any,
    example_input: Any = None,
    *,
    output: str | Path,
    target: str | Target = "host",
    calibration: str | Path | np.ndarray | None = None,
    preprocess: Preprocess | None = None,
    ram: int | None = None,
    flash: int | None = None,
    dump_ir: str | Path | None = None,
    progress: Progress = lambda step: None,
    **options: Any,
) -> Product:
    """Compiles a model into a folder of C sources.

    Args:
        model: path of an .onnx, .tflite or .pt2 file, or an `nn.Module`.
        example_input: tensor of the module's input, batch of one; for an `nn.Module` only.
        output: the folder to write; replaced as a whole if tinytrain wrote it before.
        target: name of a target, path of a target file, or a `Target`.
        calibration: samples in the model's units: an .npz with `x`, or an array f32 [N,...] in the
            model's layout. Needed for a float model; for a quantized one it only sets the initial
            scales of the gradients.
        preprocess: for uint8 images in data files.
        ram, flash: budget in bytes instead of the target's.
        dump_ir: folder that gets the graph as text after every pass.
        progress: called with the name of each step of `pipeline.PIPELINE` before it runs.
        options: fields of `options.Options`.

    Raises:
        TinytrainError: nothing was written then.
    """
    from tinytrain.frontend import load_model

    chosen = Options(**options)
    where = target if isinstance(target, Target) else load_target(target)
    # Before anything takes time: a folder that may not be written is refused at once.
    refuse_foreign(Path(output))
    runner = Runner(Path(dump_ir) if dump_ir is not None else None, progress)
    runner.begin(IMPORT)
    source = runner.check(load_model(model, example_input=example_input), IMPORT.name)
    given = integer_model(source, calibration, preprocess, chosen, runner)
    compiled = build_step(given.forward, chosen, runner, given.quantized_samples(), where.isa)
    return write_folder(
        compiled,
        output,
        target=where,
        target_name=str(target) if not isinstance(target, Target) else target.name,
        preprocess=preprocess,
        ram=ram,
        flash=flash,
        report=given.report,
        calibration=_calibration_record(calibration, given.samples),
        runner=runner,
    )


@dataclass(frozen=True, eq=False)
class IntegerModel:
    """A model in integers, before anything in it is chosen to train.

    Attributes:
        forward: the s8 graph.
        samples: calibration samples f32 [N,H,W,C] in the model's units; None if none were given.
        report: what quantization cost, if the model came as floats.
    """

    forward: Graph
    samples: np.ndarray | None
    report: QuantizationReport | None

    def quantized_samples(self) -> np.ndarray | None:
        """The calibration samples as the model takes them, s8 [N,H,W,C]."""
        from tinytrain.data.spec import quantize_input
        from tinytrain.reference.lowering import scale_of, zero_of

        x = self.forward.inputs[0]
        return (
            None if self.samples is None else quantize_input(self.samples, scale_of(x), zero_of(x))
        )


def integer_model(
    source: Graph,
    calibration: str | Path | np.ndarray | None,
    preprocess: Preprocess | None,
    options: Options,
    runner: Runner,
) -> IntegerModel:
    """The first half of `compile_model`: an imported model, quantized if it is not yet.

    Raises:
        UsageError: the model needs calibration samples, and there are none.
        DataError: the samples do not fit.
    """
    samples, labels = _calibration(source, calibration, preprocess)
    if samples is None and not is_quantized(source):
        raise UsageError(
            "the model is not quantized, and no calibration samples are given",
            help="add --calibration FILE.npz with some hundred inputs as `x` (and labels as "
            "`y`, to see what quantization costs), or export the model quantized",
        )
    forward = to_integers(source, samples, options, runner)
    report = None
    if samples is not None and not is_quantized(source):
        report = quantization_report(source, forward, samples, labels)
    return IntegerModel(forward, samples, report)


def write_folder(
    compiled: Compiled,
    output: str | Path,
    *,
    target: Target,
    target_name: str | None = None,
    preprocess: Preprocess | None = None,
    ram: int | None = None,
    flash: int | None = None,
    report: QuantizationReport | None = None,
    calibration: Mapping[str, Any] | None = None,
    runner: Runner | None = None,
) -> Product:
    """The second half of `compile_model`: emits a training step, holds it to the budget.

    Args:
        target_name: what finds the target again: its name, or the path of its file.
        report: what quantization cost, for the manifest.
        calibration: which samples were used, for the manifest.
        runner: that the step was built with; plans that the budget asks for are dumped too.

    Raises:
        TinytrainError: nothing was written then.
    """
    runner = runner or Runner()
    compiled = for_isa(compiled, target.isa, runner)
    sample = sample_spec(compiled, preprocess)
    budget = {"ram": ram or target.ram, "flash": flash or target.flash}
    while True:
        with FolderWriter(Path(output)) as writer:
            runner.begin(EMIT)
            files = _emit(writer, compiled, target, sample)
            runner.begin(MEASURE)
            check_slots(compiled, files, ram=budget["ram"], target=target)
            memory = measure_memory(writer.path, target, compiled, files)
            excess = memory.ram["total"] - budget["ram"]
            smaller = compiled
            if excess > 0:
                smaller = within(compiled, compiled.plan.nbytes - excess, runner)
            if smaller.plan.nbytes >= compiled.plan.nbytes:
                check_budget(memory, compiled, **budget, target=target, replay=files.replay)
                manifest = {
                    **manifest_of(compiled, files, memory, sample),
                    "speed": speed_record(compiled.plan, target),
                    "target": target_name or target.name,
                    "budget": budget,
                    "quantization": None if report is None else report.to_manifest(),
                    "calibration": calibration,
                }
                writer.commit(manifest)
                return Product(Path(output), manifest, compiled, memory, report)
        compiled = smaller


def sample_spec(compiled: Compiled, preprocess: Preprocess | None) -> SampleSpec:
    """The samples that a compiled model takes."""
    from tinytrain.reference.lowering import scale_of, zero_of

    x, source = compiled.graph.inputs[0], compiled.forward.source
    return SampleSpec(
        shape=map_shape(x.type.shape),
        source_shape=source.shape,
        source_layout=_layout(source),
        output_size=compiled.output_size,
        classes=compiled.classes,
        scale=scale_of(x),
        zero_point=zero_of(x),
        preprocess=preprocess,
    )


def _calibration(
    model: Graph, calibration: str | Path | np.ndarray | None, preprocess: Preprocess | None
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Samples f32 [N,H,W,C] in the model's units, and labels if there are any."""
    if calibration is None:
        return None, None
    return load_calibration(calibration, _source_spec(model, preprocess), CALIBRATION_SAMPLES)


def _source_spec(model: Graph, preprocess: Preprocess | None) -> SampleSpec:
    return SampleSpec(
        shape=map_shape(model.inputs[0].type.shape),
        source_shape=model.source.shape,
        source_layout=_layout(model.source),
        output_size=model.outputs[0].type.size,
        classes=0,
        preprocess=preprocess,
    )


def _layout(source: ModelSource) -> str:
    # A 1-D signal is a map of height 1: its length is the width.
    return source.layout.replace("L", "W")


def map_shape(shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """(1, H, W, C) of an input's shape; a 1-D signal has H = 1, a vector H = W = 1."""
    missing = 4 - len(shape)
    batch, *rest = shape
    padded = (batch, *(1,) * missing, *rest)
    return padded[0], padded[1], padded[2], padded[3]


def _summary(compiled: Compiled) -> str:
    what = f"{compiled.classes} classes" if compiled.classes else f"{compiled.output_size} outputs"
    file = compiled.forward.source.file or "a PyTorch module"
    return f"{file}, {what}, update scheme {Path(compiled.options.scheme).name}"


def emit_step(compiled: Compiled) -> ModelFiles:
    """The C of a training step, without what makes it a folder."""
    return emit_model(
        compiled.graph,
        compiled.plan,
        scales=compiled.scales,
        rate=compiled.rate,
        schedule=compiled.options.rate_schedule,
        seed=compiled.options.seed,
        classes=compiled.classes,
        summary=_summary(compiled),
        slots=compiled.options.replay,
        slots_in=compiled.options.replay_in,
        health=compiled.options.health,
    )


def _emit(
    writer: FolderWriter, compiled: Compiled, target: Target, sample: SampleSpec
) -> ModelFiles:
    name = compiled.graph.name
    files = emit_step(compiled)
    writer.write({f"src/{file}": text for file, text in files.files.items()})
    runtime = runtime_files(files.functions)
    writer.write(runtime)
    sources = sorted(
        [path for path in runtime if path.endswith(".c")]
        + [f"src/{file}" for file in files.files if file.endswith(".c")]
    )
    writer.write({f"port/{file}": text for file, text in port_files(target).items()})
    writer.write(
        {
            "Makefile": makefile(target, name, sources),
            "CMakeLists.txt": cmake_lists(target, name, sources),
        }
    )
    main = render(
        "codegen",
        "main_simulate.c.j2",
        name=name,
        NAME=name.upper(),
        classes=sample.classes,
        replay=files.replay,
        health=health_record(compiled),
        feed_rows=files.feed_rows,
    )
    readme = render(
        "codegen",
        "folder_readme.md.j2",
        name=name,
        target=target.name,
        version=__version__,
        summary=_summary(compiled),
    )
    writer.write({MAIN: main, "README.md": readme})
    return files


def _calibration_record(
    calibration: str | Path | np.ndarray | None, samples: np.ndarray | None
) -> dict[str, Any] | None:
    if calibration is None or samples is None:
        return None
    name: str | None = None
    if isinstance(calibration, np.ndarray):
        data = calibration.tobytes()
    else:
        name, data = Path(calibration).name, Path(calibration).read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    return {"file": name, "sha256": digest, "samples_used": len(samples)}
