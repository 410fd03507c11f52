"""Switches: a library of the largest scheme gives the bits of each scheme compiled by itself."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.support.graphs import GRAPHS
from tests.support.imported import shared_model
from tests.support.paths import SCHEMES
from tests.support.random_networks import OPTIONS, network
from tests.support.real_models import FILES
from tinytrain.compiler.compiled import Compiled
from tinytrain.compiler.emission import emit_step
from tinytrain.compiler.host_library import host_library
from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import build_step, to_integers
from tinytrain.errors import SchemeError, UsageError, Where
from tinytrain.frontend import import_model
from tinytrain.ir.graph import Graph
from tinytrain.passes.base import Runner
from tinytrain.passes.select_trainable import weighted_layers
from tinytrain.saved_file import read_saved
from tinytrain.scheme.scheme import Scheme, Share, load_scheme
from tinytrain.searches.candidate import check_within
from tinytrain.searches.switches import Switches
from tinytrain.searches.trial import TrialScore, rates_of, trial
from tinytrain.simulation.library import HostLibrary, LibrarySamples
from tinytrain.simulation.stream import training_order

STEPS = 12
RATE = 0.05
SAMPLES = 9


def random_scheme(layers: list[str], rng: random.Random, *, whole: bool) -> Scheme:
    """Biases, and weights whole or in part, of some layers before the head; a rate for one, and a
    factor on all."""
    *body, head = layers
    biases = tuple(layer for layer in body if rng.random() < 0.5)
    shares = (Share(),) if whole else (Share(), Share(0.5), Share(0.25), Share(channels=(0,)))
    weights = {layer: rng.choice(shares) for layer in body if rng.random() < 0.5}
    chosen = rng.choice([*weights, *biases, head])
    choice = rng.choice(("largest", "smallest", "random"))
    rates = {chosen: rng.choice((0.3, 2.0))}
    return Scheme("random", biases, weights, choice, rates, rng.choice((1.0, 3.0)))


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


NEAREST = {"update": "nearest"}
CASES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("convolutions", {}),
    ("convolutions", {**NEAREST, "momentum": 0.9, "clip_norm": 0.5, "weight_decay": 0.01}),
    ("mixture", {"gradient": "s16", "accumulate": 3}),
    ("signal", {**NEAREST, "gradient": "f32", "fraction_bits": 0}),
    ("layouts", {**NEAREST, "fraction_bits": 2, "qas": False, "weight_decay": 0.02}),
    ("differences", {"optimizer": "adam", "loss": "mean_squared_error"}),
    ("embedding", {**NEAREST, "class_weights": "balanced", "loss": "cross_entropy"}),
)


@pytest.mark.parametrize(("graph", "options"), CASES)
def test_bits_are_those_of_the_scheme_compiled_by_itself(
    graph: str, options: dict[str, Any]
) -> None:
    forward, rng = GRAPHS[graph](), random.Random(graph)
    whole = "update" not in options  # stochastic rounding, or Adam
    switches = Switches(build_step(forward, Options(scheme="full", **options), Runner()))
    for _ in range(2):
        check_scheme(switches, random_scheme(weighted_layers(forward), rng, whole=whole), forward)


@pytest.mark.slow
@pytest.mark.parametrize("seed", (2, 3))
def test_networks_with_branches(seed: int) -> None:
    forward, rng = network(seed), random.Random(seed)
    options = {**OPTIONS[seed % len(OPTIONS)], **NEAREST, "scheme": "full"}
    switches = Switches(build_step(forward, Options(**options), Runner()))  # type: ignore[arg-type]
    for _ in range(3):
        check_scheme(switches, random_scheme(weighted_layers(forward), rng, whole=False), forward)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "scheme"), (("mcunet", "mcunet-5fps-49kb.toml"), ("kws", "last-3"))
)
def test_real_networks(model: str, scheme: str) -> None:
    options = Options(scheme="last-22" if model == "mcunet" else "full", update="nearest")
    imported = import_model(shared_model(FILES[model])).graph
    forward = to_integers(imported, None, options, Runner())
    switches = Switches(build_step(forward, options, Runner()))
    spec = str(SCHEMES / scheme) if scheme.endswith(".toml") else scheme
    check_scheme(switches, load_scheme(spec, weighted_layers(forward)), forward)


def test_a_trial_depends_on_nothing_before_it() -> None:
    forward = GRAPHS["convolutions"]()
    switches = Switches(build_step(forward, Options(scheme="full"), Runner()))
    samples = samples_of(switches.compiled)
    *body, _ = weighted_layers(forward)
    deep = Scheme("deep", tuple(body), {body[0]: Share(0.5), body[-1]: Share()})
    schemes = (Scheme("head"), Scheme("late", (body[-1],)), deep, Scheme("late", (body[-3],)))

    def found(scheme: Scheme) -> TrialScore:
        return trial(switches, scheme, samples, samples, steps=STEPS, seeds=(0, 1), rate=RATE)

    first = [found(scheme) for scheme in schemes]
    assert [found(scheme) for scheme in reversed(schemes)][::-1] == first
    assert len({score.loss for score in first}) == len(schemes)
    for scheme, score in zip(schemes, first, strict=True):
        switches.set(scheme)
        library, rates = switches.library, rates_of(switches.options, RATE, STEPS)
        losses = []
        for seed in (0, 1):  # and without frozen activations
            library.init()
            library.train(samples, training_order(SAMPLES, STEPS, seed), rates)
            losses.append(float(np.mean(library.evaluate(samples)[0], dtype=np.float64)))
        assert np.mean(losses) == score.loss


def compiled_with(scheme: Scheme | None = None, **options: Any) -> Compiled:
    """A small step."""
    options = {"scheme": "full", **options}
    return build_step(GRAPHS["signal"](), Options(**options), Runner(), scheme=scheme)


def test_a_largest_scheme_is_whole_and_has_no_rates() -> None:
    *body, _ = weighted_layers(GRAPHS["signal"]())
    with pytest.raises(SchemeError, match=f"trains only a part of layer '{body[-1]}'"):
        Switches(compiled_with(Scheme("part", (), {body[-1]: Share(0.5)})))
    with pytest.raises(SchemeError, match=f"gives layer '{body[-1]}' a rate of its own"):
        Switches(compiled_with(Scheme("rates", (body[-1],), {}, rates={body[-1]: 2.0})))
    with pytest.raises(SchemeError, match="asks for 3 times the suggested rate"):
        Switches(compiled_with(Scheme("rate", (body[-1],), rate=3.0)))
    with pytest.raises(UsageError, match="candidates have no model in common"):
        Switches(compiled_with(weight_headroom=2.0))


def test_a_candidate_is_within_the_largest_scheme() -> None:
    *body, _ = weighted_layers(GRAPHS["signal"]())
    switches = Switches(compiled_with(Scheme("last", (body[-1],), {body[-1]: Share()})))
    with pytest.raises(SchemeError, match=f"layer '{body[0]}' is no candidate to train its bias"):
        switches.set(Scheme("more", (body[0],)))
    with pytest.raises(SchemeError, match=f"layer '{body[0]}' is no candidate to train its weig"):
        switches.suggested_rate(Scheme("more", (), {body[0]: Share()}))
    with pytest.raises(SchemeError, match="the scheme trains nothing"):
        switches.set(Scheme("none", trains_head=False))
    within, full = switches.compiled.graph, compiled_with().graph
    check_within(within, full, Where("theirs.toml"))
    with pytest.raises(SchemeError, match="is no candidate to train its weights") as caught:
        check_within(full, within, Where("theirs.toml"))
    assert caught.value.where == Where("theirs.toml")
