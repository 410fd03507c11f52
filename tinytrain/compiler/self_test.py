"""What `NAME_self_test` does, and what it has to come to by the reference."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache

import numpy as np

from tinytrain.compiler.compiled import Compiled
from tinytrain.compiler.inference import inferring
from tinytrain.emit.self_test import STEPS, SelfTest
from tinytrain.ir.operations import loss_index
from tinytrain.ir.types import DType
from tinytrain.reference.interpret import Machine
from tinytrain.reference.packed import packed_size, step_inputs
from tinytrain.simulation.reference_state import scale_bytes

_TRIES = [(start, divisor) for divisor in (1, 2, 4, 8) for start in (0, 1)]
"""Noise of the full range leaves many a network in saturation, where a wrong bit would not show."""

_FACTOR, _STEP = 1664525, 1013904223


def with_self_test(compiled: Compiled) -> Compiled:
    """The step with its test of itself, where its options ask for one: of several ways to make
    samples the one in which most of what the model holds changes."""
    if not compiled.options.self_test:
        return compiled
    tried = [_run(compiled, start, divisor) for start, divisor in _TRIES]
    best = max(tried, key=lambda found: found[0])  # the first of equals
    return replace(compiled, self_test=best[1])


def _run(compiled: Compiled, start: int, divisor: int) -> tuple[float, SelfTest]:
    """How much a test moves, and the test."""
    options = compiled.options
    graph = inferring(compiled.graph) if options.inference else compiled.graph
    assert graph.target is not None, "a training graph has a target"
    machine = Machine(graph, rate=compiled.rate, seed=options.seed, schedule=options.rate_schedule)
    scales = {name: replace(scale) for name, scale in compiled.scales.items()}
    if graph.updates:
        machine.scales.update(scales)
    before = np.frombuffer(machine.weights_bytes(), np.uint8)
    loss, logits = graph.outputs[0], graph.nodes[loss_index(graph)].inputs[0]
    crc, apart = 0, []
    for number, sample in enumerate(_samples(packed_size(graph.sample), start, divisor)):
        wanted = np.zeros(graph.target.type.shape, graph.target.type.dtype.numpy)
        if graph.target.type.dtype is DType.S32:
            wanted[...] = number % compiled.classes
        known = machine.run(step_inputs(graph, sample, wanted))
        crc = zlib.crc32(known[loss if graph.updates else logits].tobytes(), crc)
        apart.append(_nearness(known[logits]))
    moved = np.count_nonzero(before != np.frombuffer(machine.weights_bytes(), np.uint8))
    # No inference moves them; they are in the state, and in what was learned.
    machine.scales = machine.scales or scales
    step = struct.pack("<fII", machine.step.rate, machine.step.seed, machine.step.count)
    crc = zlib.crc32(machine.weights_bytes() + scale_bytes(machine) + step, crc)
    share = moved / max(before.size, 1)
    return (share + 0.01) * sum(apart), SelfTest(start, divisor, crc)


def _nearness(logits: np.ndarray) -> float:
    """How much the other outputs count beside the largest: 1 and more, 1 where they do not."""
    flat = logits.astype(np.float64).ravel()
    return float(np.cumsum(np.exp(np.sort(flat - flat.max())))[-1])


def _samples(size: int, start: int, divisor: int) -> Iterator[np.ndarray]:
    """s8 [size] of each step: upper bytes of a linear congruential generator, over a divisor."""
    numbers = _numbers(STEPS * size, start)
    # Toward zero, as C divides.
    elements = np.trunc((numbers - 128) / divisor).astype(np.int8)
    yield from elements.reshape(STEPS, size)


@lru_cache(maxsize=2)
def _numbers(count: int, start: int) -> np.ndarray:
    """The upper bytes, int64 [count]; all divisors share them."""
    numbers = np.empty(count, np.int64)
    number = start
    for place in range(count):
        number = (number * _FACTOR + _STEP) % 2**32
        numbers[place] = number >> 24
    return numbers
