"""Manifests made by hand, and those that say something else than the compiler wrote."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tinytrain.manifest import FORMAT, Manifest
from tinytrain.manifest.arena import ArenaRecord, SpeedRecord, StepRecord
from tinytrain.manifest.rates import GuidanceRecord
from tinytrain.manifest.records import (
    BudgetRecord,
    InputRecord,
    OutputRecord,
    ParameterRecord,
    SourceRecord,
    TrainedRecord,
)

WAYS = [
    {
        "way": "line buffering",
        "detail": "a chain of 11 layers",
        "saved_bytes": 118_000,
        "instructions": 1_234_567,
    },
    {
        "way": "in-place reuse",
        "detail": "12 depthwise layers",
        "saved_bytes": 8_192,
        "instructions": 0,
    },
]
"""As the manifest lists what each memory optimization saved."""

SHA256 = "0" * 64


def output_record(classes: int, size: int = 20) -> OutputRecord:
    """Of a model that takes a label for each sample, or numbers where there are no classes."""
    return OutputRecord(
        size=size,
        classes=classes,
        source_shape=(1, size),
        source_layout="NC",
        target="label" if classes else "values",
        pixels=1,
        range=None,
        ending="",
    )


def small_manifest() -> Manifest:
    """The manifest of a model that takes a vector of 40 and gives 20 outputs; it has no files."""
    return Manifest(
        format=FORMAT,
        tinytrain="0.0.1",
        name="fake",
        model=SourceRecord(file="fake.onnx", sha256=SHA256),
        model_hash=SHA256,
        options={
            "scheme": "full",
            "rule": "stochastic",
            "fraction_bits": 4,
            "schedule": "constant",
            "warmup": 0,
            "seed": 0,
        },
        trained={"dense_0": TrainedRecord(bias=True, channels=(0, 3))},
        choice=None,
        kernels=(),
        versions={},
        loss="cross_entropy",
        input=InputRecord(
            shape=(1, 1, 1, 40),
            scale=1 / 32,
            zero_point=-3,
            source_shape=(1, 40),
            source_layout="NC",
            parts=(),
        ),
        output=output_record(20),
        preprocess=None,
        learning_rate=0.01,
        rate_limit=1024.0,
        guidance=GuidanceRecord(
            suggested_rate=None,
            rate_limit=None,
            kernel=0.0,
            curvature=0.5,
            share=0.5,
            margin=0.0,
            fresh_head=False,
            contrast=0.0,
            samples=0,
            measured_on="noise",
        ),
        race=None,
        warnings=(),
        ram={"arena": 5000, "total": 5000},
        flash={"code": 9000, "total": 9000},
        arena=ArenaRecord(
            nbytes=48,
            lower_bound=48,
            placement="bound met",
            peak="loss",
            peak_step=0,
            alignment=8,
            storages=(),
            steps=(
                StepRecord(
                    name="loss",
                    op="softmax",
                    layer="",
                    part="loss",
                    live_bytes=48,
                    instructions=None,
                ),
            ),
            optimizations=(),
            chains=(),
            tilings=(),
            rematerialized=(),
        ),
        layers=(),
        parameters=(
            ParameterRecord(
                name="weights",
                dtype="s8",
                nbytes=64,
                layer="dense_0",
                role="weights",
                shape=(8, 8),
                axis=None,
                channels=None,
                quantization=SHA256,
            ),
        ),
        health=None,
        saved_bytes=64,
        frozen_bytes=0,
        feed_rows=0,
        replay=None,
        rehearsal=None,
        guard=None,
        enrolment=None,
        pseudo_labels=None,
        follow=None,
        portions=None,
        anomaly=None,
        speed=SpeedRecord(
            core="host",
            clock_hz=None,
            instructions=0,
            cycles_per_instruction=None,
            seconds=None,
        ),
        target="mps2-an500",
        budget=BudgetRecord(ram=1 << 20, flash=1 << 20),
        quantization=None,
        calibration=None,
        proof=None,
        files={},
    )


Change = Callable[[dict[str, Any]], object]


def change_manifest(folder: Path, change: Change) -> None:
    """Rewrites a manifest as `change` leaves it."""
    file = folder / "manifest.json"
    manifest = json.loads(file.read_text(encoding="utf-8"))
    change(manifest)
    file.write_text(json.dumps(manifest), encoding="utf-8")
