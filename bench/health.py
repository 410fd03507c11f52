"""What health counters show of runs that learn well and of runs that do not.

MCUNet-5FPS learns CIFAR-10 with the 100 KB scheme on the host, by several rules of rounding, and by
C whose rule for the scales of gradients is changed in one line. Prints two Markdown tables;
docs/training.md has them.

    .venv/bin/python -m bench.health
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tinytrain.compiler.compile import compile_model
from tinytrain.simulation.engine import ignore_progress
from tinytrain.simulation.folder import open_folder
from tinytrain.simulation.health import HealthReport
from tinytrain.simulation.host import HostEngine
from tinytrain.simulation.result import summarize
from tinytrain.simulation.session import plan_session

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"
SCHEME = ROOT / "examples" / "schemes" / "mcunet-5fps-100kb.toml"
RATE = 0.4 / 256

_TOP = "const uint32_t top = limit << 8;"
_ADAPTIVE = """
    /* A cut in more than one step of 64 keeps one bit free. One model in a process. */
    static const tt_scale *first;
    static uint32_t credits[1024];
    first = first == NULL || scale < first ? scale : first;
    uint32_t *credit = &credits[scale - first];
    *credit -= *credit > 0;
    *credit += scale->peak > (int32_t)limit && *credit < 960 ? 64 : 0;
    const uint32_t top = limit << (*credit > 128 ? 7 : 8);"""


@dataclass(frozen=True)
class Variant:
    """A run: options of `compile`, and what tt_step.c has and gets in its place."""

    name: str
    options: Mapping[str, object] = field(default_factory=dict)
    change: tuple[str, str] = (_TOP, _TOP)


SCALES = (
    Variant("as it is"),
    Variant("decay 255/256 a step", change=("(r >> 6)", "(r >> 8)")),
    Variant("one bit free", change=(_TOP, "const uint32_t top = limit << 7;")),
    Variant("one bit free where more than 1 step of 64 cuts", change=(_TOP, _ADAPTIVE)),
)
ROUNDING = (
    Variant("stochastic, 4 bits"),
    Variant("nearest, 4 bits", {"update": "nearest"}),
    Variant("stochastic, 0 bits", {"fraction_bits": 0}),
    Variant("nearest, 0 bits", {"update": "nearest", "fraction_bits": 0}),
    Variant(
        "nearest, 0 bits, rate / 16",
        {"update": "nearest", "fraction_bits": 0, "learning_rate": RATE / 16},
    ),
    Variant("stochastic, 4 bits, rate / 64", {"learning_rate": RATE / 64}),
    Variant("stochastic, 4 bits, rate * 8", {"learning_rate": RATE * 8}),
)


@dataclass(frozen=True)
class Run:
    """What came of it."""

    health: HealthReport
    accuracy: float


def main() -> int:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--steps", type=int, default=2_500)
    parser.add_argument("--seeds", type=int, default=3, help="of the table of scales")
    parser.add_argument("--images", type=int, default=2_000, help="test images")
    options = parser.parse_args()
    if not SHARED.is_dir():
        print("needs ../shared with models/ and data/", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as place:
        bench = _Bench(Path(place), options.steps, options.images)
        print("| scales | steps that cut | most of any gradient | accuracy of each seed |")
        print("|---|---|---|---|", flush=True)
        for variant in SCALES:
            print(_scales_row(variant, bench.runs(variant, options.seeds)), flush=True)
        print("\n| rounding of updates | lost, of any weights | of any bias | advice | accuracy |")
        print("|---|---|---|---|---|", flush=True)
        for variant in ROUNDING:
            print(_rounding_row(variant, *bench.runs(variant, 1)), flush=True)
    return 0


class _Bench:
    def __init__(self, place: Path, steps: int, images: int) -> None:
        self._place, self._steps = place, steps
        data = np.load(SHARED / "data" / "cifar10.npz")
        for part, count in (("train", None), ("test", images)):
            x, y = data[f"x_{part}"][:count], data[f"y_{part}"][:count]
            np.savez(place / f"{part}.npz", x=x, y=y.astype(np.int32))

    def runs(self, variant: Variant, seeds: int) -> list[Run]:
        """One run for each seed of the order of the samples."""
        options = {"learning_rate": RATE, **variant.options}
        product = compile_model(
            SHARED / "models" / "mcunet-5fps-int8.onnx",
            output=self._place / "model",
            mean=0.5,
            std=0.5,
            scheme=str(SCHEME),
            classes=10,
            schedule=f"cosine:{self._steps}",
            **options,
        )
        folder = open_folder(product.directory)
        source = product.directory / "src" / "tt_step.c"
        old, new = variant.change
        text = source.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"tt_step.c has no single '{old}'"
        # After the folder was checked: what is built from it is not what was compiled.
        source.write_text(text.replace(old, new), encoding="utf-8")
        engine, found = HostEngine(folder), []
        for seed in range(seeds):
            plan = plan_session(
                folder,
                data=self._place / "train.npz",
                eval=self._place / "test.npz",
                steps=self._steps,
                seed=seed,
            )
            result = summarize(folder, plan, engine.run(plan, ignore_progress), on="host")
            assert result.health is not None and result.accuracy_after is not None
            found.append(Run(result.health, result.accuracy_after))
        return found


def _scales_row(variant: Variant, runs: list[Run]) -> str:
    shares = [[g.saturated / run.health.steps for g in run.health.gradients] for run in runs]
    each = ", ".join(f"{run.accuracy:.3f}" for run in runs)
    return f"| {variant.name} | {np.mean(shares):.2%} | {np.max(shares):.2%} | {each} |"


def _rounding_row(variant: Variant, run: Run) -> str:
    lost: dict[bool, list[float]] = {True: [], False: []}
    for update in run.health.updates:
        lost[update.has_fraction].append(update.lost / max(update.seen, 1))
    spans = " | ".join(f"{min(lost[kind]):.0%} to {max(lost[kind]):.1%}" for kind in (True, False))
    advice = f"{len(run.health.losing())} lost, {len(run.health.crowded())} at an end"
    return f"| {variant.name} | {spans} | {advice} | {run.accuracy:.3f} |"


if __name__ == "__main__":
    sys.exit(main())
