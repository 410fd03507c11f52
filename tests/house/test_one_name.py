"""One thing has one name: on the command line, in Python and in an experiment's file."""

from __future__ import annotations

import inspect

from tinytrain import compile_model
from tinytrain.cli.arguments import make_parser
from tinytrain.compiler.options import Options

SHOWN_ONLY = {"json"}
"""What a command takes and its function does not: how the result is printed."""
PREPROCESS = {"resize", "mean", "std"}
"""Fields of the `Preprocess` that `compile_model` takes."""


def test_compile_takes_what_compile_model_takes() -> None:
    given = vars(make_parser().parse_args(["compile", "model.onnx", "-o", "out"]))
    parameters = set(inspect.signature(compile_model).parameters) | set(vars(Options()))
    assert set(given) - {"command"} - SHOWN_ONLY - PREPROCESS <= parameters
