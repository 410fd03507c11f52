"""The choices of the watch demo that its training script and its program share."""

from __future__ import annotations

from pathlib import Path

MODEL = Path(__file__).parent / "watch.onnx"

PERSON = 2
"""Left out of the training; the network is at its worst with this person (see README.md)."""

STEPS = 1000
"""On windows of the person; each is followed by one on the rehearsal set."""

REHEARSAL_SLOTS = 63
"""As many as there are pairs of a person and an exercise."""

LEARNING_RATE = 0.003
