"""What would fit where a training step does not."""

from __future__ import annotations

from dataclasses import replace
from itertools import takewhile

from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import Compiled, scheduled, select_trainable
from tinytrain.errors import UsageError
from tinytrain.ir.graph import Graph
from tinytrain.passes.base import Runner
from tinytrain.passes.dense_to_conv import DenseToConv
from tinytrain.passes.select_trainable import weighted_layers
from tinytrain.plan.within import plan_within
from tinytrain.scheme.scheme import Scheme

_SHARE = 0.3
"""Of a step's instructions, that are suggested to be spent on what runs again."""


def what_fits(compiled: Compiled, ram: int, besides: int) -> str:
    """The help for a step that needs too much RAM even in its smallest arena.

    Tries to feed rows, to compute activations again, both, then the last layers, as many as there
    is room for their parameters, then biases alone and the head alone.

    Args:
        ram: the budget, in bytes.
        besides: bytes that are neither arena nor trained parameters.
    """
    options, forward = compiled.options, compiled.forward

    def selected(scheme: str) -> tuple[Graph, Scheme, int]:
        graph, chosen = select_trainable(forward, replace(options, scheme=scheme), Runner())
        return graph, chosen, sum(data.nbytes for data in graph.parameters.values())

    def needed(scheme: str, feed: str, again: float = options.recompute) -> int | None:
        graph, chosen, trained = selected(scheme)
        graph = scheduled(graph, chosen, replace(options, scheme=scheme), Runner())
        most, fed = max(ram - trained - besides, 0), feed == "rows"
        try:
            plan, _ = plan_within(graph, compiled.plan.isa, most, fed=fed, recompute=again)
        except UsageError:
            return None  # the whole input is needed
        return plan.nbytes + trained + besides

    again = max(options.recompute, _SHARE)
    for ways in (("rows", options.recompute), (options.feed, again), ("rows", again)):
        said = _asked(options, *ways)
        found = needed(options.scheme, *ways) if said else None
        if found is not None and found <= ram:
            return f"{said}: about {found:,} bytes"
    layers = len(weighted_layers(DenseToConv()(forward)))
    # From much to little, but for what its parameters alone rule out.
    last = [f"last-{count}" for count in range(1, layers)]
    room = list(takewhile(lambda scheme: selected(scheme)[2] + besides <= ram, last))
    schemes = [*room[-1:], "bias", "head"]
    least: tuple[int, str] | None = None
    for feed in dict.fromkeys((options.feed, "rows")):
        flag = "" if feed == options.feed else f" --feed {feed}"
        for scheme in schemes:
            found = needed(scheme, feed)
            if found is None or (scheme, feed) == (options.scheme, options.feed):
                continue
            if found <= ram:
                return f"train less (--scheme {scheme}{flag}): about {found:,} bytes"
            this = found, f"--scheme {scheme}{flag}"
            least = this if least is None else min(least, this)
    help = "take a smaller input or model, or a target with more RAM"
    if least is None:
        return help
    return f"{help}; about {least[0]:,} bytes are the least ({least[1]})"


def _asked(options: Options, feed: str, again: float) -> str:
    """What to ask for beside the options that there are; nothing if they have it."""
    said, flags = [], []
    if feed != options.feed:
        said.append("feed the input row by row")
        flags.append(f"--feed {feed}")
    if again > options.recompute:
        said.append("let activations be computed again")
        flags.append(f"--recompute {again:.0%}")
    return f"{', '.join(said)} ({' '.join(flags)})" if flags else ""
