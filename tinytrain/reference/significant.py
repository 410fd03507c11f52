"""Numbers to a few significant digits."""

from __future__ import annotations


def rounded(value: float, digits: int) -> float:
    """A number to so many significant digits."""
    # So that the order of a float sum, another on another machine, is not in the firmware.
    return float(f"{value:.{digits}g}")
