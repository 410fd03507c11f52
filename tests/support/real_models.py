"""The models of ../shared, and the schemes that they train with."""

from __future__ import annotations

FILES = {
    "mcunet": "mcunet-5fps-int8.onnx",
    "mbv2": "mbv2-w0.35-int8.onnx",
    "kws": "kws_ref_int8.tflite",
    "resnet8": "resnet8_int8.tflite",
    "vww": "vww_96_int8.tflite",
    "ad01": "ad01_int8.tflite",
}
"""Of each model its file."""
OWN_SCHEMES = {
    "mcunet": tuple(f"mcunet-5fps-{size}kb.toml" for size in (49, 74, 100, 148)),
    "mbv2": tuple(f"mbv2-w0.35-{size}kb.toml" for size in (49, 100, 138)),
}
"""Schemes that were made for a model and a budget."""
QUICK = (
    ("mcunet", "mcunet-5fps-100kb.toml"),
    ("mbv2", "mbv2-w0.35-49kb.toml"),
    ("kws", "full"),
    ("resnet8", "full"),
    ("vww", "last-3"),
    ("ad01", "full"),
)
"""One scheme for each model."""
