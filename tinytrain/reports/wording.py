"""How figures of a report are put into words: sizes, counts, and seconds with what they rest on."""

from __future__ import annotations

import math

from tinytrain.manifest.arena import SpeedRecord


def size_text(nbytes: int) -> str:
    """A size in about three digits: 512 B, 64 KiB."""
    for unit, name in ((1 << 20, "MiB"), (1 << 10, "KiB")):
        if nbytes >= unit:
            return f"{nbytes / unit:.3g} {name}"
    return f"{nbytes} B"


def count_text(count: float) -> str:
    """A number in about three digits: 41.2 M."""
    for unit, name in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(count) >= unit:
            return f"{_digits(count / unit, 3)}{name}"
    return _digits(count, 3)


def percent_text(part: float, whole: float) -> str:
    """A share in whole per cent; what is there is never shown as nothing."""
    if not whole:
        return "-"
    share = 100 * part / whole
    return "<1%" if 0 < share < 1 else f"{share:.0f}%"


def seconds_text(speed: SpeedRecord) -> str | None:
    """Seconds of a step, least to most, in two digits; None where there is no estimate."""
    if speed.seconds is None:
        return None
    least, most = speed.seconds
    scale, unit = (1.0, "s") if most >= 1 else (1e3, "ms")
    return f"{_span(least * scale, most * scale)} {unit}"


def seconds_basis(speed: SpeedRecord, target: str) -> str:
    """What the seconds were computed from, or why there are none."""
    if speed.clock_hz is None:
        why = "runs on a processor whose clock nobody fixed"
        if speed.core != "host":
            why = "names no clock ('clock_hz' in its target file)"
        return f"No estimate: target '{target}' {why}."
    if speed.cycles_per_instruction is None:
        return f"No estimate: the cycles of a {speed.core} are not known."
    least, most = speed.cycles_per_instruction
    return (
        f"An estimate: {speed.instructions:,} instructions of {_span(least, most)} cycles each, at "
        f"{count_text(speed.clock_hz)}Hz. The cycles are an assumption for a {speed.core}; wait "
        "states of flash, cache misses and interrupts are not in it."
    )


def _span(least: float, most: float) -> str:
    low, high = _digits(least, 2), _digits(most, 2)
    return low if low == high else f"{low} to {high}"


def _digits(value: float, digits: int) -> str:
    """Rounded to so many significant digits, without an exponent."""
    if not value:
        return "0"
    places = digits - 1 - math.floor(math.log10(abs(value)))
    rounded = round(value, places)
    return (
        f"{rounded:,.{max(places, 0)}f}".rstrip("0").rstrip(".")
        if places > 0
        else f"{rounded:,.0f}"
    )
