"""What would fit where a training step does not."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, replace

from tinytrain.compiler.compiled import Compiled
from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import select_trainable, training
from tinytrain.errors import UsageError
from tinytrain.ir.graph import Graph
from tinytrain.passes.base import Runner
from tinytrain.passes.select_trainable import weighted_layers
from tinytrain.plan.within import plan_within
from tinytrain.scheme.scheme import Scheme

_SHARE = 0.3
"""Of a step's instructions, that are suggested to be spent on rematerialization."""


def what_fits(compiled: Compiled, ram: int, besides: int) -> str:
    """The help for a step that needs too much RAM even in its smallest arena.

    Tries to feed rows, to compute activations again, both, then the last layers, as many as there
    is RAM for their parameters, then biases alone and the head alone.

    Args:
        ram: the budget, in bytes.
        besides: bytes that are neither arena nor trained parameters.
    """
    trials = _Trials(compiled, ram, besides)
    for options in _same_scheme(compiled.options):
        found = trials.needed(options)
        if found is not None and found <= ram:
            return f"{_asked(compiled.options, options)}: about {found:,} bytes"
    least: tuple[int, str] | None = None
    for options in _other_schemes(trials):
        found = trials.needed(options)
        if found is None:
            continue
        flags = f"--scheme {options.scheme}"
        if options.feed != compiled.options.feed:
            flags += f" --feed {options.feed}"
        if found <= ram:
            return f"train less ({flags}): about {found:,} bytes"
        least = (found, flags) if least is None else min(least, (found, flags))
    help = "take a smaller input or model, or a target with more RAM"
    if least is None:
        return help
    return f"{help}; about {least[0]:,} bytes are the least ({least[1]})"


@dataclass(frozen=True, eq=False)
class _Trials:
    """Plans the same model with other options. Attributes as the arguments of `what_fits`."""

    compiled: Compiled
    ram: int
    besides: int

    def trained(self, options: Options) -> int:
        """Bytes of the parameters that a scheme trains."""
        graph, _ = self._selected(options, Runner())
        return sum(data.nbytes for data in graph.parameters.values())

    def needed(self, options: Options) -> int | None:
        """Bytes of RAM in the smallest plan, or in one that fits; None where rows cannot be fed."""
        runner = Runner()
        graph, scheme = self._selected(options, runner)
        beside_arena = self.besides + sum(data.nbytes for data in graph.parameters.values())
        graph = runner.run(graph, training(options, scheme))
        most, fed = max(self.ram - beside_arena, 0), options.feed == "rows"
        isa = self.compiled.plan.isa
        try:
            plan, _ = plan_within(graph, isa, most, fed=fed, recompute=options.recompute)
        except UsageError:
            return None  # the whole input is needed
        return plan.nbytes + beside_arena

    def _selected(self, options: Options, runner: Runner) -> tuple[Graph, Scheme]:
        compiled = self.compiled
        # What samples chose once is not chosen again.
        scheme = compiled.scheme if options.scheme == compiled.options.scheme else None
        return select_trainable(compiled.forward, options, runner, scheme)


def _same_scheme(options: Options) -> Iterator[Options]:
    """Options that train the same in less memory, those that differ from what there is."""
    again = max(options.recompute, _SHARE)
    for feed, recompute in (("rows", options.recompute), (options.feed, again), ("rows", again)):
        if (feed, recompute) != (options.feed, options.recompute):
            yield replace(options, feed=feed, recompute=recompute)


def _other_schemes(trials: _Trials) -> Iterator[Options]:
    """Options that train less, from much to little, but for what parameters alone rule out."""
    options = trials.compiled.options
    layers = len(weighted_layers(trials.compiled.forward))
    last = [f"last-{count}" for count in range(1, layers)]
    fitting = bisect_left(
        last,
        True,
        key=lambda scheme: (
            trials.trained(replace(options, scheme=scheme)) + trials.besides > trials.ram
        ),
    )
    schemes = [*last[:fitting][-1:], "bias", "head"]
    for feed in dict.fromkeys((options.feed, "rows")):
        for scheme in schemes:
            if (scheme, feed) != (options.scheme, options.feed):
                yield replace(options, scheme=scheme, feed=feed)


def _asked(options: Options, other: Options) -> str:
    """What to ask for beside the options that there are."""
    said, flags = [], []
    if other.feed != options.feed:
        said.append("feed the input row by row")
        flags.append(f"--feed {other.feed}")
    if other.recompute > options.recompute:
        said.append("let activations be computed again")
        flags.append(f"--recompute {other.recompute:.0%}")
    return f"{', '.join(said)} ({' '.join(flags)})"
