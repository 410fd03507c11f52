"""From a model to a folder of C that is known to fit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tinytrain.compiler.budget import Budget
from tinytrain.compiler.folder import Product, write_folder
from tinytrain.compiler.integers import CalibrationSamples, integer_model
from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import IMPORT, build_step
from tinytrain.data import Preprocess
from tinytrain.emit.folder import refuse_foreign
from tinytrain.passes.base import Runner
from tinytrain.target import Target, load_target

Progress = Callable[[str], None]


# house(parameters): the public call, whose names others use
def compile_model(
    model: Any,
    example_input: Any = None,
    *,
    output: str | Path,
    target: str | Target = "host",
    calibration: CalibrationSamples | None = None,
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
        target_name=target.name if isinstance(target, Target) else str(target),
        preprocess=preprocess,
        budget=Budget(ram or where.ram, flash or where.flash),
        given=given,
        runner=runner,
    )
