"""The bytes of a saved file, written down once more: the format does not change by accident."""

from __future__ import annotations

import struct

FORMAT = 2
"""Of the files that are written."""

HEADER = struct.Struct("<4sI32sII")
"""Magic, format, model hash, payload size, weights size."""

SCALE = struct.Struct("<iI")
"""Exponent, running maximum."""

STEP = struct.Struct("<ffI")
"""Learning rate, that of the firmware, count."""
