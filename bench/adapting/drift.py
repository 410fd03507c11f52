"""Drift that nobody labels: what is lost by it, and what following it wins back.

Networks as they ship meet their own task through a lens, a sensor or a light that changed. The C
that ships follows unlabelled samples of that (`--follow auto`, `--scheme head`) and is judged by
others before and after; nothing is trained.
"""

from __future__ import annotations

import functools
import re
import statistics
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from bench.adapting import networks
from bench.adapting.worlds import KNOWN
from bench.networks.worlds import CIFAR10, Samples, fashion_images, planes
from bench.tables import spread
from examples.digits import data as digits_data
from tinytrain.compiler.compile import compile_model
from tinytrain.simulation.device import host_library
from tinytrain.simulation.folder import GeneratedFolder, open_folder
from tinytrain.simulation.library import HostLibrary

SEEDS = (0, 1, 2)
FOLLOWED, JUDGED, CALIBRATION = 450, 600, 256

Change = Callable[[np.ndarray, np.random.RandomState], np.ndarray]
"""From images [N, C, H, W], 0 to 1, to what the changed camera gives."""


@dataclass(frozen=True)
class Setting:
    """A network, and its own task.

    Attributes:
        title: as the table names it.
        network: its file.
        parts: to calibrate with, to follow and to judge by; images from 0 to 1.
        noise: the deviation of the noise that it meets.
        to_model: from images to the model's units and layout.
    """

    title: str
    network: Callable[[], Path]
    parts: Callable[[], tuple[Samples, Samples, Samples]]
    noise: float
    to_model: Callable[[np.ndarray], np.ndarray] = lambda images: images


def _digits() -> tuple[Samples, Samples, Samples]:
    parts = (digits_data.TRAIN, digits_data.ADAPT, digits_data.TEST)
    first, *rest = (digits_data.as_trained(part) for part in parts)
    return Samples(first.x[:CALIBRATION], None), *(Samples(one.x, one.y) for one in rest)


def _fashion() -> tuple[Samples, Samples, Samples]:
    x, y, test_x, test_y = fashion_images()
    known, judged = y < KNOWN, test_y < KNOWN
    images, labels = planes(x[known][-3000:]), y[known][-3000:].astype(np.int32)
    return (
        Samples(images[:CALIBRATION], None),
        Samples(images[CALIBRATION:], labels[CALIBRATION:]),
        Samples(planes(test_x[judged]), test_y[judged].astype(np.int32)),
    )


def _cifar10() -> tuple[Samples, Samples, Samples]:
    with np.load(CIFAR10) as arrays:
        x, y, test_x, test_y = (arrays[name] for name in ("x_train", "y_train", "x_test", "y_test"))
    images = [
        np.ascontiguousarray(part.transpose(0, 3, 1, 2), np.float32) / 255
        for part in (x[:3000], test_x[:3000])
    ]
    labels, judged = y.ravel()[:3000].astype(np.int32), test_y.ravel()[:3000].astype(np.int32)
    return (
        Samples(images[0][:CALIBRATION], None),
        Samples(images[0][CALIBRATION:], labels[CALIBRATION:]),
        Samples(images[1], judged),
    )


SETTINGS = (
    Setting("digits", networks.digits, _digits, 0.3),
    Setting("Fashion-MNIST, seven classes", networks.fashion, _fashion, 0.2),
    Setting(
        "CIFAR-10, resnet8",
        functools.partial(networks.shared, "resnet8_int8.tflite"),
        _cifar10,
        0.05,
        lambda images: np.ascontiguousarray(images.transpose(0, 2, 3, 1)) * np.float32(255),
    ),
)


def _blurred(images: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
    width = max(0.6, images.shape[3] / 32)
    return ndimage.gaussian_filter(images, (0, 0, width, width))


def _another_sensor(images: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
    """Its curve, its black level, and a gain for each colour."""
    gains = np.linspace(0.75, 0.5, images.shape[1]).reshape(1, -1, 1, 1)
    return np.clip(gains * images**1.5 + 0.12, 0, 1)


def changes(setting: Setting) -> Mapping[str, Change]:
    """By what a person would say has happened."""

    def noisy(images: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
        return np.clip(images + rng.normal(0, setting.noise, images.shape), 0, 1)

    return {
        "nothing": lambda images, rng: images,
        "contrast: 0.35 of it is left": lambda images, rng: 0.5 + 0.35 * (images - 0.5),
        "a blurred lens": _blurred,
        f"noise of {setting.noise:g}": noisy,
        "gain: 0.4 of the light": lambda images, rng: 0.4 * images,
        "another sensor": _another_sensor,
        "overexposed: 1.8 of the light, cut": lambda images, rng: np.clip(1.8 * images, 0, 1),
    }


def drift(setting: Setting, folder: Path) -> dict[str, dict[str, list[float]]]:
    """Accuracies by change, of each seed: before, after, and after classes one by one."""
    calibration, learn, judge = setting.parts()
    product = compile_model(
        setting.network(),
        output=folder / "model",
        calibration=setting.to_model(calibration.x),
        scheme="head",
        follow="auto",
    )
    opened = open_folder(product.directory)
    library = host_library(opened)
    found: dict[str, dict[str, list[float]]] = {}
    for name, change in changes(setting).items():
        figures: dict[str, list[float]] = {"before": [], "after": [], "by class": []}
        for seed in SEEDS:
            rng = np.random.RandomState(seed)
            drawn = learn.part(rng.permutation(len(learn))[:FOLLOWED])
            judged = judge.part(rng.permutation(len(judge))[:JUDGED])
            assert drawn.y is not None and judged.y is not None
            give = functools.partial(_integers, opened, setting)
            seen, others = give(change(drawn.x, rng)), give(change(judged.x, rng))
            library.init()
            figures["before"].append(_accuracy(library, others, judged.y))
            library.follow(seen)
            figures["after"].append(_accuracy(library, others, judged.y))
            library.init()
            library.follow(np.ascontiguousarray(seen[np.argsort(drawn.y, kind="stable")]))
            figures["by class"].append(_accuracy(library, others, judged.y))
        found[name] = figures
    return found


def _integers(opened: GeneratedFolder, setting: Setting, images: np.ndarray) -> np.ndarray:
    spec = opened.spec
    given = setting.to_model(images.astype(np.float32))
    if spec.source_layout != "NHWC":
        given = given.transpose(0, 2, 3, 1)
    return np.ascontiguousarray(spec.quantize(np.ascontiguousarray(given)))


def _accuracy(library: HostLibrary, inputs: np.ndarray, labels: np.ndarray) -> float:
    return float(np.mean(library.infer(inputs).argmax(axis=1) == labels))


def print_table(only: str = "") -> None:
    """A line for each change of the settings whose title `only` is in."""
    print(f"{FOLLOWED} samples without labels, {JUDGED} others to judge by, three seeds.\n")
    print("| network | what happened | before | followed | won back | classes one by one |")
    print("|---|---|---:|---:|---:|---:|")
    for setting in (one for one in SETTINGS if re.search(only, one.title)):
        with tempfile.TemporaryDirectory(prefix="tinytrain-") as place:
            found = drift(setting, Path(place))
        clean = statistics.mean(found["nothing"]["before"])
        for name, figures in found.items():
            before, after = (statistics.mean(figures[key]) for key in ("before", "after"))
            lost = clean - before
            share = f"{(after - before) / lost:.0%}" if lost > 0.01 else ""
            cells: list[Any] = [setting.title, name, spread(figures["before"])]
            cells += [spread(figures["after"]), share, spread(figures["by class"])]
            print(f"| {' | '.join(cells)} |", flush=True)
