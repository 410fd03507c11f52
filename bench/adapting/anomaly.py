"""What is normal, learned without labels, and how well faults are told, by the C that ships."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

import tinytrain
from bench.adapting import networks, worlds
from bench.adapting.networks import FOLDER
from bench.networks import made
from bench.networks.worlds import fashion_images, planes
from bench.tables import spread
from tinytrain.simulation.watch_result import area_under_curve

SEEDS = (0, 1, 2)
STREAM = 1500
"""Normal samples that a device watches."""

JUDGED = 300
"""Normal samples, and as many others, that it is judged by."""

BLOCKS = 40
"""In so many steps a machine turns into another."""

OLD_MACHINE = made.Machine(speed=1.0, echo=0.0, gains=(1.0, 1.0), noise=0.25)

Draw = Callable[[int, bool, int], np.ndarray]
"""So many samples, normal or not, from a seed."""


@dataclass(frozen=True)
class Watched:
    """A network, what is normal for it, and the ways to tell.

    Attributes:
        ways: `anomaly` and `scheme`, as `compile` takes them.
        draw: samples.
        calibration: of the old world, with which the network is quantized.
        loss: as `compile` takes it.
    """

    key: str
    title: str
    network: Callable[[], Path]
    draw: Draw
    calibration: Callable[[], np.ndarray]
    loss: str
    ways: tuple[tuple[str, str], ...]


def shaken(machine: made.Machine, count: int, odd: bool, seed: int) -> np.ndarray:
    """Vibrations of a machine that is healthy, hums or whines; odd ones knock or rub."""
    kinds = np.random.RandomState(100 + seed).choice((3, 4) if odd else (0, 1, 2), count)
    return worlds.shaken(kinds, machine, 200 + seed)


def running(machine: made.Machine, count: int, odd: bool, seed: int) -> np.ndarray:
    """Spectra of a machine that hums and whines as it should; odd ones knock or rub as well."""
    faults = np.random.RandomState(300 + seed).choice(worlds.UNKNOWN, count) if odd else None
    return worlds.running(count, machine, 400 + seed, faults)


def _sounds(count: int, odd: bool, seed: int) -> np.ndarray:
    return worlds.sounds(count, 500 + seed, broken=odd)


def _clothes(count: int, odd: bool, seed: int) -> np.ndarray:
    """Five kinds of clothes; odd ones are sneakers and boots."""
    x, y, test_x, test_y = fashion_images()
    rng = np.random.RandomState(600 + seed)
    images, labels = (x, y) if count > 2 * JUDGED else (test_x, test_y)
    places = rng.permutation(np.flatnonzero(np.isin(labels, (7, 9) if odd else range(5))))
    return planes(images[places[:count]])


WATCHED = (
    Watched(
        "spectra",
        "made vibrations, spectra, an autoencoder",
        networks.spectra,
        partial(running, made.SITE),
        lambda: worlds.unknown_fault().calibration.x,
        "mean_squared_error",
        (("error", "full"), ("diagonal", "last-3"), ("covariance", "last-3")),
    ),
    Watched(
        "vibrations",
        "made vibrations, a classifier",
        networks.vibrations,
        partial(shaken, made.SITE),
        lambda: worlds.spread(worlds.vibrations()).x,
        "auto",
        (("diagonal", "head"), ("covariance", "head")),
    ),
    Watched(
        "ad01",
        "made machine sounds, ad01",
        lambda: networks.shared("ad01_int8.tflite"),
        _sounds,
        lambda: worlds.machine_sounds().calibration.x,
        "mean_squared_error",
        (("error", "last-3"), ("diagonal", "last-6"), ("covariance", "last-6")),
    ),
    Watched(
        "fashion",
        "clothes; sneakers and boots are none",
        networks.fashion,
        _clothes,
        lambda: worlds.fashion_classes().calibration.x,
        "auto",
        (("diagonal", "head"), ("covariance", "head")),
    ),
)


def print_anomalies(only: str = "") -> None:
    """Markdown: what is told, and what learning on does where the machine changes."""
    print("| samples | `--anomaly`, `--scheme` | AUC | faults flagged, % | false alarms, % | RAM |")
    print("|---|---|---|---|---|---|")
    chosen = [case for case in WATCHED if re.search(only, case.key)]
    for case in chosen:
        for way in case.ways:
            device, ram = _device(case, way)
            judged = [_judged(device, case, seed) for seed in SEEDS]
            cells = _cells(judged, (3, 1, 1))
            print(f"| {case.title} | `{way[0]}`, `{way[1]}` | {' | '.join(cells)} | {ram:,} |")
    print("\n| samples | `--anomaly`, `--scheme` | false alarms, %: learning goes on |", end="")
    print(" it stopped | AUC: learning goes on | it stopped |\n|---|---|---|---|---|---|")
    for case, make in ((WATCHED[0], running), (WATCHED[1], shaken)):
        for way in case.ways if case in chosen else ():
            device, _ = _device(case, way)
            found = [_moved(device, make, seed) for seed in SEEDS]
            cells = _cells(found, (1, 1, 3, 3))
            print(f"| {case.title} | `{way[0]}`, `{way[1]}` | {' | '.join(cells)} |")


def _cells(found: Sequence[Sequence[float]], digits: Sequence[int]) -> list[str]:
    """Each figure of the seeds, with so many digits."""
    columns = zip(*found, strict=True)
    return [spread(one, scale=1, digits=n) for one, n in zip(columns, digits, strict=True)]


def _device(case: Watched, way: tuple[str, str]) -> tuple[tinytrain.Device, int]:
    """A device, and the bytes of RAM for what is normal."""
    folder = FOLDER / "anomaly" / f"{case.key}-{'-'.join(way)}"
    product = tinytrain.compile_model(
        case.network(),
        output=folder,
        calibration=case.calibration(),
        loss=case.loss,
        anomaly=way[0],
        scheme=way[1],
        target="mps2-an500",
    )
    return tinytrain.load(folder), product.memory.ram["what is normal"]


def _judged(device: tinytrain.Device, case: Watched, seed: int) -> tuple[float, float, float]:
    device.reset()
    device.watch(case.draw(STREAM, False, 10 * seed))
    return _scores(device, case.draw(JUDGED, False, 10 * seed + 1), case.draw(JUDGED, True, seed))


def _scores(
    device: tinytrain.Device, normal: np.ndarray, odd: np.ndarray
) -> tuple[float, float, float]:
    """AUC, and the shares of odd and of normal samples above the threshold in percent."""
    known, unknown = device.score(normal), device.score(odd)
    flags = np.repeat([False, True], [len(normal), len(odd)])
    area = area_under_curve(np.concatenate([known.scores, unknown.scores]), flags)
    assert area is not None
    return area, 100 * float(unknown.flagged.mean()), 100 * float(known.flagged.mean())


def _moved(
    device: tinytrain.Device, make: Callable[..., np.ndarray], seed: int
) -> tuple[float, float, float, float]:
    """False alarms on the new machine where learning goes on with the change and where it stops
    before it, and both areas."""
    normal, odd = make(made.SITE, JUDGED, False, seed), make(made.SITE, JUDGED, True, seed)
    device.reset()
    device.watch(make(OLD_MACHINE, STREAM, False, 50 + seed))
    stopped = _scores(device, normal, odd)
    for block in range(BLOCKS):
        machine = _between((block + 1) / BLOCKS)
        device.watch(make(machine, STREAM // BLOCKS, False, 1000 * (seed + 1) + block))
    learned = _scores(device, normal, odd)
    return learned[2], stopped[2], learned[0], stopped[0]


def _between(share: float) -> made.Machine:
    def mixed(old: float, new: float) -> float:
        return (1 - share) * old + share * new

    old, new = OLD_MACHINE, made.SITE
    gains = (mixed(old.gains[0], new.gains[0]), mixed(old.gains[1], new.gains[1]))
    return replace(
        new,
        speed=mixed(old.speed, new.speed),
        echo=mixed(old.echo, new.echo),
        gains=gains,
        noise=mixed(old.noise, new.noise),
    )
