"""The largest scheme of a search, which all candidates are parts of, made ready for trials."""

from __future__ import annotations

from dataclasses import replace

from tinytrain.compiler.compiled import Compiled
from tinytrain.compiler.guidance import LARGEST_RATE
from tinytrain.compiler.options import ARITHMETIC, LEARNING, OPTIONS, RATE, TRAINED, Options
from tinytrain.compiler.pipeline import unbounded
from tinytrain.errors import SchemeError, UsageError

OF_A_STEP = (TRAINED, LEARNING, RATE, ARITHMETIC)
"""Groups of options that say how a sample is learned; trials leave out all others."""


def made_ready(compiled: Compiled) -> Compiled:
    """The largest scheme without what trials leave out, planned for a machine that has memory.

    Raises:
        UsageError, SchemeError: what they cannot leave out.
    """
    options = compiled.options
    if options.headroom.asked:
        raise UsageError(
            "headroom widens the scales of what a scheme trains, so that candidates have no model "
            "in common",
            help="search without it, and add it when you compile the scheme that was found",
        )
    if options.follow is not None:
        raise UsageError(
            "layers that follow drift change between two trials",
            help="search without --follow, and add it when you compile the scheme that was found",
        )
    _check_scheme(compiled)
    kept = {name: getattr(options, name) for name, row in OPTIONS.items() if row.group in OF_A_STEP}
    plain = {"schedule": "constant", "warm_up": 0, "rate_limit": LARGEST_RATE, "health": False}
    options = Options(**{**kept, **plain})
    return unbounded(replace(compiled, options=options, rehearsal=None, enrolment=None))


def _check_scheme(compiled: Compiled) -> None:
    graph = compiled.graph
    partial = [node.layer for node in graph.nodes if node.op == "merge_channels"]
    if partial:
        raise SchemeError(
            f"the largest scheme trains only a part of layer '{partial[0]}'",
            help="give it 1.0, so that candidates can choose any part",
        )
    if compiled.scheme.rates:
        raise SchemeError(
            f"the largest scheme gives layer '{min(compiled.scheme.rates)}' a rate of its own",
            help="leave [rates] out of it: each candidate has its own",
        )
    if compiled.scheme.rate != 1.0:
        raise SchemeError(
            f"the largest scheme asks for {compiled.scheme.rate:g} times the suggested rate",
            help="leave `rate` out of it: each candidate has its own",
        )
