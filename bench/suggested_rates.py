"""How well the suggested learning rate does: accuracies at multiples of it, constant, batch 1.

By the C that ships, on the host. Prints a Markdown table, a line as soon as it is known; the best
accuracy of a line is bold. K, the suggestion and the limit are what `compile` prints and records.

    .venv/bin/python -m bench.suggested_rates
    .venv/bin/python -m bench.suggested_rates --only 'watch|digits'
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from examples.demonstration import write_samples
from examples.measure import STORIES
from tinytrain.compiler.compile import compile_model
from tinytrain.simulation.session import simulate

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"
SCHEMES = ROOT / "examples" / "schemes"
MULTIPLES = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
STEPS = 1000
TRAIN, TEST = 2000, 500

HALF = {"mean": 0.5, "std": 0.5}
PIXELS = {"std": 1.0 / 255.0}
MODELS = (
    ("mcunet-5fps-int8.onnx", HALF, ("head", "last-3", "mcunet-5fps-100kb")),
    ("mbv2-w0.35-int8.onnx", HALF, ("mbv2-w0.35-49kb",)),
    ("resnet8_int8.tflite", PIXELS, ("head", "last-3", "full")),
)


@dataclass(frozen=True)
class Case:
    """A line of the table."""

    title: str
    model: Path
    scheme: str
    calibration: Path
    learn: Path
    judge: Path
    steps: int
    classes: int | None = None
    images: Mapping[str, float] = field(default_factory=dict)


def cases(folder: Path) -> Iterator[Case]:
    """The examples, and CIFAR-10 where ../shared is there."""
    for name, make in STORIES.items():
        story = make()
        files = write_samples(story, folder / name)
        for scheme in ("head", "last-3", "full"):
            yield Case(
                f"{name}, {scheme}",
                story.model,
                scheme,
                files["calibration"],
                files["learn"],
                files["judge"],
                story.steps,
            )
    if not SHARED.is_dir():
        print("without ../shared, its models and CIFAR-10 are left out", file=sys.stderr)
        return
    learn, judge = _cifar10(folder)
    for file, images, schemes in MODELS:
        for scheme in schemes:
            path = SCHEMES / f"{scheme}.toml"
            yield Case(
                f"{file.rsplit('.', 1)[0]}, {scheme}",
                SHARED / "models" / file,
                str(path) if path.is_file() else scheme,
                learn,
                learn,
                judge,
                STEPS,
                10,
                images,
            )


def main() -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description="Accuracies at multiples of the suggested rate")
    parser.add_argument("--only", default="", metavar="REGEX", help="lines whose title it is in")
    options = parser.parse_args()
    multiples = " | ".join(f"x{multiple:g}" for multiple in MULTIPLES)
    print(f"| model, scheme | K | suggested | limit | steps | before | {multiples} |")
    print("|---|" + "---:|" * (5 + len(MULTIPLES)), flush=True)
    with tempfile.TemporaryDirectory(prefix="tinytrain-") as place:
        for case in cases(Path(place)):
            if re.search(options.only, case.title):
                print(line(case, Path(place) / "model"), flush=True)
    return 0


def line(case: Case, output: Path) -> str:
    """Compiles a case and trains it at each rate."""
    product = compile_model(
        case.model,
        output=output,
        calibration=case.calibration,
        **case.images,
        scheme=case.scheme,
        classes=case.classes,
        schedule="constant",
        rate_limit=1024.0,
    )
    guidance = product.manifest.guidance
    results = [
        simulate(
            output,
            data=case.learn,
            eval=case.judge,
            steps=case.steps,
            learning_rate=min(multiple * guidance.suggested_rate, 1024.0),
        )
        for multiple in MULTIPLES
    ]
    after = [result.accuracy_after or 0.0 for result in results]
    cells = [f"**{x:.3f}**" if x == max(after) else f"{x:.3f}" for x in after]
    figures = (
        f"{guidance.kernel:.3g} | {guidance.suggested_rate:g} | {guidance.rate_limit:g} | "
        f"{case.steps:,} | {results[0].accuracy_before:.3f}"
    )
    return f"| {case.title} | {figures} | {' | '.join(cells)} |"


def _cifar10(folder: Path) -> tuple[Path, Path]:
    data = np.load(SHARED / "data" / "cifar10.npz")
    chosen = np.random.default_rng(0).permutation(len(data["x_train"]))[:TRAIN]
    learn, judge = folder / "learn.npz", folder / "judge.npz"
    np.savez(learn, x=data["x_train"][chosen], y=data["y_train"][chosen].astype(np.int32))
    np.savez(judge, x=data["x_test"][:TEST], y=data["y_test"][:TEST].astype(np.int32))
    return learn, judge


if __name__ == "__main__":
    sys.exit(main())
