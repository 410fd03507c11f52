"""The command line and `compile_model` mean the same by what is left out."""

from __future__ import annotations

import pytest

from tinytrain.autodiff.differentiate import LOSSES
from tinytrain.cli.arguments import make_parser
from tinytrain.compiler.options import FEEDS, GRADIENTS, REPLAY_PLACES, Options
from tinytrain.passes.update import FRACTION_BITS, RULES

FIELDS = {
    "scheme": "scheme",
    "classes": "classes",
    "loss": "loss",
    "gradient": "gradient",
    "update": "update",
    "fraction_bits": "fraction_bits",
    "momentum": "momentum",
    "accumulate": "accumulate",
    "clip_norm": "clip_norm",
    "weight_decay": "weight_decay",
    "learning_rate": "learning_rate",
    "schedule": "schedule",
    "warm_up": "warm_up",
    "label_smoothing": "label_smoothing",
    "qas": "qas",
    "seed": "seed",
    "ranges": "ranges",
    "weight_headroom": "weight_headroom",
    "range_headroom": "range_headroom",
    "replay": "replay",
    "replay_in": "replay_in",
    "feed": "feed",
    "recompute": "recompute",
    "health": "health",
    "name": "name",
}


def test_defaults_are_those_of_the_options() -> None:
    given = make_parser().parse_args(["compile", "model.onnx", "-o", "out"])
    assert set(FIELDS.values()) == set(vars(Options()))
    for argument, field in FIELDS.items():
        assert getattr(given, argument) == getattr(Options(), field), argument


@pytest.mark.parametrize(
    ("argument", "values"),
    [
        ("--loss", LOSSES),
        ("--gradient", tuple(GRADIENTS)),
        ("--update", RULES),
        ("--fraction-bits", FRACTION_BITS),
        ("--replay-in", REPLAY_PLACES),
        ("--feed", FEEDS),
    ],
)
def test_every_choice_can_be_named(argument: str, values: tuple[object, ...]) -> None:
    for value in values:
        make_parser().parse_args(["compile", "m.onnx", "-o", "out", argument, str(value)])


@pytest.mark.parametrize(("text", "size"), [("4096", 4096), ("256K", 2**18), ("1MiB", 2**20)])
def test_sizes(text: str, size: int) -> None:
    given = make_parser().parse_args(["compile", "m.onnx", "-o", "out", "--ram", text])
    assert given.ram == size


@pytest.mark.parametrize("text", ["0", "-1", "1G", "K", "1.5M"])
def test_what_is_no_size(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        make_parser().parse_args(["compile", "m.onnx", "-o", "out", f"--ram={text}"])
    assert caught.value.code == 2
    assert "is no size" in capsys.readouterr().err
