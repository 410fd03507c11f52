"""Schemes that grow pick by pick, as measured, and other channels and rates of the best."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice

from tinytrain.choosing.channel_scores import with_channels
from tinytrain.choosing.choices import Choices
from tinytrain.choosing.fisher import Worth
from tinytrain.choosing.greedy import grow
from tinytrain.choosing.knapsack import Values
from tinytrain.scheme.channels import is_open
from tinytrain.scheme.scheme import Scheme
from tinytrain.scheme.text import scheme_text
from tinytrain.scheme.ways import WAYS
from tinytrain.searches.store import key_of

PICKS, LAST_PICKS = 10, 3
"""Picks of a scheme that grows from biases, and of one that grows from the best that fits."""

MEASURED = 4
"""Candidates that are measured for a pick, at most."""

SHOWN = 4
"""Layers in a name."""

FASTER = ((2.0, 1.0), (2.0, 4.0), (4.0, 4.0))
"""Factors on the learning rate of the best schemes that are tried, and on that of the head beside
the other layers."""

OTHER_RATES = "other rates"
"""Origin of a scheme that was tried with other learning rates."""

Measure = Callable[[Scheme, str], float]
"""The loss of a candidate of so-called origin."""


def grown(
    start: Scheme,
    choices: Choices,
    values: Values,
    measure: Measure,
    cost: Callable[[Scheme], int],
    budget: int,
    *,
    per_byte: bool,
    picks: int,
) -> Iterator[Scheme]:
    """Each scheme that a pick leads to, from the first one on.

    Args:
        start: one of `choices`.
        values: what choices are expected to win, for the order in which they are measured.
        cost: bytes of RAM.
        budget: the most of them.
        per_byte: whether the gain a byte decides, or the gain.
    """
    origin = "greedy by bytes" if per_byte else "greedy"

    def value(scheme: Scheme) -> float:
        return -measure(named(scheme, choices), origin)

    found = grow(
        start,
        choices.raised,
        value,
        cost,
        budget,
        values.weights,
        per_byte=per_byte,
        most=MEASURED,
    )
    for pick in islice(found, picks + 1):
        yield named(pick.scheme, choices)


def named(scheme: Scheme, choices: Choices) -> Scheme:
    """Under a name that says what trains, as far as one can read it."""
    count, ratios = choices.picked(scheme)
    parts = [
        layer if ratio == 1.0 else f"{layer}:{ratio:g}"
        for layer, ratio in ratios.items()
        if ratio > 0.0
    ]
    name = f"biases-{count}" + "".join(f"+{part}" for part in parts[:SHOWN])
    if len(parts) > SHOWN:
        # What is left out is in the file; a few letters tell such names apart.
        name += f"+{len(parts) - SHOWN} more, {key_of(scheme_text(scheme))[:4]}"
    return replace(scheme, name=name)


def other_channels(scheme: Scheme, worth: Worth) -> Iterator[Scheme]:
    """The same scheme with channels chosen in each other way, listed."""
    if not any(is_open(share) for share in scheme.weights.values()):
        return
    for word in WAYS:
        if word != scheme.choice:
            other = replace(scheme, choice=word, name=f"{scheme.name}, {word} channels")
            # Listed, so that the file of the scheme says it all: a seed may be another one then.
            yield with_channels(other, worth)


def other_rates(scheme: Scheme, head: str) -> Iterator[Scheme]:
    """The same scheme with other learning rates, and with other ones of the head.

    Args:
        head: the layer's name.
    """
    for rate, of_head in FASTER:
        if of_head != 1.0 and not scheme.trains_body:
            continue  # alone, the head learns at the rate of the whole
        rates, name = {}, f"{scheme.name}, rate x{rate:g}"
        if of_head != 1.0:
            rates, name = {head: of_head}, f"{name}, head x{of_head:g}"
        if (rate, rates) != (scheme.rate, scheme.rates):
            yield replace(scheme, rate=rate, rates=rates, name=name)
