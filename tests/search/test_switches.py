"""Switches: a library of the largest scheme gives the bits of each scheme compiled by itself."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.support.graphs import GRAPHS
from tinytrain.compiler.compiled import Compiled
from tinytrain.compiler.emission import emit_step
from tinytrain.compiler.host_library import host_library
from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import build_step
from tinytrain.ir.graph import Graph
from tinytrain.passes.base import Runner
from tinytrain.passes.select_trainable import weighted_layers
from tinytrain.saved_file import read_saved
from tinytrain.scheme.scheme import Scheme, Share
from tinytrain.searches.switches import Switches
from tinytrain.simulation.library import HostLibrary, LibrarySamples

STEPS = 12
RATE = 0.05
SAMPLES = 9


def random_scheme(layers: list[str], rng: random.Random, *, whole: bool) -> Scheme:
    """Biases, and weights whole or in part, of some layers before the head; a rate for one."""
    *body, head = layers
    biases = tuple(layer for layer in body if rng.random() < 0.5)
    shares = (Share(),) if whole else (Share(), Share(0.5), Share(0.25), Share(channels=(0,)))
    weights = {layer: rng.choice(shares) for layer in body if rng.random() < 0.5}
    chosen = rng.choice([*weights, *biases, head])
    choice = rng.choice(("largest", "smallest", "random"))
    return Scheme("random", biases, weights, choice, {chosen: rng.choice((0.3, 2.0))})


def samples_of(compiled: Compiled, seed: int = 0) -> LibrarySamples:
    """Random inputs, and targets that fit the model."""
    rng = np.random.default_rng(seed)
    size = sum(value.type.size for value in compiled.graph.sample)
    inputs = rng.integers(-100, 100, (SAMPLES, size)).astype(np.int8)
    if compiled.classes:
        return LibrarySamples(rng.integers(0, compiled.classes, SAMPLES).astype(np.int32), inputs)
    shape = SAMPLES, compiled.output_size
    return LibrarySamples(rng.standard_normal(shape).astype(np.float32), inputs)


def trained(library: HostLibrary, compiled: Compiled) -> dict[str, np.ndarray]:
    """Each parameter as it is now, by its name."""
    weights, start, found = read_saved(library.save()).weights, 0, {}
    for value, data in compiled.graph.parameters.items():
        bytes_ = np.frombuffer(weights[start : start + data.nbytes], data.dtype)
        found[value.name] = bytes_.reshape(data.shape)
        start += data.nbytes
    return found


def learned(library: HostLibrary, samples: LibrarySamples) -> np.ndarray:
    """The losses of some steps from the factory state."""
    library.init()
    order = np.arange(STEPS) % SAMPLES
    return library.train(samples, order, np.full(STEPS, RATE, np.float32))[0]


def check_scheme(switches: Switches, scheme: Scheme, forward: Graph) -> None:
    """The same losses and the same parameters as the scheme compiled by itself."""
    own = build_step(forward, switches.options, Runner(), scheme=scheme)
    samples = samples_of(own)
    plain = replace(own.options, schedule="constant", rate_limit=1024.0)
    library = host_library(emit_step(replace(own, options=plain)))
    switches.set(scheme)
    assert np.array_equal(learned(switches.library, samples), learned(library, samples)), scheme
    alone, all_ = trained(library, own), trained(switches.library, switches.compiled)
    initial = {value.name: data for value, data in switches.compiled.graph.parameters.items()}
    merged = {
        node.inputs[0].name: (node.inputs[0].name.removesuffix("_trained"), node.attrs)
        for node in own.graph.nodes
        if node.op == "merge_channels"
    }
    for name, data in alone.items():
        if name in merged:
            whole, attrs = merged[name]
            channels, axis = list(attrs["channels"]), attrs["axis"]
            assert np.array_equal(np.take(all_[whole], channels, axis), data), name
            rest = np.delete(all_[whole], channels, axis)
            assert np.array_equal(rest, np.delete(initial[whole], channels, axis)), name
        elif "_trained" not in name:
            assert np.array_equal(all_[name], data), name
    off = {*all_} - {*alone} - {whole for whole, _ in merged.values()}
    for name in off - {f"{whole}{end}" for whole, _ in merged.values() for end in ENDS}:
        assert np.array_equal(all_[name], initial[name]), name
    assert switches.suggested_rate(scheme) == own.rate


ENDS = ("_fraction", "_velocity", "_velocity_fraction", "_second")


CASES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("convolutions", {}),
    ("convolutions", {"momentum": 0.9, "clip_norm": 0.5, "weight_decay": 0.01}),
    ("mixture", {"gradient": "s16", "accumulate": 3}),
    ("signal", {"gradient": "f32", "fraction_bits": 0}),
    ("layouts", {"fraction_bits": 2, "qas": False, "weight_decay": 0.02}),
    ("differences", {"optimizer": "adam", "loss": "mean_squared_error"}),
    ("embedding", {"class_weights": "balanced", "loss": "cross_entropy"}),
)


@pytest.mark.parametrize(("graph", "options"), CASES)
def test_bits_are_those_of_the_scheme_compiled_by_itself(
    graph: str, options: dict[str, Any]
) -> None:
    forward, rng = GRAPHS[graph](), random.Random(graph)
    layers = weighted_layers(forward)
    for update in ("stochastic", "nearest"):
        chosen = Options(scheme="full", update=update, **options)
        switches = Switches(build_step(forward, chosen, Runner()))
        whole = update == "stochastic" or options.get("optimizer") == "adam"
        for _ in range(2):
            scheme = random_scheme(layers, rng, whole=whole)
            check_scheme(switches, scheme, forward)
