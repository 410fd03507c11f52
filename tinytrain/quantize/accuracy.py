"""What quantization cost: the float model and its s8 form on the same samples."""

from __future__ import annotations

import numpy as np

from tinytrain.ir.graph import Graph, Value
from tinytrain.losses import LOSSES, SampleTarget, target_of
from tinytrain.manifest.records import QuantizationRecord
from tinytrain.passes.dense_to_conv import DenseToConv
from tinytrain.reference import packed
from tinytrain.reference.float_forward import run_float
from tinytrain.reference.interpret import Machine
from tinytrain.reference.loss import prediction
from tinytrain.reference.lowering import quantization, zero_of
from tinytrain.reference.significant import rounded

SAMPLES = 128


def quantization_cost(
    model: Graph, integers: Graph, samples: np.ndarray, labels: np.ndarray | None
) -> QuantizationRecord:
    """Runs both graphs on up to `SAMPLES` calibration samples.

    Args:
        model: float graph.
        integers: its s8 form.
        samples: f32 [N,H,W,C].
        labels: int [N] or None.
    """
    chosen = np.linspace(0, len(samples) - 1, min(len(samples), SAMPLES)).astype(int)
    result = logits_of(model, integers)
    chosen_samples = samples[chosen].astype(np.float32)
    floats = []
    for sample in chosen_samples:
        given = packed.unpacked(model.inputs, sample[None])
        floats.append(run_float(model, given, dtype=np.float64)[result].ravel())
    real = np.array(floats)
    quantized = integer_outputs(integers, packed.quantized(integers.inputs, chosen_samples))
    best, best_q = (_predicted(rows, integers) for rows in (real, quantized))
    accuracy = accuracy_q = None
    if labels is not None and best.ndim == 1:
        accuracy = float(np.mean(best == labels[chosen]))
        accuracy_q = float(np.mean(best_q == labels[chosen]))
    error = float(np.sqrt(np.mean((real - quantized) ** 2)) / max(np.sqrt(np.mean(real**2)), 1e-12))
    error = rounded(error, 6)
    return QuantizationRecord(
        samples=len(chosen),
        agreement=float(np.mean(best == best_q)),
        accuracy_float=accuracy,
        accuracy_int8=accuracy_q,
        rms_error=error,
    )


def integer_outputs(integers: Graph, samples: np.ndarray) -> np.ndarray:
    """The numbers that the outputs of an s8 graph stand for, f64 [N, elements].

    Args:
        samples: s8 [N, ...], packed.
    """
    exact = DenseToConv()(integers)
    machine, y = Machine(exact), exact.outputs[0]
    # Logits that leave as accumulators have a scale for each of them.
    scales = quantization(y).scales(y.type.shape[-1])
    found = []
    for sample in samples:
        output = machine.run(packed.unpacked(exact.inputs, sample[None]))[y]
        found.append(((output.astype(float) - zero_of(y)) * scales).ravel())
    return np.array(found)


def _predicted(outputs: np.ndarray, integers: Graph) -> np.ndarray:
    """The class of each sample [N], of each of its pixels, or which of its labels apply."""
    output = integers.outputs[0].type
    loss = integers.source.loss or next(iter(LOSSES))
    wants = target_of(loss, output.size, output.shape[-1])
    if wants is SampleTarget.PIXELS:
        logits = outputs.reshape(len(outputs), -1, output.shape[-1])
        return np.asarray(logits.argmax(axis=2))
    if wants is SampleTarget.SHARES:
        return outputs > 0
    return np.array([prediction(row) for row in outputs])


def logits_of(model: Graph, integers: Graph) -> Value:
    """What the outputs of the s8 form stand for: those of the model, or what its softmax reads."""
    producers, value = model.producers(), model.outputs[0]
    while integers.source.softmax:
        node = producers[value]
        value = node.inputs[0]
        if node.op == "softmax":
            break
    return value
