"""The situations that adapting is measured on: a row each.

`bench.adapting.running` compiles one and lets the C that ships learn it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from bench.adapting import networks, worlds
from bench.adapting.worlds import Parts

IMAGES = {"mean": 0.5, "std": 0.5}
"""How the ImageNet networks of ../shared/models take images."""


@dataclass(frozen=True)
class Case:
    """A network that ships, and the world that it finds.

    Attributes:
        key: as a file name.
        title: as the tables name it.
        situation: what a person would say has happened.
        keep: which task counts: "new" alone, or "old" as much.
        network: the file of the network as it ships; trained once and kept in build/adapting.
        parts: the samples.
        scheme: as `compile` takes it.
        steps: of a run.
        classes: of a fresh head; None keeps the network's own.
        images: `mean` and `std` of images, as `compile` takes them.
        task: "classes" learns a label; "normal" learns without labels what is normal, is the
            input's own target, and is judged by the faults that it flags.
    """

    key: str
    title: str
    situation: str
    keep: str
    network: Callable[[], Path]
    parts: Callable[[], Parts]
    scheme: str
    steps: int
    classes: int | None = None
    images: Mapping[str, float] = field(default_factory=dict)
    task: str = "classes"


def _watch(person: int, keep: str, scheme: str = "full") -> Case:
    return Case(
        f"watch-{person}",
        f"watch, person {person}",
        "a new user",
        keep,
        partial(networks.watch, person),
        partial(worlds.watch, person),
        scheme,
        1000,
    )


CASES = (
    _watch(2, "old"),
    _watch(9, "old", "last-6"),
    _watch(8, "new"),
    _watch(10, "new", "last-6"),
    Case(
        "watch-unequal",
        "watch, person 2, unequal classes",
        "a new user who mostly does three of seven exercises",
        "old",
        partial(networks.watch, 2),
        worlds.watch_unequal,
        "full",
        1000,
    ),
    Case(
        "speaker",
        "made words, a stranger",
        "a new user",
        "old",
        networks.words,
        worlds.words,
        "last-6",
        800,
    ),
    Case(
        "digits-tilted",
        "digits, tilted and hazy",
        "a new room: the camera was knocked",
        "new",
        networks.digits,
        worlds.digits,
        "full",
        1500,
    ),
    Case(
        "digits-both",
        "digits, tilted and straight",
        "a new room: a second camera beside the first",
        "old",
        networks.digits,
        worlds.digits,
        "last-6",
        1500,
    ),
    Case(
        "fashion-classes",
        "Fashion-MNIST, seven classes and three more",
        "new classes",
        "old",
        networks.fashion,
        worlds.fashion_classes,
        "last-3",
        900,
    ),
    Case(
        "fashion-one-class",
        "Fashion-MNIST, seven classes and one more, from 30 samples",
        "a new class",
        "old",
        networks.fashion,
        worlds.fashion_one_class,
        "head",
        300,
    ),
    Case(
        "cifar10",
        "CIFAR-10 on MCUNet-5FPS",
        "new classes: a fresh head",
        "new",
        partial(networks.shared, "mcunet-5fps-int8.onnx"),
        worlds.cifar10,
        "head",
        1500,
        10,
        IMAGES,
    ),
    Case(
        "flowers",
        "flowers on MbV2-w0.35",
        "new classes: a fresh head",
        "new",
        partial(networks.shared, "mbv2-w0.35-int8.onnx"),
        worlds.flowers,
        "head",
        1000,
        5,
        IMAGES,
    ),
    Case(
        "flowers-last-3",
        "flowers on MCUNet-5FPS, last three layers",
        "new classes: a fresh head",
        "new",
        partial(networks.shared, "mcunet-5fps-int8.onnx"),
        worlds.flowers,
        "last-3",
        1000,
        5,
        IMAGES,
    ),
    Case(
        "vibration-sensor",
        "made vibrations, an aged sensor",
        "a drifting sensor",
        "new",
        networks.vibrations,
        worlds.aged_sensor,
        "full",
        1000,
    ),
    Case(
        "vibration-site",
        "made vibrations, another machine",
        "a new room: another machine",
        "old",
        networks.vibrations,
        worlds.another_machine,
        "last-3",
        1000,
    ),
    Case(
        "vibration-unknown",
        "made vibrations, spectra, an autoencoder",
        "an unknown fault",
        "new",
        networks.spectra,
        worlds.unknown_fault,
        "full",
        1500,
        task="normal",
    ),
    Case(
        "ad01",
        "made machine sounds, ad01",
        "an unknown fault",
        "new",
        partial(networks.shared, "ad01_int8.tflite"),
        worlds.machine_sounds,
        "last-3",
        1500,
        task="normal",
    ),
)

CASE = {case.key: case for case in CASES}
"""By key."""

PASSES = 20
"""Over samples where there are few."""


def with_few(case: Case, of_each: int) -> Case:
    """A case of the task "classes" with at most so many samples of each class to learn from."""
    few = partial(worlds.few, case.parts, of_each)
    steps = min(case.steps, PASSES * len(few().learn))
    return replace(case, key=f"{case.key}-{of_each}-of-each", parts=few, steps=steps)
