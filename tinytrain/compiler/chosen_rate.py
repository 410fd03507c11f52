"""The learning rate of a compiled model, its limit, and what is said of both."""

from __future__ import annotations

from tinytrain.compiler.guidance import LARGEST_RATE, NOISE, Guidance
from tinytrain.compiler.options import Options
from tinytrain.ir.ops_update import VELOCITY_RESOLUTION
from tinytrain.reference.significant import rounded

UNGUIDED_RATE = 0.003
"""Learning rate where none was chosen and none can be suggested: near the best of MCUNet-5FPS."""

NOISE_LEEWAY = 4.0
"""Factor on a limit that was guessed from noise. Of the examples it lies between 0.27 and 2.6 times
the limit on samples of the model's own kind, and one that is too low would keep it from learning.
"""


def initial_rate(options: Options, guidance: Guidance) -> float:
    """The learning rate that was chosen, or else the suggested one.

    On noise a network may be certain of all, so that no loss has a gradient and nothing can be
    suggested. The rate is `UNGUIDED_RATE` then, and a warning says so.
    """
    if isinstance(options.learning_rate, (int, float)):
        return options.learning_rate
    rate = UNGUIDED_RATE if guidance.suggested is None else guidance.suggested
    return rate if options.rate_limit is None else min(rate, options.rate_limit)


def enforced_limit(options: Options, guidance: Guidance) -> float:
    """The largest learning rate that the device takes.

    By itself that is the limit of the guidance, `NOISE_LEEWAY` times as much where it was guessed
    from noise, and none where nothing could be measured. A rate that was chosen above it comes with
    a warning, and is the limit then.
    """
    if options.rate_limit is not None:
        return options.rate_limit
    if guidance.limit is None:
        return LARGEST_RATE
    leeway = NOISE_LEEWAY if guidance.source == NOISE else 1.0
    limit = rounded(leeway * guidance.limit, 2)
    return min(max(limit, initial_rate(options, guidance)), LARGEST_RATE)


def option_warnings(options: Options, guidance: Guidance) -> tuple[str, ...]:
    """Sentences on what is known to fail, none if nothing is."""
    has_velocity = options.update_rule.has_velocity
    bits = VELOCITY_RESOLUTION if has_velocity else options.fraction_bits
    found = guidance.warnings(initial_rate(options, guidance), options.update, bits)
    if options.learning_rate is not None or guidance.suggested is not None:
        return found
    return (
        "no learning rate can be suggested, as the loss of every sample has no gradient: it is "
        f"{UNGUIDED_RATE}; give --learning-rate, or --calibration with samples of the model's own "
        "kind",
        *found,
    )
