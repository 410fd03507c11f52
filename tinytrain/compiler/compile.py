"""From a model to a folder of C that is known to fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tinytrain.compiler.auto_scheme import AutoScheme
from tinytrain.compiler.budget import Budget
from tinytrain.compiler.chosen_scheme import chosen_scheme
from tinytrain.compiler.enrolment import with_enrolment
from tinytrain.compiler.first_that_fits import first_that_fits
from tinytrain.compiler.folder import Product, write_folder
from tinytrain.compiler.images import image_preprocess
from tinytrain.compiler.integers import CalibrationSamples, IntegerModel, integer_model
from tinytrain.compiler.options import Options, make_options
from tinytrain.compiler.parameters import COMPILE
from tinytrain.compiler.pipeline import CHOOSE, IMPORT, build_step
from tinytrain.compiler.pseudo import check_pseudo_labels, with_pseudo_labels
from tinytrain.compiler.race import Report, with_race
from tinytrain.compiler.rehearsal import check_rehearse, with_rehearsal
from tinytrain.compiler.samples import sample_spec
from tinytrain.compiler.self_test import with_self_test
from tinytrain.data import Preprocess
from tinytrain.data.preprocess import Numbers
from tinytrain.emit.folder import refuse_changed, refuse_foreign
from tinytrain.manifest.choice import ChoiceRecord
from tinytrain.option import check_options
from tinytrain.passes.base import Runner
from tinytrain.scheme.scheme import AUTO, Scheme
from tinytrain.target import Target, load_target

Progress = Callable[[str], None]


# house(parameters): the public call, whose names others use
# house(function): most of it says what each parameter is
def compile_model(
    model: Any,
    example: Any = None,
    *,
    output: str | Path,
    target: str | Target = "host",
    calibration: CalibrationSamples | None = None,
    mean: Numbers | None = None,
    std: Numbers | None = None,
    ram: int | None = None,
    flash: int | None = None,
    instructions: int | None = None,
    rehearse: Any = None,
    dump_ir: str | Path | None = None,
    force: bool = False,
    model_output: str | None = None,
    progress: Progress = lambda step: None,
    race_progress: Report = lambda stage, done, total, note: None,
    **options: Any,
) -> Product:
    """Compiles a model into a folder of C sources.

    Args:
        model: path of an .onnx, .tflite or .pt2 file, an `nn.Module`, or a Keras model.
        example: tensor or array of the module's input, batch first, or a tuple of one for each
            input; for an `nn.Module` only.
        output: the folder to write; replaced as a whole if tinytrain wrote it before, but for
            `build` in it.
        target: name of a target, path of a target file, or a `Target`.
        calibration: samples in the model's layout, floats of any width in its units or uint8 images
            (see `mean`): path of an .npz with `x`; an array or a tensor [N,...]; a DataLoader or
            another iterable of x or (x, y), of which the first 256 samples are taken. Needed for a
            float model; for a quantized one it sets initial scales of gradients.
        mean, std: of uint8 images in data files, which are resized to the model's input and become
            (v / 255 - mean) / std; a number, or one a channel. Without either the scale and zero
            point of a quantized model's input say what they become, if they are those of images
            (`images.CONVENTIONS`); else the model takes none.
        ram, flash: budget in bytes instead of the target's, at least 1.
        instructions: of a training step at most, as the kernels' cost model has them.
        rehearse: labelled samples of before, of which `rehearsal_slots` lie in flash to train on
            again: path of an .npz with x and y, a pair (x, y), or a DataLoader or another iterable
            of such pairs; without it labelled calibration samples, where slots are asked for.
        model_output: of a model with several outputs, the one that is compiled; by default that of
            a classifier.
        dump_ir: folder that gets the graph as text after every pass.
        force: replaces files of the folder that were changed since tinytrain wrote them, too.
        progress: called with the name of each step of `pipeline.PIPELINE` before it runs.
        race_progress: called with "race", runs done, of all, and the rate and schedule that run
            next, where learning_rate is "race".
        options: fields of `options.Options`; docs/options.md has their ranges.

    Raises:
        TinytrainError: nothing was written then.
    """
    from tinytrain.frontend import import_model

    check_options(COMPILE, mean=mean, std=std, ram=ram, flash=flash, instructions=instructions)
    chosen = make_options(options)
    check_pseudo_labels(chosen, has_old_samples=rehearse is not None)
    if rehearse is not None:
        check_rehearse(chosen)
    where = target if isinstance(target, Target) else load_target(target)
    # Before anything takes time: a folder that may not be written is refused at once.
    refuse_foreign(Path(output))
    if not force:
        refuse_changed(Path(output))
    runner = Runner(Path(dump_ir) if dump_ir is not None else None, progress)
    runner.begin(IMPORT)
    imported = import_model(model, example=example, model_output=model_output)
    runner.check(imported.graph, IMPORT.name)
    imported, preprocess = image_preprocess(imported, mean, std)
    given = integer_model(imported, calibration, preprocess, chosen, runner)
    budget = Budget(ram or where.ram, flash or where.flash, instructions)
    name = target.name if isinstance(target, Target) else str(target)
    make = _Maker(chosen, given, preprocess, where, name, budget, runner)
    runner.begin(CHOOSE)
    if chosen.scheme == AUTO:
        auto = AutoScheme.of(given, chosen, preprocess, where)
        return first_that_fits(
            auto,
            budget,
            lambda found: make.product(output, rehearse, race_progress, found.scheme, found.record),
        )
    scheme = chosen_scheme(given, chosen, preprocess)
    return make.product(output, rehearse, race_progress, scheme)


@dataclass(frozen=True, eq=False)
class _Maker:
    """Makes a product of a scheme: what all schemes of one call have in common.

    Attributes:
        target_name: what finds the target again.
    """

    options: Options
    given: IntegerModel
    preprocess: Preprocess | None
    target: Target
    target_name: str
    budget: Budget
    runner: Runner

    def product(
        self,
        output: str | Path,
        rehearse: Any,
        report: Report,
        scheme: Scheme,
        choice: ChoiceRecord | None = None,
    ) -> Product:
        """Builds a training step and writes its folder.

        Args:
            choice: how the scheme was chosen.

        Raises:
            TinytrainError: nothing was written then.
        """
        given, options, samples = self.given, self.options, self.given.quantized_samples()
        compiled = build_step(given.forward, options, self.runner, samples, self.target.isa, scheme)
        compiled = replace(compiled, choice=choice, unused_labels=given.unused)
        spec = sample_spec(compiled, self.preprocess)
        compiled = with_rehearsal(compiled, rehearse, given, spec, self.budget.flash)
        if options.learning_rate == "race":
            compiled = with_race(compiled, given, spec, report)
        compiled = with_pseudo_labels(with_enrolment(compiled, given), given)
        compiled = with_self_test(compiled)
        return write_folder(
            compiled,
            output,
            target=self.target,
            target_name=self.target_name,
            preprocess=self.preprocess,
            budget=self.budget,
            given=given,
            runner=self.runner,
        )
