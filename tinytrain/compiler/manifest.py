"""Fills in the manifest of a generated folder."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from tinytrain.compiler.budget import Budget, MemoryUse
from tinytrain.compiler.compiled import Compiled
from tinytrain.compiler.options import Options
from tinytrain.compiler.parameter_records import parameter_records
from tinytrain.data import SampleSpec
from tinytrain.data.spec import InputPart
from tinytrain.emit.model_files import ModelFiles
from tinytrain.ir.graph import Graph
from tinytrain.ir.operations import head, role_of, traits_of
from tinytrain.ir.ops import Role
from tinytrain.ir.source import ModelSource
from tinytrain.ir.trained import trained_tensors
from tinytrain.manifest import FORMAT, Manifest
from tinytrain.manifest.health import GradientCounterRecord, HealthRecord, UpdateCounterRecord
from tinytrain.manifest.interface import ModelInterface
from tinytrain.manifest.records import (
    BudgetRecord,
    CalibrationRecord,
    InputPartRecord,
    InputRecord,
    OutputRecord,
    ProofRecord,
    QuantizationRecord,
    Scalar,
    SourceRecord,
    TrainedRecord,
)
from tinytrain.plan.record import arena_record, kernel_records, layer_records
from tinytrain.plan.speed import speed_record
from tinytrain.reference.class_health import counted_classes
from tinytrain.reference.health import ends_of
from tinytrain.reference.machine import rounding_nodes
from tinytrain.target import Target
from tinytrain.version import __version__


@dataclass(frozen=True)
class Setting:
    """What a folder was compiled for, and with what.

    Attributes:
        target: where it runs.
        target_name: what finds the target again: its name, or the path of its file.
        budget: what it had to fit.
        quantization: what quantization cost, if the model came as floats.
        calibration: which samples were used.
        proof: what is known of the import, if the model was read from something.
    """

    target: Target
    target_name: str
    budget: Budget
    quantization: QuantizationRecord | None = None
    calibration: CalibrationRecord | None = None
    proof: ProofRecord | None = None

    @property
    def budget_record(self) -> BudgetRecord:
        """The budget, for the manifest."""
        return BudgetRecord(ram=self.budget.ram, flash=self.budget.flash)


def _link_warnings(compiled: Compiled, target: Target) -> tuple[str, ...]:
    """A sentence on a link whose program a board lacks the line for."""
    if not compiled.options.link or target.has_line:
        return ()
    name = compiled.graph.name
    return (
        f"--link adds no program for '{target.name}', as there is no driver of its serial line: "
        f"call {name}_link_poll in a program of your own, or build the sketch of examples/ with "
        "Arduino's core (docs/link.md)",
    )


def manifest_of(
    compiled: Compiled,
    files: ModelFiles,
    memory: MemoryUse,
    sample: SampleSpec,
    setting: Setting,
    digests: Mapping[str, str],
) -> Manifest:
    """The manifest of a folder.

    Args:
        sample: what the model takes.
        digests: SHA-256 of every file, by its path in the folder.
    """
    graph, interface = compiled.plan.graph, files.interface
    arena = arena_record(compiled.plan, tuple(each.record() for each in compiled.optimizations))
    return Manifest(
        format=FORMAT,
        tinytrain=__version__,
        name=graph.name,
        model=_model(compiled.forward.source),
        model_hash=files.model_hash.hex(),
        options=options_record(compiled.options),
        trained=trained_records(compiled.graph),
        choice=compiled.choice,
        kernels=kernel_records(compiled.plan),
        versions=_versions(),
        loss=compiled.options.loss,
        input=_input(sample),
        output=_output(sample),
        preprocess=sample.preprocess,
        learning_rate=compiled.rate,
        rate_limit=compiled.rate_limit,
        guidance=compiled.guidance.record(),
        race=compiled.race,
        warnings=(*compiled.warnings, *_link_warnings(compiled, setting.target)),
        ram=memory.ram,
        flash=memory.flash,
        arena=arena,
        layers=layer_records(graph, arena, files.constants),
        parameters=parameter_records(compiled.graph),
        health=health_record(compiled),
        saved_bytes=interface.saved_bytes,
        frozen_bytes=interface.frozen_bytes,
        feed_rows=interface.feed_rows,
        replay=interface.replay,
        rehearsal=interface.rehearsal,
        guard=interface.guard,
        enrolment=interface.enrolment,
        **_without_labels(interface),
        portions=files.portions,
        speed=speed_record(compiled.plan, setting.target),
        target=setting.target_name,
        budget=setting.budget_record,
        quantization=setting.quantization,
        calibration=setting.calibration,
        proof=setting.proof,
        files=dict(sorted(digests.items())),
    )


def _without_labels(interface: ModelInterface) -> dict[str, Any]:
    """How it learns from samples without labels."""
    return {
        "pseudo_labels": interface.pseudo,
        "follow": interface.follow,
        "anomaly": interface.anomaly,
    }


def _model(source: ModelSource) -> SourceRecord:
    return SourceRecord(file=source.file, sha256=source.sha256)


def _output(sample: SampleSpec) -> OutputRecord:
    return OutputRecord(
        size=sample.output_size,
        classes=sample.classes,
        source_shape=sample.output_shape,
        source_layout=sample.output_layout,
        target=sample.wants.value,
        pixels=sample.pixels,
        range=sample.output_range,
        ending=sample.ending,
    )


def _input(sample: SampleSpec) -> InputRecord:
    assert sample.scale is not None, "a compiled model is quantized"
    return InputRecord(
        shape=sample.shape,
        scale=sample.scale,
        zero_point=sample.zero_point,
        source_shape=sample.source_shape,
        source_layout=sample.source_layout,
        parts=tuple(map(_part, sample.parts)),
    )


def _part(part: InputPart) -> InputPartRecord:
    assert part.scale is not None, "a compiled model is quantized"
    return InputPartRecord(
        name=part.name,
        shape=part.shape,
        scale=part.scale,
        zero_point=part.zero_point,
        source_shape=part.source_shape,
        source_layout=part.source_layout,
    )


def _versions() -> dict[str, str]:
    """What else decides the bytes of the folder."""
    packages = ("numpy", "onnx", "tflite", "jinja2", "ortools")
    return {"tinytrain": __version__, **{name: metadata.version(name) for name in packages}}


def options_record(options: Options) -> dict[str, Scalar]:
    """The options for the manifest; a scheme file by its name and hash."""
    path = Path(options.scheme)
    digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
    return {**options.to_manifest(), "scheme": path.name, "scheme_sha256": digest}


def trained_records(graph: Graph) -> dict[str, TrainedRecord]:
    """What trains, by layer: each of them trains something."""
    found: dict[str, TrainedRecord] = {}
    parameters = graph.parameters
    chosen = {node.output: node for node in graph.nodes if role_of(node) is Role.VIEW}
    for node in graph.nodes:
        if not traits_of(node).has_weights:
            continue
        _, w, b = node.inputs
        channels: str | tuple[int, ...] | None = "all" if w in parameters else None
        if w in chosen:
            channels = tuple(chosen[w].attrs["channels"])
        if channels is not None or b in parameters:
            found[node.layer] = TrainedRecord(bias=b in parameters, channels=channels)
    return found


def health_record(compiled: Compiled) -> HealthRecord | None:
    """Whose health is counted; None where nothing is counted."""
    if not compiled.options.health or not compiled.plan.graph.updates:
        return None
    graph = compiled.graph
    logits = head(graph).layer
    return HealthRecord(
        gradients=tuple(
            GradientCounterRecord(name=node.name, layer=node.layer)
            for node in rounding_nodes(graph).values()
        ),
        updates=tuple(
            UpdateCounterRecord(
                name=tensor.name,
                layer=tensor.update.layer,
                elements=tensor.parameter.type.size,
                at_end=ends_of(tensor, graph.parameters),
                is_logits=tensor.update.layer == logits,
            )
            for tensor in trained_tensors(graph)
        ),
        classes=counted_classes(graph),
    )
