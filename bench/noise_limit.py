"""How far the limit of the learning rate that is guessed from noise is from that on samples.

    .venv/bin/python -m bench.noise_limit

The examples, with three schemes each. docs/training.md says what is made of it.
"""

from __future__ import annotations

from collections.abc import Iterator

from examples.demonstration import Story
from examples.digits import demo as digits
from examples.watch import demo as watch
from tinytrain.compiler.guidance import guidance_for
from tinytrain.compiler.integers import integer_model
from tinytrain.compiler.model_end import with_loss
from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import select_trainable
from tinytrain.frontend import import_model
from tinytrain.passes.base import Runner

SCHEMES = ("head", "last-3", "full")


def lines(story: Story) -> Iterator[str]:
    """A line of the table for each scheme."""
    runner = Runner()
    for scheme in SCHEMES:
        options = Options(scheme=scheme)
        imported = import_model(story.model)
        given = integer_model(imported, story.calibration[0], None, options, runner)
        options = with_loss(options, given.forward)
        graph, chosen = select_trainable(given.forward, options, runner)
        found, guessed = (
            guidance_for(graph, chosen, options, samples).limit
            for samples in (given.quantized_samples(), None)
        )
        assert found is not None and guessed is not None
        yield f"| {story.name}, {scheme} | {found:g} | {guessed:g} | {guessed / found:.2f} |"


def main() -> None:
    """Prints the table."""
    print("| model, scheme | limit on samples | on noise | ratio |\n|---|---:|---:|---:|")
    for story in (digits.story(), watch.story()):
        print("\n".join(lines(story)))


if __name__ == "__main__":
    main()
