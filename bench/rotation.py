"""Rotating channels: those that train are drawn anew every so many steps. Does it pay?

    .venv/bin/python -m bench.rotation

After TraDy (Quelennec et al., ICLR 2026). Two networks learn CIFAR-10 with the layers and biases of
a published scheme, of each layer an eighth of the input channels; three seeds. Fixed channels are
those with the largest weights. Drawn ones are any, or in proportion to how much of the squared
gradient is theirs, measured once before training. Between two draws a channel that was trained
stays as it is, so that RAM holds the whole weights of each layer, where fixed channels take their
own alone. The fairest comparison is the fixed scheme that fits into what rotation takes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from bench.tables import spread
from bench.trials import MODELS, SHARED, Task, task
from tinytrain.compiler.pipeline import build_step
from tinytrain.ir.operations import traits_of
from tinytrain.passes.base import Runner
from tinytrain.saved_file import read_saved
from tinytrain.scheme.scheme import Scheme, Share
from tinytrain.searches.switches import Switches
from tinytrain.searches.trial import judged, rates_of
from tinytrain.simulation.stream import training_order

RATIO, FIXED = 1 / 8, (1 / 8, 1 / 4, 1 / 2, 1.0)
STEPS, EVERY, SEEDS, JUDGES = 3000, 200, (0, 1, 2), 1000
DRAWN = ("any", "by gradient")


class Rotating(Switches):
    """Switches that change while a training goes on."""

    def go_on(self, scheme: Scheme) -> None:
        """What trains from now on; all that was learned stays."""
        weights, start, now = read_saved(self.library.save()).weights, 0, {}
        for value, data in self._graph.parameters.items():
            now[value] = np.frombuffer(weights[start : start + data.nbytes], data.dtype).copy()
            start += data.nbytes
        setting = self._setting(scheme, now)
        self.library.switch(setting, len(self._updates), len(self._parameters))

    def importance(self, layer: str) -> np.ndarray:
        """The share of each input channel of a layer in its squared gradient, f64 [channels]."""
        (w,) = (node.inputs[1] for node in self._layers if node.layer == layer)
        found = self.compiled.guidance.tangent.parts[w.name].mean(axis=0)
        return found / found.sum()


@dataclass(frozen=True, eq=False)
class Drawing:
    """Draws channels of the layers of a scheme."""

    switches: Rotating
    scheme: Scheme
    how: str

    def schemes(self, seed: int) -> Iterator[Scheme]:
        """The scheme with other channels each time."""
        draw = np.random.default_rng([seed, 0xD1A3])
        shares = {layer: self.switches.importance(layer) for layer in self.scheme.weights}
        while True:
            weights = {}
            for layer, share in shares.items():
                count = max(1, round(RATIO * share.size))
                # A little for each, so that there are enough that can be drawn.
                odds = (share + 1e-6) / (share + 1e-6).sum() if self.how == "by gradient" else None
                found = draw.choice(share.size, count, replace=False, p=odds)
                weights[layer] = Share(channels=tuple(sorted(found.tolist())))
            yield replace(self.scheme, weights=weights)


def fixed(scheme: Scheme, ratio: float) -> Scheme:
    """The same ratio of each layer."""
    return replace(scheme, weights={layer: Share(ratio) for layer in scheme.weights})


def accuracy(one: Task, drawing: Drawing | None, scheme: Scheme, seed: int) -> float:
    """Of the test samples after training."""
    switches = one.switches
    assert isinstance(switches, Rotating)
    draws = drawing.schemes(seed) if drawing is not None else None
    now = scheme if draws is None else next(draws)
    switches.set(now)
    learn, judge = switches.with_frozen(one.learn), switches.with_frozen(one.judge)
    order = training_order(len(learn.targets), STEPS, seed)
    rates = rates_of(switches.options, switches.suggested_rate(now), STEPS)
    for start in range(0, STEPS, EVERY):
        if start and draws is not None:
            switches.go_on(next(draws))
        part = slice(start, start + EVERY)
        switches.library.train(learn, order[part], rates[part])
    return judged(switches, judge)[1]


def taken(one: Task, scheme: Scheme, whole: bool) -> int:
    """Bytes of the arena in its fastest plan and of all that trains.

    Args:
        whole: counts the whole weights of each layer.
    """
    own = build_step(one.forward, one.switches.options, Runner(), scheme=scheme)
    bytes_ = own.plan.nbytes + sum(data.nbytes for data in own.graph.parameters.values())
    if whole:
        layers = {node.layer: node for node in own.graph.nodes if traits_of(node).has_weights}
        parts = {node.layer: node for node in own.graph.nodes if node.op == "merge_channels"}
        for layer, merge in parts.items():
            bytes_ += layers[layer].inputs[1].type.size - merge.inputs[0].type.size
    return bytes_


def main() -> int:
    """Prints a Markdown table."""
    if not SHARED.is_dir():
        print("needs ../shared with models/ and data/", file=sys.stderr)
        return 2
    parser = argparse.ArgumentParser(description="does it pay to rotate the channels that train?")
    parser.add_argument("--only", choices=sorted(MODELS), help="one of the models")
    only = parser.parse_args().only
    print(f"{STEPS} steps, channels drawn every {EVERY}; {JUDGES} test images.\n")
    print("| model | channels | RAM | accuracy | above fixed 0.125, pairs of seeds |")
    print("|---|---|---|---|---|", flush=True)
    for model in MODELS if only is None else (only,):
        one = task(model, STEPS, JUDGES, Rotating)
        base = fixed(one.published, RATIO)
        switches = one.switches
        assert isinstance(switches, Rotating)
        ways: list[tuple[str, Drawing | None, Scheme]] = [
            (f"fixed {ratio:g}", None, fixed(base, ratio)) for ratio in FIXED
        ]
        ways += [(f"drawn {how} {RATIO:g}", Drawing(switches, base, how), base) for how in DRAWN]
        least: list[float] = []
        for title, drawing, scheme in ways:
            found = [accuracy(one, drawing, scheme, seed) for seed in SEEDS]
            ram = taken(one, scheme, whole=drawing is not None)
            least = least or found
            above = [a - b for a, b in zip(found, least, strict=True)]
            row = (model.removesuffix("-int8.onnx"), title, f"{ram:,}", spread(found))
            row += ("" if found is least else spread(above),)
            print(f"| {' | '.join(row)} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
