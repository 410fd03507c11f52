"""How long candidates of a search train: short trainings in the library with switches, CIFAR-10.

    .venv/bin/python -m bench.trials

Processor time of one core, so that what else runs counts little.
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinytrain.compiler.images import image_preprocess
from tinytrain.compiler.integers import integer_model
from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import build_step
from tinytrain.compiler.samples import sample_spec
from tinytrain.data.dataset import Dataset, load_dataset
from tinytrain.frontend import import_model
from tinytrain.ir.graph import Graph
from tinytrain.passes.base import Runner
from tinytrain.passes.select_trainable import weighted_layers
from tinytrain.scheme.scheme import Scheme, Share, load_scheme
from tinytrain.searches.switches import Switches
from tinytrain.searches.trial import trial
from tinytrain.simulation.library import LibrarySamples

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"
SCHEMES = ROOT / "examples" / "schemes"
MODELS = {
    "mcunet-5fps-int8.onnx": "mcunet-5fps-100kb.toml",
    "mbv2-w0.35-int8.onnx": "mbv2-w0.35-100kb.toml",
}
"""Each with a published scheme."""

STEPS = JUDGES = 400


@dataclass(frozen=True, eq=False)
class Task:
    """A network that learns CIFAR-10 with a fresh head.

    Attributes:
        forward: the s8 model.
        layers: with weights, the head left out.
        published: a scheme.
        switches: of all layers, or of the last ones.
        learn, judge: samples.
    """

    forward: Graph
    layers: tuple[str, ...]
    published: Scheme
    switches: Switches
    learn: LibrarySamples
    judge: LibrarySamples


def task(
    model: str, learned: int, judged: int, kind: type[Switches] = Switches, depth: int | None = None
) -> Task:
    """A network with samples of the training set to learn from, and of the test set to judge.

    Args:
        depth: candidate layers, the last ones; None takes all.
    """
    runner, data = Runner(), np.load(SHARED / "data" / "cifar10.npz")
    options = Options(classes=10)
    imported, preprocess = image_preprocess(import_model(SHARED / "models" / model), 0.5, 0.5)
    with tempfile.TemporaryDirectory() as folder:
        learn, judge = Path(folder, "learn.npz"), Path(folder, "judge.npz")
        for file, part, count in ((learn, "train", learned), (judge, "test", judged)):
            labels = data[f"y_{part}"][:count].astype(np.int32)
            np.savez(file, x=data[f"x_{part}"][:count], y=labels)
        given = integer_model(imported, learn, preprocess, options, runner)
        *body, head = weighted_layers(given.forward)
        last = tuple(body[-(depth or len(body)) :])
        largest = Scheme("largest", last, {layer: Share() for layer in last})
        samples = given.quantized_samples()
        compiled = build_step(given.forward, options, runner, samples, scheme=largest)
        spec = sample_spec(compiled, preprocess)
        both = [library_samples(load_dataset(file, spec)) for file in (learn, judge)]
    published = load_scheme(str(SCHEMES / MODELS[model]), [*body, head])
    return Task(given.forward, tuple(body), published, kind(compiled), *both)


def library_samples(data: Dataset) -> LibrarySamples:
    """All samples as a library takes them."""
    targets = np.ascontiguousarray(data.targets(slice(None)), np.int32)
    return LibrarySamples(targets, np.ascontiguousarray(data.quantized(slice(None))))


def main() -> int:
    """Prints a Markdown table."""
    if not SHARED.is_dir():
        print("needs ../shared with models/ and data/", file=sys.stderr)
        return 2
    print(f"{STEPS} steps, then {JUDGES} samples that judge.\n")
    print("| model | candidate | first training | each other | a minute |")
    print("|---|---|---|---|---|", flush=True)
    for model in MODELS:
        one = task(model, STEPS, JUDGES)
        last = one.layers[-22:]
        candidates = {
            "head": Scheme("head"),
            "22 biases": Scheme("biases", last),
            f"{len(one.published.biases)} biases, {len(one.published.weights)} layers, published": (
                one.published
            ),
            "last 22 whole": Scheme("last", last, {layer: Share() for layer in last}),
            "all": Scheme("all", one.layers, {layer: Share() for layer in one.layers}),
        }
        for title, scheme in candidates.items():
            seconds = []
            for _ in range(2):
                begin = time.process_time()
                trial(one.switches, scheme, one.learn, one.judge, steps=STEPS, seeds=(0,))
                seconds.append(time.process_time() - begin)
            first, other = seconds
            row = (model.removesuffix("-int8.onnx"), title, f"{first:.1f} s", f"{other:.2f} s")
            print(f"| {' | '.join(row)} | {60 / other:.0f} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
