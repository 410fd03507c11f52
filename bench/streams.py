"""What a stream sorted by class leaves, and what a replay buffer saves: MCUNet-5FPS on CIFAR-10.

One pass over 10,000 training images at 128x128, batch 1, the 100 KB scheme, a constant rate; the
test images are looked at before, and after each tenth. The host learns, in a library with the slots
in its memory: the same bits as the device's, wherever its slots lie. RAM and instructions are those
of the emulated Cortex-M7. Prints a Markdown table, mean and standard deviation over the seeds.

    .venv/bin/python -m bench.streams
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tinytrain.compiler.compile import compile_model
from tinytrain.compiler.folder import Product, write_folder
from tinytrain.data import Dataset, Preprocess, load_dataset
from tinytrain.experiments.report import mean_and_spread
from tinytrain.simulation.folder import open_folder
from tinytrain.simulation.forgetting import class_accuracies, forgetting
from tinytrain.simulation.library import HostLibrary, LibrarySamples
from tinytrain.simulation.library_build import build_library
from tinytrain.simulation.orders import by_class, drifted
from tinytrain.simulation.session import simulate
from tinytrain.simulation.stream import training_order
from tinytrain.target import load_target

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"
SCHEME = ROOT / "examples" / "schemes" / "mcunet-5fps-100kb.toml"
TARGET = "mps2-an500"
CLASSES = 10
PARTS = 10
COUNTED_STEPS = 4
CHUNK = 64


@dataclass(frozen=True)
class Case:
    """A stream, and what helps against forgetting.

    Attributes:
        order: see `simulate.orders`.
        slots, place: of the replay buffer.
        again: replayed steps after each new sample.
    """

    order: str
    slots: int = 0
    place: str = "ram"
    again: int = 0


CASES = (
    Case("shuffled"),
    Case("by-class"),
    Case("by-class", 32, "ram", 1),
    Case("by-class", 128, "ram", 1),
    Case("by-class", 1000, "flash", 1),
    Case("by-class", 1000, "flash", 2),
    Case("drift"),
    Case("drift", 128, "ram", 1),
)


class Bench:
    """The model, compiled without a buffer, and what its frozen layers leave of all images.

    Args:
        folder: for everything that is written.
        rate: learning rate.
        seed: of the model and of the streams.
        steps: new samples.
        images: test images.
    """

    def __init__(self, folder: Path, rate: float, seed: int, steps: int, images: int) -> None:
        self._folder = folder
        self._seed = seed
        self._product = compile_model(
            SHARED / "models" / "mcunet-5fps-int8.onnx",
            output=folder / "plain",
            target=TARGET,
            mean=0.5,
            std=0.5,
            scheme=str(SCHEME),
            classes=CLASSES,
            learning_rate=rate,
            schedule="constant",
            seed=seed,
        )
        self._train, self._test = (self._dataset(kind) for kind in ("train", "test"))
        self._order = training_order(len(self._train), steps, seed)
        self._labels = self._test.targets(slice(images))
        self._library = self._make_library(Case("shuffled"))
        self._tested = self._left(self._test, np.arange(images))
        self._streams: dict[bool, np.ndarray] = {}

    def figures(self, case: Case) -> tuple[float, ...]:
        """Trains; gives accuracy, the worst class's, forgetting, and accuracy on new samples."""
        order, labels = self._order, self._train.targets(slice(None))
        if case.order == "by-class":
            order = by_class(order, labels, CLASSES, self._seed)
        if case.order == "drift":
            # Each step has an input of its own.
            order, labels = np.arange(len(order)), labels[order]
        samples = LibrarySamples(np.ascontiguousarray(labels), None, self._stream(case.order))
        tested = LibrarySamples(self._labels, None, self._tested)
        library = self._make_library(case)
        evaluations = [library.evaluate(tested)[1]]
        predictions = []
        for part in np.array_split(order, PARTS):
            predictions.append(library.train(samples, part, replay_steps=case.again)[1])
            evaluations.append(library.evaluate(tested)[1])
        classes = [class_accuracies(found, self._labels, CLASSES) for found in evaluations]
        right = float(np.mean(evaluations[-1] == self._labels))
        new = float(np.mean(np.concatenate(predictions) == labels[order]))
        worst = min(accuracy for accuracy in classes[-1] if accuracy is not None)
        return right, worst, forgetting(classes), new

    def _dataset(self, kind: str) -> Dataset:
        data = np.load(SHARED / "data" / "cifar10.npz")
        path = self._folder / f"{kind}.npz"
        np.savez(path, x=data[f"x_{kind}"], y=data[f"y_{kind}"].astype(np.int32))
        return load_dataset(path, open_folder(self._product.directory).spec)

    def _with_buffer(self, case: Case, place: str, target: str) -> Product:
        plain = self._product.compiled
        options = replace(plain.options, replay=case.slots, replay_in=place)
        output = self._folder / f"{target}-{case.slots}-{place}"
        return write_folder(
            replace(plain, options=options),
            output,
            target=load_target(target),
            preprocess=Preprocess((128, 128), (0.5,), (0.5,)),
        )

    def _make_library(self, case: Case) -> HostLibrary:
        product = self._with_buffer(case, "ram", "host")
        model = product.manifest.interface
        return HostLibrary(build_library(product.directory, model, self._folder / "cache"), model)

    def _stream(self, order: str) -> np.ndarray:
        """What the frozen layers leave: of each sample, or of each step's where they drift."""
        drifts = order == "drift"
        if drifts not in self._streams:
            index = self._order if drifts else np.arange(len(self._train))
            self._streams[drifts] = self._left(self._train, index, drifts=drifts)
        return self._streams[drifts]

    def _left(self, data: Dataset, index: np.ndarray, *, drifts: bool = False) -> np.ndarray:
        left = np.empty((len(index), self._library.model.frozen_bytes), np.uint8)
        for start in range(0, len(index), CHUNK):
            inputs = data.quantized(index[start : start + CHUNK])
            if drifts:
                progress = (start + np.arange(len(inputs))) / max(len(index) - 1, 1)
                inputs = drifted(inputs, progress, data.spec.zero_point)
            self._library.frozen(inputs, left[start : start + CHUNK])
        return left

    def costs(self, case: Case) -> str:
        """RAM, flash of the slots, and instructions of a new sample with what follows it."""
        product = self._with_buffer(case, case.place, TARGET)
        few = self._folder / "few.npz"
        np.savez(few, x=self._train.x[:COUNTED_STEPS], y=self._train.targets(slice(COUNTED_STEPS)))
        counted = simulate(
            product.directory,
            on="qemu",
            data=few,
            steps=COUNTED_STEPS,
            replay_steps=case.again if case.slots else None,
            icount=True,
        )
        instructions = counted.instructions_per_step or 0
        instructions += case.again * (counted.instructions_per_replay_step or 0)
        replay = product.manifest.replay
        in_flash = replay.nbytes if replay is not None and replay.in_flash else 0
        return f"{product.memory.ram['total']:,} | {in_flash:,} | {instructions:,}"


def _row(case: Case, figures: list[tuple[float, ...]], costs: str) -> str:
    """A line of the table, from the figures of each seed."""
    slots = f"{case.slots:,} in {case.place}" if case.slots else "none"
    cells = [
        mean_and_spread([100 * value for value in column], 1)
        for column in zip(*figures, strict=True)
    ]
    return f"| {case.order} | {slots} | {case.again} | {' | '.join(cells)} | {costs} |"


def main() -> int:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--images", type=int, default=1_000, help="test images")
    parser.add_argument("--rate", type=float, default=0.4 / 256)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--only", type=int, nargs="+", help="numbers of runs, from 0")
    options = parser.parse_args()
    if not SHARED.is_dir():
        print("needs ../shared with models/ and data/", file=sys.stderr)
        return 2
    print(
        "| order | slots | replayed steps | accuracy, % | worst class | forgetting | new "
        "| RAM | flash for slots | instructions a new sample |\n" + "|---" * 10 + "|"
    )
    numbers = options.only or range(len(CASES))
    figures: dict[int, list[tuple[float, ...]]] = {number: [] for number in numbers}
    for seed in options.seeds:
        with tempfile.TemporaryDirectory() as place:
            bench = Bench(Path(place), options.rate, seed, options.steps, options.images)
            for number in numbers:
                figures[number].append(bench.figures(CASES[number]))
                if seed == options.seeds[-1]:
                    costs = bench.costs(CASES[number])
                    print(_row(CASES[number], figures[number], costs), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
