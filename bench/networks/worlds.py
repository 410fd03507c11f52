"""What each network is trained on before it ships, and the world that it finds where it is used."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from scipy import ndimage

from bench.networks import made
from examples.digits import data as digits_data
from examples.watch import data as watch_data
from examples.watch.story import PERSON

ROOT = Path(__file__).resolve().parents[2]
CIFAR10 = ROOT.parent / "shared" / "data" / "cifar10.npz"
FASHION = (Path("/usr/share/datasets/fashion-mnist"), ROOT / "build/datasets/fashion-mnist")
"""Debian's package dataset-fashion-mnist; unpacked by hand in the second."""

AHEAD = 10
"""Samples that are forecast: 0.2 s of the watch."""

CLOTHES, SHOES_AND_BAGS = (0, 1, 2, 3, 4), (5, 7, 8, 9)
"""Classes of Fashion-MNIST: what the autoencoder knows, and what is new to it."""


@dataclass(frozen=True, eq=False)
class Samples:
    """Inputs float32 [N, ...] and targets.

    `y`: int32 labels [N], or [N, H, W] of pixels; float32 [N, outputs], each 0 or 1 or a number;
    None where the input is its own target. `second`: of a network with two inputs the other one.
    """

    x: np.ndarray
    y: np.ndarray | None
    second: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.x)

    @property
    def inputs(self) -> tuple[np.ndarray, ...]:
        """One array for each input."""
        return (self.x,) if self.second is None else (self.x, self.second)

    def part(self, chosen: slice | np.ndarray) -> Samples:
        """Some of them."""
        y, second = (None if one is None else one[chosen] for one in (self.y, self.second))
        return Samples(self.x[chosen], y, second)


@dataclass(frozen=True, eq=False)
class World:
    """Samples of the old world and of the new one; nothing of `judge` is in `learn`."""

    factory: Samples
    learn: Samples
    judge: Samples


def digits() -> World:
    """Flat digits of scikit-learn; the camera is knocked: tilted, and its lens hazy."""
    old = digits_data.as_trained(digits_data.TRAIN)
    learn, judge = (
        digits_data.as_it_is_now(part) for part in (digits_data.ADAPT, digits_data.TEST)
    )
    return World(*(Samples(one.x.reshape(len(one.x), -1), one.y) for one in (old, learn, judge)))


def watch() -> World:
    """Exercises of nine people by their watches; then a tenth puts one on."""
    judge = watch_data.windows(watch_data.load(), [PERSON], hop=16, part=(0.5, 1.0))
    parts = (watch_data.others(PERSON), watch_data.first_half(PERSON), judge)
    return World(*(Samples(one.x, one.y) for one in parts))


def watch_in_two() -> World:
    """The same windows, acceleration and rotation apart."""
    world = watch()
    return World(
        *(
            Samples(np.ascontiguousarray(one.x[:, :3]), one.y, np.ascontiguousarray(one.x[:, 3:]))
            for one in (world.factory, world.learn, world.judge)
        )
    )


def watch_ahead() -> World:
    """The same people; the target is the mean acceleration of the next 0.2 s, three axes in g."""
    others = [person for person in watch_data.PEOPLE if person != PERSON]
    return World(
        _ahead(others, hop=48, part=(0.0, 1.0)),
        _ahead([PERSON], hop=24, part=(0.0, 0.5)),
        _ahead([PERSON], hop=24, part=(0.5, 1.0)),
    )


def _ahead(people: list[int], *, hop: int, part: tuple[float, float]) -> Samples:
    recordings = watch_data.load()
    x, y = [], []
    for index in np.flatnonzero(np.isin(recordings.person, people)):
        signal = recordings.series[index]
        first, end = (int(len(signal) * share) for share in part)
        for start in range(first, end - watch_data.WINDOW - AHEAD + 1, hop):
            now = start + watch_data.WINDOW
            x.append(signal[start:now].T)
            y.append(signal[now : now + AHEAD, :3].mean(0))
    return Samples(np.ascontiguousarray(np.stack(x)), np.stack(y).astype(np.float32))


def words() -> World:
    """Twelve made words; then a stranger speaks them."""
    rng = np.random.RandomState(1)
    old, learn, judge = (rng.randint(0, 12, count).astype(np.int32) for count in (3000, 400, 1000))
    stranger = made.STRANGER
    return World(
        Samples(made.spoken(old, None, 2), old),
        Samples(made.spoken(learn, stranger, 3), learn),
        Samples(made.spoken(judge, stranger, 4), judge),
    )


def wake_word() -> World:
    """One made word among others, half and half; then a stranger speaks."""
    rng = np.random.RandomState(5)

    def drawn(count: int, speaker: made.Speaker | None, seed: int) -> Samples:
        wakes = rng.randint(0, 2, count)
        chosen = np.where(wakes == 1, 0, rng.choice([-1, *range(1, 12)], count))
        return Samples(made.spoken(chosen, speaker, seed), wakes.astype(np.int32))

    return World(drawn(3000, None, 6), drawn(400, made.STRANGER, 7), drawn(1000, made.STRANGER, 8))


def faults() -> World:
    """Made vibrations with any of four faults; then the sensor goes to a machine of its own."""
    rng = np.random.RandomState(9)

    def drawn(count: int, machine: made.Machine | None, seed: int) -> Samples:
        has = rng.randint(0, 2, (count, len(made.FAULTS)))
        return Samples(made.vibrations(has, machine, seed), has.astype(np.float32))

    return World(drawn(3000, None, 10), drawn(400, made.SITE, 11), drawn(1000, made.SITE, 12))


def photographs() -> World:
    """CIFAR-10; then the camera stands behind a yellow pane, in half of the light."""
    if not CIFAR10.is_file():
        raise FileNotFoundError(f"{CIFAR10.name} is missing: it lies in ../shared/data")
    with np.load(CIFAR10) as arrays:
        x, y, test_x, test_y = (arrays[name] for name in ("x_train", "y_train", "x_test", "y_test"))

    def seen(images: np.ndarray, labels: np.ndarray, *, new: bool) -> Samples:
        real = images.astype(np.float32) / 255
        if new:
            real = real * np.array([0.5, 0.45, 0.2], np.float32)
        real = (real - 0.47) / 0.25
        planes = np.ascontiguousarray(real.transpose(0, 3, 1, 2), np.float32)
        return Samples(planes, labels.astype(np.int32))

    return World(
        seen(x[:6000], y[:6000], new=False),
        seen(x[6000:7500], y[6000:7500], new=True),
        seen(test_x[:1000], test_y[:1000], new=True),
    )


def large_photographs() -> World:
    """The same at twice the size."""
    world = photographs()
    return World(
        *(
            Samples(part.x[:1500].repeat(2, axis=2).repeat(2, axis=3), part.y[:1500])
            for part in (world.factory, world.learn, world.judge)
            if part.y is not None
        )
    )


@cache
def fashion_images() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Fashion-MNIST: images uint8 [N, 28, 28] and labels to train on, then those of the test.

    Raises:
        FileNotFoundError: it is not installed.
    """
    folder = next((place for place in FASHION if place.is_dir()), None)
    if folder is None:
        raise FileNotFoundError(
            "Fashion-MNIST is missing: apt-get install dataset-fashion-mnist, or unpack that "
            f"package's files into {FASHION[1].relative_to(ROOT)}"
        )
    parts = []
    for name, header in (
        ("train-images-idx3", 16),
        ("train-labels-idx1", 8),
        ("t10k-images-idx3", 16),
        ("t10k-labels-idx1", 8),
    ):
        raw = gzip.decompress((folder / f"{name}-ubyte.gz").read_bytes())
        parts.append(np.frombuffer(raw, np.uint8, offset=header))
    x, y, test_x, test_y = parts
    return x.reshape(-1, 28, 28), y, test_x.reshape(-1, 28, 28), test_y


def planes(images: np.ndarray) -> np.ndarray:
    """uint8 [N, H, W] as float32 [N, 1, H, W], 0 to 1."""
    return images.astype(np.float32)[:, None] / 255


def fashion() -> World:
    """Fashion-MNIST; then the camera is tilted."""
    x, y, test_x, test_y = fashion_images()

    def tilted(images: np.ndarray) -> np.ndarray:
        return ndimage.rotate(images, 30.0, (2, 1), reshape=False, order=1)

    return World(
        Samples(planes(x[:4000]), y[:4000].astype(np.int32)),
        Samples(planes(tilted(x[4000:4600])), y[4000:4600].astype(np.int32)),
        Samples(planes(tilted(test_x[:1000])), test_y[:1000].astype(np.int32)),
    )


def clothes_to_shoes() -> World:
    """Pictures of clothes are what is normal; then shoes and bags are. No labels."""
    x, y, test_x, test_y = fashion_images()
    old, new, judged = (
        np.isin(y, CLOTHES),
        np.isin(y, SHOES_AND_BAGS),
        np.isin(test_y, SHOES_AND_BAGS),
    )
    return World(
        Samples(planes(x[old][:3000]), None),
        Samples(planes(x[new][:600]), None),
        Samples(planes(test_x[judged][:500]), None),
    )


def scenes() -> World:
    """Fashion-MNIST before noise, each pixel nothing, clothes or other; then it is dark."""
    x, y, test_x, test_y = fashion_images()

    def placed(images: np.ndarray, labels: np.ndarray, dark: bool, seed: int) -> Samples:
        rng = np.random.RandomState(seed)
        thing = images > 40
        shades = ndimage.gaussian_filter(rng.normal(size=images.shape), (0, 2, 2)) * 1.5 + 0.3
        picture = np.where(thing, images / 255.0, np.clip(shades, 0, 1))
        if dark:
            picture = 0.35 * picture + rng.normal(0.0, 0.04, images.shape)
        kind = np.where(np.isin(labels, CLOTHES), 1, 2)[:, None, None]
        return Samples(
            picture.astype(np.float32)[:, None], np.where(thing, kind, 0).astype(np.int32)
        )

    return World(
        placed(x[:2000], y[:2000], False, 13),
        placed(x[2000:2400], y[2000:2400], True, 14),
        placed(test_x[:300], test_y[:300], True, 15),
    )
