"""The networks as they ship: trained once on the old world, in float, and kept as ONNX files."""

from __future__ import annotations

import inspect
import itertools
import warnings
from collections.abc import Callable
from pathlib import Path

from torch import nn

from bench.adapting import worlds
from bench.networks import images, learning, made, signals, store
from bench.networks.objectives import CLASSES, NUMBERS, Objective
from bench.networks.worlds import Samples
from examples.digits.story import MODEL as DIGITS
from examples.training import SmallNetwork, export_onnx
from examples.watch import data as watch_data
from examples.watch.story import MODEL as WATCH
from examples.watch.story import PERSON
from tinytrain.experiments.once import computed_once

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared" / "models"
HERE = Path(__file__).parent
FOLDER = ROOT / "build" / "adapting"
"""Where the networks and all results are kept."""

SEED = 0


def watch(person: int) -> Path:
    """The network of examples/watch, trained on everybody but one person."""
    if person == PERSON:
        return WATCH

    def make() -> nn.Module:
        return SmallNetwork(
            1,
            watch_data.CHANNELS,
            len(watch_data.EXERCISES),
            stem_kernel=7,
            stem_stride=2,
            kernel=5,
        )

    return _trained(f"watch-{person}", make, lambda: worlds.watch(person).factory, CLASSES, 8)


def digits() -> Path:
    """The network of examples/digits."""
    return DIGITS


def words() -> Path:
    """A keyword spotter for twelve made words."""
    return _trained(
        "words", lambda: images.DsCnn(12, 24), lambda: worlds.words().factory, CLASSES, 6
    )


def fashion() -> Path:
    """Ten outputs, of which three never had a sample."""
    return _trained(
        "fashion",
        lambda: SmallNetwork(2, 1, 10, stem_kernel=3, stem_stride=2, kernel=3),
        lambda: worlds.fashion_classes().factory,
        CLASSES,
        6,
    )


def vibrations() -> Path:
    """Healthy, or one of four faults."""
    return _trained("vibrations", lambda: signals.Cnn1d(2, 5), worlds.vibrations, CLASSES, 8)


def spectra() -> Path:
    """An autoencoder for spectra of two axes."""
    return _trained(
        "spectra",
        lambda: _Autoencoder(made.LENGTH),
        lambda: worlds.unknown_fault().factory,
        NUMBERS,
        12,
    )


class _Autoencoder(nn.Sequential):
    """Dense layers through a bottleneck of 8."""

    def __init__(self, size: int) -> None:
        widths = (size, 64, 8, 64, size)
        layers: list[nn.Module] = []
        for inputs, outputs in itertools.pairwise(widths):
            layers += [nn.Linear(inputs, outputs), nn.ReLU()]
        super().__init__(*layers[:-1])


def shared(name: str) -> Path:
    """A network of ../shared/models.

    Raises:
        FileNotFoundError: it is not there.
    """
    path = SHARED / name
    if not path.is_file():
        raise FileNotFoundError(f"{name} is missing: it lies in ../shared/models")
    return path


def _trained(
    name: str,
    make: Callable[[], nn.Module],
    factory: Callable[[], Samples | None],
    objective: Objective,
    epochs: int,
) -> Path:
    """The ONNX file of a network, trained by whoever needs it first.

    Args:
        name: begins the file's name, which goes on with a hash of what decides the weights.
    """
    samples = factory()
    assert samples is not None
    labels = b"" if samples.y is None else samples.y.tobytes()
    code = (inspect.getsource(learning.train), str(make()), objective.loss, epochs, SEED)
    decided = store.digest((*code, samples.x.tobytes(), labels))

    def compute(path: Path) -> None:
        network = learning.train(make, samples, objective, epochs=epochs, seed=SEED)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            export_onnx(network, samples.x.shape[1:], path)

    FOLDER.mkdir(parents=True, exist_ok=True)
    return computed_once(FOLDER / f"{name}-{decided}.onnx", compute)
