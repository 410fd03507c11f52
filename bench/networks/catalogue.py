"""The networks of the tables: a row each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from bench.networks import images, made, maps, signals, worlds
from bench.networks.objectives import CLASSES, LABELS, NUMBERS, PIXELS, Objective


@dataclass(frozen=True)
class Row:
    """A network, and what it is for.

    Attributes:
        title: as the tables name it.
        make: the network with random weights.
        world: its samples.
        change: from the old world to the new one.
        objective: what its output is for.
        epochs: of its training before it ships.
        steps: of its training where it is used; 0 where that is not measured.
    """

    title: str
    make: Callable[[], nn.Module]
    world: Callable[[], worlds.World]
    change: str
    objective: Objective
    epochs: int
    steps: int = 0

    @property
    def key(self) -> str:
        """The title as a file name."""
        return "-".join("".join(c if c.isalnum() else " " for c in self.title.lower()).split())


WATCH = "another person wears the watch"

ROWS = (
    Row("DS-CNN", lambda: images.DsCnn(12), worlds.words, "another speaker", CLASSES, 6, 1200),
    Row(
        "ShuffleNetV2 x0.5",
        lambda: images.ShuffleNetV2(10),
        worlds.photographs,
        "dim yellow light",
        CLASSES,
        6,
        1000,
    ),
    Row("TCN with chomp", lambda: signals.Tcn(6, 7), worlds.watch, WATCH, CLASSES, 10, 3000),
    Row(
        "MLP with GELU",
        lambda: signals.Mlp(64, 10),
        worlds.digits,
        "tilted camera, hazy lens",
        CLASSES,
        30,
        2000,
    ),
    Row(
        "autoencoder with PixelShuffle",
        maps.Autoencoder,
        worlds.clothes_to_shoes,
        "shoes and bags, not clothes",
        NUMBERS,
        8,
        1800,
    ),
    Row(
        "three-output regression",
        lambda: signals.Forecast(6, 3),
        worlds.watch_ahead,
        WATCH,
        NUMBERS,
        10,
        2000,
    ),
    Row(
        "multi-label head",
        lambda: signals.Cnn1d(2, len(made.FAULTS)),
        worlds.faults,
        "another machine and sensor",
        LABELS,
        6,
        1600,
    ),
    Row(
        "one-output wake word",
        lambda: images.DsCnn(1, 24),
        worlds.wake_word,
        "another speaker",
        LABELS,
        6,
        1200,
    ),
    Row("1-D CNN", lambda: signals.Cnn1d(6, 7), worlds.watch, WATCH, CLASSES, 4),
    Row("ResNet-14", lambda: images.ResNet14(10), worlds.photographs, "", CLASSES, 1),
    Row("SqueezeNet", lambda: images.SqueezeNet(10), worlds.large_photographs, "", CLASSES, 2),
    Row(
        "MobileNetV3-small",
        lambda: images.MobileNetV3Small(10),
        worlds.large_photographs,
        "",
        CLASSES,
        2,
    ),
    Row("two inputs", lambda: signals.TwoInputs(7), worlds.watch_in_two, WATCH, CLASSES, 4),
    Row(
        "embedding with L2 normalisation",
        lambda: maps.Embedding(10),
        worlds.fashion,
        "",
        CLASSES,
        3,
    ),
    Row("U-Net", lambda: maps.UNet(3), worlds.scenes, "", PIXELS, 2),
)
