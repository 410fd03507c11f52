"""Samples of each situation: the old world's, and those of the world that the device finds."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from PIL import Image

from bench.networks import made
from bench.networks.worlds import CIFAR10, Samples, fashion_images, planes
from bench.networks.worlds import digits as flat_digits
from bench.networks.worlds import words as new_speaker
from examples.digits import data as digits_data
from examples.watch import data as watch_data

FLOWERS = CIFAR10.with_name("flowers5_224.zip")
FLOWER_SIDE = 128

KNOWN = 7
"""Classes of Fashion-MNIST that the network ships with; the others come later."""

CALIBRATION = 256

HEALTHY = 0
"""Class of a vibration without a fault; fault k of `made.FAULTS` is class k + 1."""

UNKNOWN = (2, 3)
"""Faults that nobody has seen before the device does: knock and rub."""

BANDS = 128
FRAMES = 5
"""Of ad01's input: five frames of 128 bands, in decibels."""


@dataclass(frozen=True, eq=False)
class Parts:
    """Samples of a situation; nothing of `judge` is in `learn`, and nothing of `past` in
    `calibration`.

    Attributes:
        factory: of the old world, that the network is trained on; None where it came trained.
        calibration: of the old world, labelled, where the network has their labels.
        learn: of the new world. Without `y` the input is its own target.
        judge: of the new world. Of the task "normal" `y` is 1 for a fault, else 0.
        past: of the old world, to see what is forgotten; None where there is no old task.
    """

    factory: Samples | None
    calibration: Samples
    learn: Samples
    judge: Samples
    past: Samples | None


def spread(samples: Samples, count: int = CALIBRATION) -> Samples:
    """At most `count` of them, evenly."""
    return samples.part(_evenly(len(samples), count))


def _evenly(total: int, count: int) -> np.ndarray:
    """At most `count` places of `total`, int64."""
    return np.linspace(0, total - 1, min(total, count)).round().astype(np.int64)


def few(make: Callable[[], Parts], of_each: int) -> Parts:
    """The same with a few samples of each class to learn from.

    Args:
        make: the parts; `learn` has labels.
        of_each: samples of a class, or all where there are fewer.
    """
    parts = make()
    labels = parts.learn.y
    assert labels is not None, "samples without labels are not chosen by label"
    return replace(parts, learn=parts.learn.part(chosen(labels, of_each, 0)))


def chosen(labels: np.ndarray, of_each: int | None, seed: int) -> np.ndarray:
    """Indices of so many random samples of each class, in random order; None takes all."""
    rng = np.random.RandomState(seed)
    order = rng.permutation(len(labels))
    if of_each is None:
        return order
    kept = [order[labels[order] == label][:of_each] for label in np.unique(labels)]
    return rng.permutation(np.concatenate(kept))


@cache
def watch(person: int) -> Parts:
    """Nine people's exercises, then a tenth's.

    The windows of `past` are such as the network was trained on, but none of `calibration`.
    """
    second = watch_data.windows(watch_data.load(), [person], hop=16, part=(0.5, 1.0))
    chosen = watch_data.others(person), watch_data.first_half(person), second
    factory, learn, judge = (Samples(one.x, one.y) for one in chosen)
    calibration = _evenly(len(factory), 512)
    rest = np.setdiff1d(np.arange(len(factory)), calibration)
    past = factory.part(rest[_evenly(len(rest), 1500)])
    return Parts(factory, factory.part(calibration), learn, judge, past)


@cache
def watch_unequal() -> Parts:
    """The same of person 2, who does four of the exercises a sixth as often."""
    parts = watch(2)
    assert parts.learn.y is not None
    rare = np.isin(parts.learn.y, (1, 2, 4, 6))
    kept = ~rare | (np.cumsum(rare) % 6 == 0)
    return Parts(parts.factory, parts.calibration, parts.learn.part(kept), parts.judge, parts.past)


@cache
def words() -> Parts:
    """Twelve made words of many speakers, then a stranger's."""
    world = new_speaker()
    past = np.random.RandomState(20).randint(0, 12, 500).astype(np.int32)
    return Parts(
        world.factory,
        spread(world.factory),
        world.learn.part(slice(0, 200)),
        world.judge.part(slice(0, 500)),
        Samples(made.spoken(past, None, 21), past),
    )


@cache
def digits() -> Parts:
    """Digits, then through a camera that is tilted by 30 degrees behind a hazy lens."""
    world = flat_digits()

    def images(samples: Samples) -> Samples:
        return Samples(samples.x.reshape(-1, *digits_data.SHAPE), samples.y)

    past = digits_data.as_trained(digits_data.TEST)
    factory = images(world.factory)
    return Parts(
        factory,
        spread(factory),
        images(world.learn),
        images(world.judge),
        Samples(past.x, past.y),
    )


def _fashion(classes: tuple[int, ...], of_each: int, *, test: bool, skip: int = 0) -> Samples:
    x, y, test_x, test_y = fashion_images()
    images, labels = (test_x, test_y) if test else (x, y)
    places = [np.flatnonzero(labels == k)[skip : skip + of_each] for k in classes]
    at = np.sort(np.concatenate(places))
    return Samples(planes(images[at]), labels[at].astype(np.int32))


@cache
def fashion_classes() -> Parts:
    """Seven classes of clothes; then sneakers, bags and boots, and nothing but these."""
    old, new = tuple(range(KNOWN)), tuple(range(KNOWN, 10))
    return _fashion_parts(old, new, 200)


@cache
def fashion_one_class() -> Parts:
    """The same; then thirty bags."""
    return _fashion_parts(tuple(range(KNOWN)), (8,), 30)


def _fashion_parts(old: tuple[int, ...], new: tuple[int, ...], of_each: int) -> Parts:
    factory = _fashion(old, 600, test=False)
    return Parts(
        factory,
        spread(factory),
        _fashion(new, of_each, test=False),
        _fashion(new, 150, test=True),
        _fashion(old, 100, test=True),
    )


@cache
def cifar10() -> Parts:
    """Photographs of ten kinds for a network that knows ImageNet."""
    with np.load(CIFAR10) as arrays:
        x, y, test_x, test_y = (arrays[name] for name in ("x_train", "y_train", "x_test", "y_test"))
    learn = Samples(x[:800], y[:800].astype(np.int32))
    judge = Samples(test_x[:500], test_y[:500].astype(np.int32))
    return Parts(None, spread(learn, 64), learn, judge, None)


@cache
def flowers() -> Parts:
    """Photographs of five flowers for a network that knows ImageNet."""
    learn, judge = _flowers("train", 100), _flowers("val", 60)
    return Parts(None, spread(learn, 64), learn, judge, None)


def _flowers(part: str, of_each: int) -> Samples:
    """uint8 [N, 128, 128, 3], evenly of each kind."""
    images, labels = [], []
    with zipfile.ZipFile(FLOWERS) as archive:
        names = sorted(name for name in archive.namelist() if f"/{part}/" in name and "." in name)
        kinds = sorted({name.split("/")[-2] for name in names})
        for label, kind in enumerate(kinds):
            own = [name for name in names if name.split("/")[-2] == kind]
            for place in np.linspace(0, len(own) - 1, min(of_each, len(own))).astype(int):
                with Image.open(io.BytesIO(archive.read(own[place]))) as image:
                    side = (FLOWER_SIDE, FLOWER_SIDE)
                    small = image.convert("RGB").resize(side, Image.Resampling.BILINEAR)
                images.append(np.asarray(small))
                labels.append(label)
    return Samples(np.stack(images), np.array(labels, np.int32))


AGED = made.Machine(speed=1.0, echo=0.5, gains=(0.35, 1.5), noise=0.45)
"""What a machine sounds like through a sensor whose first axis has gone deaf."""


@cache
def vibrations() -> Samples:
    """Of machines of all kinds: healthy, or one of four faults."""
    return _vibrations(3000, None, 30)


def _vibrations(count: int, machine: made.Machine | None, seed: int) -> Samples:
    kinds = np.random.RandomState(seed).randint(0, len(made.FAULTS) + 1, count)
    return Samples(shaken(kinds, machine, seed + 1), kinds.astype(np.int32))


def shaken(kinds: np.ndarray, machine: made.Machine | None, seed: int) -> np.ndarray:
    """Vibrations of a class each, float32 [N, 2, LENGTH]; None stands for machines of all kinds."""
    faults = np.eye(len(made.FAULTS) + 1, dtype=int)[kinds][:, 1:]
    return made.vibrations(faults, machine, seed)


def _machine(machine: made.Machine, seed: int) -> Parts:
    factory = vibrations()
    return Parts(
        factory,
        spread(factory),
        _vibrations(300, machine, seed),
        _vibrations(600, machine, seed + 2),
        _vibrations(600, None, 34),
    )


@cache
def aged_sensor() -> Parts:
    """Vibrations with their fault; then the sensor has aged."""
    return _machine(AGED, 40)


@cache
def another_machine() -> Parts:
    """The same; then the sensor goes to a machine of its own."""
    return _machine(made.SITE, 44)


def spectra(signals: np.ndarray) -> np.ndarray:
    """Log spectra of both axes, float32 [N, LENGTH], about -3 to 2."""
    windowed = signals * np.hanning(signals.shape[-1])
    power = np.abs(np.fft.rfft(windowed, axis=-1)[..., 1:]) ** 2
    return np.log10(power + 1e-2).reshape(len(signals), -1).astype(np.float32)


@cache
def unknown_fault() -> Parts:
    """Spectra of machines that run; then of one that may knock or rub. No labels."""
    factory = Samples(running(2000, None, 50), None)
    sound = running(300, made.SITE, 52)
    broken = running(300, made.SITE, 53, np.random.RandomState(54).choice(UNKNOWN, 300))
    return Parts(
        factory,
        spread(factory),
        Samples(running(400, made.SITE, 51), None),
        _judged(sound, broken),
        Samples(running(300, None, 55), None),
    )


def running(
    count: int, machine: made.Machine | None, seed: int, faults: np.ndarray | None = None
) -> np.ndarray:
    """Spectra of a machine that hums and whines as it should, and of one fault beside."""
    heard = np.tile([1, 1, 0, 0], (count, 1))
    if faults is not None:
        heard[np.arange(count), faults] = 1
    return spectra(made.vibrations(heard, machine, seed))


def _judged(sound: np.ndarray, broken: np.ndarray) -> Samples:
    is_fault = np.repeat(np.array([0, 1], np.int32), [len(sound), len(broken)])
    return Samples(np.concatenate([sound, broken]), is_fault)


@cache
def machine_sounds() -> Parts:
    """A made machine for a network that knows toy cars, and its faults. No labels."""
    learn = Samples(sounds(400, 60, broken=False), None)
    return Parts(
        None,
        spread(learn),
        learn,
        _judged(sounds(300, 61, broken=False), sounds(300, 62, broken=True)),
        None,
    )


def sounds(count: int, seed: int, *, broken: bool) -> np.ndarray:
    """Frames of log energies in bands, float32 [N, FRAMES * BANDS], about -60 to 0 dB.

    A machine has six tones over a floor that falls with the frequency. A broken one has a tone
    more, lacks one, or hisses in the upper bands.
    """
    rng = np.random.RandomState(seed)
    band = np.arange(BANDS)
    tones = np.array([6.0, 13.0, 27.0, 40.0, 66.0, 93.0])
    found = np.empty((count, FRAMES, BANDS))
    for sample in found:
        levels = np.array([-8.0, -12.0, -14.0, -17.0, -20.0, -24.0]) + rng.normal(0.0, 1.5, 6)
        places = tones * rng.uniform(0.98, 1.02)
        floor = -40.0 - 0.1 * band + rng.normal(0.0, 1.0)
        kind = rng.randint(3) if broken else -1
        if kind == 0:
            places, levels = np.append(places, rng.uniform(50, 120)), np.append(levels, -26.0)
        elif kind == 1:
            levels[rng.randint(1, 6)] -= 12.0
        elif kind == 2:
            floor += 7.0 * (band > 80)
        power = 10 ** (floor / 10)
        for place, level in zip(places, levels, strict=True):
            power = power + 10 ** (level / 10) * np.exp(-0.5 * ((band - place) / 1.2) ** 2)
        sample[:] = 10 * np.log10(power) + rng.normal(0.0, 2.0, (FRAMES, BANDS))
    return found.reshape(count, -1).astype(np.float32)
