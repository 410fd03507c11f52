"""What the examples' devices learn, by update scheme and learning rate: a table in Markdown.

    .venv/bin/python -m examples.measure watch
    .venv/bin/python -m examples.measure digits

Accuracy comes from the host simulation, whose weights equal the emulated microcontroller's to the
bit; RAM and instructions are the microcontroller's own.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from examples.demonstration import COUNTED_STEPS, ROOT, Story, write_samples
from examples.digits.demo import story as digits
from examples.watch.demo import story as watch
from tinytrain.compiler.compile import compile_model
from tinytrain.compiler.folder import Product
from tinytrain.simulation.result import SimulationResult
from tinytrain.simulation.session import simulate

STORIES = {"watch": watch, "digits": digits}
SCHEMES = ("head", "bias", "last-3", "last-6", "full")
FOUND = {"watch": "watch-32kb", "digits": "digits-24kb"}
"""By `examples.found`, in the folder of the example."""

RATES = (0.001, 0.003, 0.01)
SEEDS = (0, 1, 2)


def compile_story(
    story: Story, files: Mapping[str, Path], output: Path, *, scheme: str | None = None
) -> Product:
    """Compile a story's model as its demo does, or with another update scheme."""
    return compile_model(
        story.model,
        output=output,
        target=story.target,
        calibration=files["calibration"],
        scheme=scheme or story.scheme,
        learning_rate=story.learning_rate,
        schedule="constant",
        rehearsal_slots=story.rehearsal_slots or None,
    )


def train(
    product: Product,
    story: Story,
    files: Mapping[str, Path],
    *,
    judge: str = "judge",
    rate: float | None = None,
    seed: int = 0,
) -> SimulationResult:
    """Train for the story's steps on this machine.

    Args:
        judge: "judge" or "past": the samples that the accuracies are of.
        rate: learning rate instead of the story's.
        seed: of the order of the samples.
    """
    return simulate(
        product.directory,
        data=files["learn"],
        eval=files[judge],
        steps=story.steps,
        seed=seed,
        learning_rate=rate,
    )


def main() -> int:
    """Print the table of one example."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("example", choices=STORIES)
    parser.add_argument("--only", metavar="SCHEME", help="one row of the table")
    options = parser.parse_args()
    story = STORIES[options.example]()
    schemes = {scheme: scheme for scheme in SCHEMES}
    found = FOUND[options.example]
    schemes[found] = str(ROOT / "examples" / options.example / f"{found}.toml")
    schemes = {name: scheme for name, scheme in schemes.items() if options.only in (None, name)}
    print(f"Lowest and highest accuracy of {len(SEEDS)} orders after {story.steps:,} steps")
    rates = " | ".join(f"{rate:g}" for rate in RATES)
    print(f"| scheme | RAM, bytes | instructions of a step | {rates} |")
    print("|---|---:|---:" + "|---" * len(RATES) + "|")
    with tempfile.TemporaryDirectory(prefix="tinytrain-") as place:
        files = write_samples(story, Path(place) / "data")
        for name, scheme in schemes.items():
            product = compile_story(story, files, Path(place) / name, scheme=scheme)
            folder, few = product.directory, files["count"]
            count = simulate(folder, on="qemu", data=few, steps=COUNTED_STEPS, icount=True)
            cells = []
            for rate in RATES:
                ends = [train(product, story, files, rate=rate, seed=k) for k in SEEDS]
                after = sorted(end.accuracy_after or 0.0 for end in ends)
                cells.append(f"{after[0]:.3f} {after[-1]:.3f}")
            ram, step = product.memory.ram["total"], count.instructions_per_step
            print(f"| {name} | {ram:,} | {step:,} | {' | '.join(cells)} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
