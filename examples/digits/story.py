"""The choices of the digits demo that its training script and its program share."""

from __future__ import annotations

from pathlib import Path

MODEL = Path(__file__).parent / "digits.onnx"

STEPS = 2000
LEARNING_RATE = 0.003
