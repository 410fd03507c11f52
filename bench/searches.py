"""`tinytrain search` beside the published schemes: two networks, two data sets, two budgets.

    .venv/bin/python -m bench.searches [--only mcunet-5fps-cifar10] [--quick]

A budget is the RAM that a published scheme takes in its plain plan, everything counted. The search
learns and judges by its own samples; the accuracies are of test images that it never saw, three
orders of the samples, by the C that ships. Beside what was found stand the published scheme, the
same at the rates that `--scheme auto` gives a fresh head, and what that chooses within the budget,
all trained as long. Differences are taken order by order. What was measured stays in
build/searches, so that the command goes on where it was stopped. With `--quick` nothing is
searched: the other schemes alone train, on the same samples at rates that others suggest.
"""

from __future__ import annotations

import argparse
import io
import statistics
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from bench.auto_scheme import everything, prepared, seconds
from bench.tables import spread
from tinytrain.choosing.interference import OF_HEAD, RATE
from tinytrain.compiler.auto_scheme import AutoScheme
from tinytrain.compiler.budget import Budget
from tinytrain.compiler.compile import compile_model
from tinytrain.compiler.inspect import inspect
from tinytrain.compiler.options import Options
from tinytrain.data.given import given_samples
from tinytrain.scheme.scheme import load_scheme
from tinytrain.scheme.text import scheme_text
from tinytrain.searches.front import Tried
from tinytrain.searches.lengths import lengths_for
from tinytrain.searches.search import SearchResult, search
from tinytrain.searches.split import SearchSamples
from tinytrain.searches.trial import trial
from tinytrain.simulation.library import LibrarySamples
from tinytrain.target import load_target

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"
SCHEMES = ROOT / "examples" / "schemes"
OUTPUT = ROOT / "build" / "searches"
TARGET = "mps2-an500"
PUBLISHED = ("49kb", "100kb")
SIDE = 128
MEAN = STD = 0.5
"""The networks take pixels from -1 to 1."""

Arrays = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Data:
    """Labelled images, uint8.

    Attributes:
        learn: x and y to learn from and to choose by.
        test: that the choice never sees.
        classes: how many.
    """

    learn: Arrays
    test: Arrays
    classes: int


def cifar10() -> Data:
    """2,000 images to learn from, 2,000 to test."""
    with np.load(SHARED / "data" / "cifar10.npz") as held:
        learn, test = (
            (held[f"x_{part}"][:2000], held[f"y_{part}"][:2000]) for part in ("train", "test")
        )
    return Data(learn, test, 10)


def flowers() -> Data:
    """400 of each of five kinds to learn from, all 550 others to test."""
    return Data(_flowers("train", 400), _flowers("val", None), 5)


def _flowers(part: str, of_each: int | None) -> Arrays:
    images, labels = [], []
    with zipfile.ZipFile(SHARED / "data" / "flowers5_224.zip") as archive:
        names = sorted(name for name in archive.namelist() if f"/{part}/" in name and "." in name)
        kinds = sorted({name.split("/")[-2] for name in names})
        for label, kind in enumerate(kinds):
            for name in [one for one in names if one.split("/")[-2] == kind][:of_each]:
                with Image.open(io.BytesIO(archive.read(name))) as image:
                    small = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
                images.append(np.asarray(small))
                labels.append(label)
    return np.stack(images), np.array(labels, np.int32)


DATA: dict[str, Callable[[], Data]] = {"cifar10": cifar10, "flowers": flowers}
MODELS = ("mcunet-5fps", "mbv2-w0.35")


def network(model: str) -> Path:
    """The file of a model."""
    return SHARED / "models" / f"{model}-int8.onnx"


def published(model: str, size: str) -> Path:
    """The file of a published scheme."""
    return SCHEMES / f"{model}-{size}.toml"


def plain_ram(model: str, size: str, classes: int) -> int:
    """Bytes that a published scheme takes with no way to save RAM in use."""
    with tempfile.TemporaryDirectory() as place:
        product = compile_model(
            network(model),
            output=Path(place, "model"),
            scheme=str(published(model, size)),
            classes=classes,
            target=TARGET,
            mean=MEAN,
            std=STD,
        )
    return product.memory.ram["total"]


def chosen_at_once(model: str, data: Data, ram: int, file: Path) -> None:
    """Writes what `--scheme auto` chooses within `ram` bytes."""
    options = Options(classes=data.classes, scheme="auto")
    made = prepared(network(model), data.learn, options)
    target = load_target(TARGET)
    auto = AutoScheme.of(made.given, options, made.preprocess, target)
    scheme = auto.within(Budget(ram, target.flash)).scheme
    file.write_text(scheme_text(scheme), encoding="utf-8")


def layers_of(model: str) -> list[str]:
    """The names that a scheme has for them, the head last."""
    return [layer.name for layer in inspect(network(model)).layers if layer.weights]


def at_other_rates(model: str, size: str, file: Path) -> None:
    """Writes a published scheme with other rates."""
    layers = layers_of(model)
    plain = load_scheme(str(published(model, size)), layers)
    scheme = replace(plain, rate=RATE, rates={layers[-1]: OF_HEAD})
    file.write_text(scheme_text(scheme), encoding="utf-8")


@dataclass(frozen=True)
class Searched:
    """A search within what a published scheme takes; names of files that were shown beside."""

    result: SearchResult
    published: str
    faster: str
    auto: str


def searched(model: str, name: str, data: Data, size: str) -> Searched:
    """Searches within what a published scheme takes."""
    ram = plain_ram(model, size, data.classes)
    output = OUTPUT / f"{model}-{name}-{size}.toml"
    auto = output.with_name(f"auto-{output.name}")
    faster = output.with_name(f"faster-{output.name}")
    chosen_at_once(model, data, ram, auto)
    at_other_rates(model, size, faster)
    plain = published(model, size)
    result = search(
        network(model),
        data=data.learn,
        eval=data.test,
        output=output,
        target=TARGET,
        ram=ram,
        beside=[plain, faster, auto],
        classes=data.classes,
        store=OUTPUT / "store",
        mean=MEAN,
        std=STD,
    )
    return Searched(result, plain.name, faster.name, auto.name)


def of(result: SearchResult, name: str) -> Tried:
    """The row of a scheme that was shown beside."""
    return next(one for one in result.tried if one.name == name)


def difference(ones: Sequence[float], others: Sequence[float]) -> str:
    """Of accuracies in points, order by order."""
    each = [100 * (one - other) for one, other in zip(ones, others, strict=True)]
    return f"{statistics.mean(each):+.1f} ± {statistics.stdev(each):.1f}"


def line(model: str, name: str, data: Data, size: str) -> str:
    """A line of the table."""
    before = seconds()
    shown = searched(model, name, data, size)
    minutes = (seconds() - before) / 60
    result, found = shown.result, shown.result.chosen
    beside, faster, quick = (of(result, n) for n in (shown.published, shown.faster, shown.auto))
    assert found.eval is not None and beside.eval is not None
    assert quick.eval is not None and faster.eval is not None
    cells = [
        model,
        name,
        f"{result.limits.ram:,}",
        f"{result.memory.ram['total']:,}",
        f"{size}: {spread(beside.eval.accuracies)}",
        spread(faster.eval.accuracies),
        spread(found.eval.accuracies),
        difference(found.eval.accuracies, beside.eval.accuracies),
        spread(quick.eval.accuracies),
        difference(quick.eval.accuracies, found.eval.accuracies),
        f"{result.new_trainings} of {result.trainings}",
        f"{minutes:.0f}",
    ]
    return f"| {' | '.join(cells)} |"


def quick(model: str, name: str, data: Data, size: str) -> str:
    """A line of the table without a search."""
    ram, options = plain_ram(model, size, data.classes), Options(classes=data.classes)
    made = prepared(network(model), data.learn, options)
    auto, faster = (OUTPUT / f"{what}-{model}-{name}-{size}.toml" for what in ("auto", "faster"))
    before = seconds()
    chosen_at_once(model, data, ram, auto)
    taken = seconds() - before
    at_other_rates(model, size, faster)
    switches, spec = everything(made, options)
    samples, judge = (given_samples(*part, spec) for part in (data.learn, data.test))
    judges = LibrarySamples(judge.targets(slice(None)), judge.quantized(slice(None)))
    parts, layers = SearchSamples(samples, judge), layers_of(model)
    length = lengths_for(made.given.forward, parts).report
    assert length is not None, "there are samples to test"

    def accuracies(file: Path) -> list[float]:
        scheme, found = load_scheme(str(file), layers), []
        for seed in length.seeds:
            index, _ = parts.split(seed)
            learn = LibrarySamples(samples.targets(index), samples.quantized(index))
            score = trial(switches, scheme, learn, judges, steps=length.steps, seeds=[seed])
            found.append(score.accuracy)
        return found

    plain, fast, chosen = map(accuracies, (published(model, size), faster, auto))
    cells = [model, name, f"{ram:,}", f"{size}: {spread(plain)}", spread(fast), spread(chosen)]
    cells += [difference(chosen, plain), f"{taken:.0f}"]
    return f"| {' | '.join(cells)} |"


QUICK = (
    "| model | data | RAM | published, % | at another rate, % | `auto`, % | difference "
    "| processor seconds of the choice |\n|---|---|---:|---:|---:|---:|---:|---:|"
)
SEARCHED = (
    "| model | data | RAM | RAM of what was found | published, % | at another rate, % | found, % "
    "| difference | `auto`, % | to the search | new trainings | processor minutes |\n"
    "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
)


def main() -> int:
    """Prints the table, a line as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="part of MODEL-DATA-SIZE")
    parser.add_argument("--quick", action="store_true", help="without a search")
    options = parser.parse_args()
    OUTPUT.mkdir(parents=True, exist_ok=True)
    print(QUICK if options.quick else SEARCHED, flush=True)
    make = quick if options.quick else line
    for name, load in DATA.items():
        for model in MODELS:
            sizes = [size for size in PUBLISHED if options.only in f"{model}-{name}-{size}"]
            data = load() if sizes else None
            for size in sizes:
                assert data is not None
                print(make(model, name, data, size), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
