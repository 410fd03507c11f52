"""The manifest of a generated folder as one record."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from tinytrain.data import Preprocess, SampleSpec
from tinytrain.data.spec import InputPart
from tinytrain.losses import SampleTarget
from tinytrain.manifest.anomaly import AnomalyRecord
from tinytrain.manifest.arena import ArenaRecord, KernelRecord, LayerRecord, SpeedRecord
from tinytrain.manifest.choice import ChoiceRecord
from tinytrain.manifest.enrolment import EnrolmentRecord
from tinytrain.manifest.follow import FollowRecord
from tinytrain.manifest.guard import GuardRecord
from tinytrain.manifest.health import HealthRecord
from tinytrain.manifest.interface import ModelInterface
from tinytrain.manifest.portions import PortionsRecord
from tinytrain.manifest.pseudo import PseudoRecord
from tinytrain.manifest.rates import GuidanceRecord, RaceRecord
from tinytrain.manifest.records import (
    BudgetRecord,
    CalibrationRecord,
    InputRecord,
    OutputRecord,
    ParameterRecord,
    ProofRecord,
    QuantizationRecord,
    ReplayRecord,
    Scalar,
    SourceRecord,
    TrainedRecord,
)
from tinytrain.manifest.rehearsal import RehearsalRecord
from tinytrain.manifest.schema import (
    Count,
    Matches,
    SchemaError,
    Sha256,
    TotalIsSum,
    Whole,
    to_json,
    wrong,
)
from tinytrain.naming import advice

FORMAT = 3
"""Rises with every key that is added, goes, or means something else."""

Identifier = Annotated[str, Matches(r"[A-Za-z_]\w*", "C identifier")]
Uses = Annotated[Mapping[str, Count], TotalIsSum()]
"""Bytes by use, with their sum under "total"."""

READ_OPTIONS = {
    "scheme": str, "rule": str, "fraction_bits": int, "schedule": str, "warmup": int, "seed": int
}  # fmt: skip
"""The options that a session or a report reads, with their types; the others are for people."""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """manifest.json: everything that is known of a compiled model.

    Attributes:
        format: number of this format.
        tinytrain: version that wrote the folder.
        name: prefix of the model's C functions.
        model: the model file.
        model_hash: hash in the header of a saved file; the same for models that compute the same
            from the same trained parameters.
        options: options of the compiler by name; a scheme file without its folder.
        trained: what trains, by layer.
        choice: how the update scheme was chosen; null if it was given.
        kernels: kernels that the compiler chose, in the order of execution.
        versions: versions of the packages that decide the bytes of the folder.
        loss: the loss function.
        input: the model's input.
        output: the model's output.
        preprocess: how uint8 images of data files become inputs; null if the model takes none.
        learning_rate: initial learning rate.
        rate_limit: largest learning rate that the device takes.
        guidance: how the learning rate was suggested.
        race: which rates and schedules were tried; null if none were.
        warnings: warnings of the compiler, a sentence each.
        ram: bytes of RAM by use.
        flash: bytes of flash by use.
        arena: memory and schedule of one training step.
        layers: what each layer takes, in the order of the forward pass; layers that take nothing
            are left out.
        parameters: trained tensors, in the order of a saved file.
        health: meaning of the health counters; null if the model has none.
        saved_bytes: size of a saved file.
        frozen_bytes: size of the frozen activations of one sample; 0 if the first layer trains.
        feed_rows: rows of a sample that is fed row by row; 0 if it is written as a whole.
        replay: the replay buffer; null if there is none.
        rehearsal: the rehearsal set; null if there is none.
        guard: the guard; null if there is none.
        enrolment: classes that are learned from a few samples; null if none are.
        pseudo_labels: when a sample without a label is trained on; null if none is.
        follow: the convolutions that follow drift; null if none do.
        anomaly: how the model tells what is not normal; null if it does not.
        portions: how a training step is cut into portions; null if it is not.
        speed: estimated time of a training step.
        target: name of the target, or path of its file.
        budget: bytes that the model had to fit.
        quantization: what quantization cost; null if the model came quantized.
        calibration: the calibration samples; null if there were none.
        proof: what is known of the import; null where the model was not read from anything.
        files: SHA-256 of every other file, by its path in the folder.
    """

    format: Annotated[int, Whole(FORMAT, FORMAT)]
    tinytrain: str
    name: Identifier
    model: SourceRecord
    model_hash: Sha256
    options: Mapping[str, Scalar]
    trained: Mapping[str, TrainedRecord]
    choice: ChoiceRecord | None
    kernels: tuple[KernelRecord, ...]
    versions: Mapping[str, str]
    loss: str
    input: InputRecord
    output: OutputRecord
    preprocess: Preprocess | None
    learning_rate: float
    rate_limit: float
    guidance: GuidanceRecord
    race: RaceRecord | None
    warnings: tuple[str, ...]
    ram: Uses
    flash: Uses
    arena: ArenaRecord
    layers: tuple[LayerRecord, ...]
    parameters: tuple[ParameterRecord, ...]
    health: HealthRecord | None
    saved_bytes: Count
    frozen_bytes: Count
    feed_rows: Count
    replay: ReplayRecord | None
    rehearsal: RehearsalRecord | None
    guard: GuardRecord | None
    enrolment: EnrolmentRecord | None
    pseudo_labels: PseudoRecord | None
    follow: FollowRecord | None
    anomaly: AnomalyRecord | None
    portions: PortionsRecord | None
    speed: SpeedRecord
    target: str
    budget: BudgetRecord
    quantization: QuantizationRecord | None
    calibration: CalibrationRecord | None
    proof: ProofRecord | None
    files: Mapping[str, Sha256]

    def __post_init__(self) -> None:
        object.__setattr__(self, "warnings", advice(self.warnings))
        for name, kind in READ_OPTIONS.items():
            if name not in self.options:
                raise SchemaError("has no", f"options.{name}")
            if type(self.options[name]) is not kind:
                what = "is no text" if kind is str else "is no whole number"
                raise wrong(what, f"options.{name}")

    @property
    def scheme(self) -> str:
        """The update scheme: a preset, or the name of a file."""
        return str(self.options["scheme"])

    @property
    def rounding(self) -> str:
        """How updates are rounded: `stochastic` or `nearest`."""
        return str(self.options["rule"])

    @property
    def fraction_bits(self) -> int:
        """Kept below the s8 of each trained weight."""
        bits = self.options["fraction_bits"]
        assert isinstance(bits, int)
        return bits

    @property
    def trains(self) -> bool:
        """Whether a step changes anything; not where the folder only infers."""
        return bool(self.parameters) and self.options.get("inference") is not True

    @property
    def wants(self) -> SampleTarget:
        """What the target of a sample is."""
        return SampleTarget(self.output.target)

    @property
    def interface(self) -> ModelInterface:
        """What a program around the model has to know."""
        return ModelInterface(
            name=self.name,
            classes=self.output.classes,
            wants=self.wants,
            pixels=self.output.pixels,
            input_sizes=self.input.sizes,
            output_size=self.output.size,
            saved_bytes=self.saved_bytes,
            frozen_bytes=self.frozen_bytes,
            feed_rows=self.feed_rows,
            trains=self.trains,
            replay=self.replay,
            rehearsal=self.rehearsal,
            guard=self.guard,
            enrolment=self.enrolment,
            pseudo=self.pseudo_labels,
            follow=self.follow,
            anomaly=self.anomaly,
        )

    def text(self) -> str:
        """The file's text."""
        return json.dumps(to_json(self), indent=2) + "\n"

    def sample_spec(self) -> SampleSpec:
        """The samples that the model takes.

        Raises:
            TinytrainError: the entries of the manifest contradict each other.
        """
        return SampleSpec(
            shape=self.input.shape,
            source_shape=self.input.source_shape,
            source_layout=self.input.source_layout,
            output_size=self.output.size,
            classes=self.output.classes,
            scale=self.input.scale,
            zero_point=self.input.zero_point,
            preprocess=self.preprocess,
            output_shape=self.output.source_shape,
            output_layout=self.output.source_layout,
            target=self.wants,
            parts=tuple(InputPart(**vars(part)) for part in self.input.parts),
            pixels=self.output.pixels,
            output_range=self.output.range,
            ending=self.output.ending,
        )
