"""What `compile` and `inspect` are told of a model: the options, and what they stand for."""

from __future__ import annotations

import argparse
import re
from typing import Any

from tinytrain.data import Preprocess


def add_setting(command: Any) -> None:
    """Adds the options for what is trained, and how."""
    command.add_argument(
        "--classes",
        type=int,
        metavar="N",
        help="replace the classifier by a fresh one of N classes",
    )
    command.add_argument(
        "--scheme",
        default="full",
        metavar="FILE|PRESET",
        help="what is trained: head, bias, last-K, full, or a file",
    )
    command.add_argument(
        "--calibration", metavar="F.npz", help="inputs that quantize a float model"
    )
    command.add_argument(
        "--ranges",
        default="mse",
        choices=("mse", "minmax", "percentile"),
        help="how ranges of a float model are chosen (default: mse)",
    )
    command.add_argument(
        "--weight-headroom",
        type=float,
        default=1.0,
        metavar="H",
        help="trained weights can grow H times as large (default: 1; from random weights: 4 to 8)",
    )
    command.add_argument(
        "--range-headroom",
        type=float,
        default=1.0,
        metavar="H",
        help="the same for the ranges of activations behind them",
    )
    command.add_argument(
        "--loss", default="cross_entropy", choices=("cross_entropy", "mean_squared_error")
    )
    command.add_argument(
        "--gradient", default="s8", choices=("s8", "s16", "f32"), help="dtype of gradients"
    )
    command.add_argument(
        "--update",
        default="stochastic",
        choices=("stochastic", "nearest"),
        help="rounding of updates",
    )
    command.add_argument(
        "--fraction-bits",
        type=int,
        default=4,
        choices=(0, 2, 4, 8),
        help="kept below each trained s8 weight",
    )
    command.add_argument(
        "--momentum",
        type=float,
        default=0.0,
        metavar="M",
        help="share of a velocity that the next step keeps, 0 to 0.999 (default: 0)",
    )
    command.add_argument(
        "--accumulate",
        type=int,
        default=1,
        metavar="K",
        help="apply the mean gradient of K steps together (default: 1)",
    )
    command.add_argument(
        "--clip-norm",
        type=float,
        metavar="C",
        help="shorten the gradient of all that is trained to a norm of C",
    )
    command.add_argument(
        "--weight-decay",
        type=float,
        default=0.0,
        metavar="D",
        help="a step of rate R also takes the share R*D off each trained weight (default: 0)",
    )
    command.add_argument(
        "--replay",
        type=int,
        default=0,
        metavar="SLOTS",
        help="samples that are kept, to train on again (default: 0)",
    )
    command.add_argument(
        "--replay-in",
        default="ram",
        choices=("ram", "flash"),
        help="where they lie; flash is behind callbacks of yours (default: ram)",
    )
    command.add_argument(
        "--feed",
        default="whole",
        choices=("whole", "rows"),
        help="how a sample arrives: written as a whole, or row by row (default: whole)",
    )
    command.add_argument(
        "--recompute",
        type=_share,
        default=0.0,
        metavar="SHARE",
        help="instructions, such as 20%% of a step, that may be spent to compute activations again "
        "where the RAM would not do otherwise (default: 0%%)",
    )
    command.add_argument(
        "--learning-rate",
        type=_rate,
        default="auto",
        metavar="R",
        help="initial one, or auto: the one that suits what is trained (default: auto)",
    )
    command.add_argument(
        "--schedule",
        default="constant",
        metavar="S",
        help="of the learning rate, on the device: constant (default), step:EVERY:FACTOR such as "
        "step:1000:0.5, or cosine:STEPS, down to 0",
    )
    command.add_argument(
        "--warm-up",
        type=int,
        default=0,
        metavar="W",
        help="steps in which the learning rate rises, before the schedule begins (default: 0)",
    )
    command.add_argument(
        "--label-smoothing",
        type=float,
        default=0.0,
        metavar="E",
        help="share of the target spread over all classes, 0 to below 1 (default: 0)",
    )
    command.add_argument(
        "--no-qas",
        dest="qas",
        action="store_false",
        help="leave quantization-aware scaling out of the update; for comparison only",
    )


def setting(options: argparse.Namespace) -> dict[str, Any]:
    """The fields of `options.Options` that `compile` and `inspect` share."""
    return {
        "scheme": options.scheme,
        "classes": options.classes,
        "loss": options.loss,
        "gradient": options.gradient,
        "update": options.update,
        "fraction_bits": options.fraction_bits,
        "momentum": options.momentum,
        "accumulate": options.accumulate,
        "clip_norm": options.clip_norm,
        "weight_decay": options.weight_decay,
        "learning_rate": options.learning_rate,
        "schedule": options.schedule,
        "warm_up": options.warm_up,
        "label_smoothing": options.label_smoothing,
        "qas": options.qas,
        "seed": options.seed,
        "replay": options.replay,
        "replay_in": options.replay_in,
        "feed": options.feed,
        "recompute": options.recompute,
        "ranges": options.ranges,
        "weight_headroom": options.weight_headroom,
        "range_headroom": options.range_headroom,
    }


def add_preprocess(command: Any) -> None:
    """Adds the options for what an image is turned into."""
    command.add_argument(
        "--resize", type=int, nargs=2, metavar=("H", "W"), help="uint8 images are resized to this"
    )
    command.add_argument(
        "--mean", type=float, nargs="+", metavar="M", help="uint8 images: (v / 255 - mean) / std"
    )
    command.add_argument("--std", type=float, nargs="+", metavar="S", help="see --mean")


def preprocess(options: argparse.Namespace) -> Preprocess | None:
    """What they stand for; None where none is given."""
    if options.resize is None and options.mean is None and options.std is None:
        return None
    return Preprocess(
        resize=tuple(options.resize) if options.resize else None,
        mean=tuple(options.mean or (0.0,)),
        std=tuple(options.std or (1.0,)),
    )


def _share(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*%", text.strip())
    if not found or float(found.group(1)) > 100:
        raise argparse.ArgumentTypeError(f"'{text}' is no share from 0% to 100%; write 20%")
    return float(found.group(1)) / 100


def _rate(text: str) -> float | None:
    if text == "auto":
        return None
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"'{text}' is no learning rate; write 0.003 or auto"
        ) from None
