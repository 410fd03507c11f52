"""A network learns the world that it finds: as the device does it, and in float beside it.

Both take the same samples in the same order at batch 1, train all weights and biases, and follow a
cosine from the same rate: of `MULTIPLES` of the one that removes half of a sample's error a step,
the one that suits training in float best, on a quarter of what there is to learn, having learned
the rest, with the first seed.
"""

from __future__ import annotations

import inspect
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from bench.networks import learning, store
from bench.networks.catalogue import Row
from bench.networks.objectives import Objective
from bench.networks.worlds import Samples, World
from tinytrain.compiler.compile import compile_model
from tinytrain.compiler.folder import Product
from tinytrain.simulation.result import SimulationResult
from tinytrain.simulation.session import simulate
from tinytrain.simulation.stream import training_order

SEEDS = (0, 1, 2)
MULTIPLES = (1 / 3, 1.0, 3.0)
CALIBRATION = 256
HERE = Path(__file__).parent
Learn = Callable[[Samples, Samples, float], tuple[float, float]]
"""From samples to learn from, samples to be judged by, and a rate to the score before and after."""


@dataclass(frozen=True)
class Personalised:
    """What one seed gave: scores before and after, in float and of the device.

    Attributes:
        suggested: the rate that removes half of a sample's error in a step.
        rate: the one that both took.
    """

    suggested: float
    rate: float
    float_before: float
    float_after: float
    device_before: float
    device_after: float


def network_of(row: Row, world: World, seed: int) -> nn.Module:
    """The network as it ships, trained on the old world."""

    def train() -> nn.Module:
        return learning.train(row.make, world.factory, row.objective, epochs=row.epochs, seed=seed)

    decides = (_digest(world.factory), _text(row.make()), row.epochs, seed, row.objective.loss)
    return store.kept_network(f"{row.key}-{seed}", decides, row.make, train)


def _text(network: nn.Module) -> str:
    """What a network and its training are, as far as this folder says it."""
    kinds = {type(module) for module in network.modules()}
    own = [kind for kind in kinds if kind.__module__.startswith(__package__)]
    sources = sorted(inspect.getsource(what) for what in (*own, learning.train))
    return "\n".join((str(network), *sources))


def compiled(
    row: Row, network: nn.Module, world: World, output: Path, *, target: str = "host", seed: int = 0
) -> Product:
    """The network as a folder of C that trains all of it."""
    every = slice(None, None, max(1, len(world.factory) // CALIBRATION))
    example = tuple(torch.from_numpy(x[:1]) for x in world.factory.inputs)
    return compile_model(
        network,
        example,
        output=output,
        target=target,
        calibration=learning.write(
            replace(world.factory.part(every), y=None), output.with_suffix(".npz")
        ),
        scheme="full",
        loss=row.objective.loss,
        schedule=f"cosine:{max(row.steps, 1)}",
        seed=seed,
        rate_limit=1024.0,
    )


def personalise(row: Row, seeds: Sequence[int] = SEEDS) -> list[Personalised]:
    """One network, trained and personalised with each seed."""
    world = row.world()
    found: list[Personalised] = []
    rate: float | None = None
    for seed in seeds:
        network = network_of(row, world, seed)
        with tempfile.TemporaryDirectory(prefix="tinytrain-") as place:
            product = compiled(row, network, world, Path(place) / "model", seed=seed)
            in_float = _in_float(row, network, seed)
            guidance = product.manifest.guidance
            suggested = float(f"{0.5 / (guidance.kernel * guidance.curvature):.2g}")
            if rate is None:
                rate = best_rate(in_float, world.learn, suggested, row.objective)
            scores = [
                learn(world.learn, world.judge, rate)
                for learn in (in_float, _on_device(row, product, seed))
            ]
        found.append(Personalised(suggested, rate, *scores[0], *scores[1]))
    return found


def best_rate(learn: Learn, samples: Samples, suggested: float, objective: Objective) -> float:
    """Of multiples of that rate the best on samples held out; of equals the largest.

    Raises:
        ValueError: with none of them the scores are finite.
    """
    order = np.random.RandomState(0).permutation(len(samples))
    cut = 3 * len(samples) // 4
    rest, held_out = samples.part(order[:cut]), samples.part(order[cut:])
    best: tuple[float, float] | None = None
    for multiple in MULTIPLES:
        rate = min(multiple * suggested, 1024.0)
        _, after = learn(rest, held_out, rate)
        if np.isfinite(after) and (best is None or not objective.is_better(best[1], after)):
            best = rate, after
    if best is None:
        raise ValueError(f"nothing is learned at {suggested:g} or near it")
    return best[0]


def _in_float(row: Row, network: nn.Module, seed: int) -> Learn:
    weights = b"".join(v.numpy().tobytes() for v in network.state_dict().values())

    def learn(samples: Samples, judge: Samples, rate: float) -> tuple[float, float]:
        def find() -> tuple[float, float]:
            tuned = learning.fine_tune(
                network,
                samples,
                row.objective,
                training_order(len(samples), row.steps, seed),
                rate=rate,
                schedule=f"cosine:{row.steps}",
            )
            before, after = (learning.score(one, judge, row.objective) for one in (network, tuned))
            return before, after

        decides = (weights, _digest(samples), _digest(judge), row.steps, rate, seed)
        before, after = store.kept(f"{row.key}-float", decides, find)
        return before, after

    return learn


def _on_device(row: Row, product: Product, seed: int) -> Learn:
    code = store.sources(product.directory, "*.c", "*.h", "*.bin")

    def learn(samples: Samples, judge: Samples, rate: float) -> tuple[float, float]:
        def find() -> tuple[float, float]:
            with tempfile.TemporaryDirectory(prefix="tinytrain-") as place:
                result = simulate(
                    product.directory,
                    data=learning.write(samples, Path(place) / "learn.npz"),
                    eval=learning.write(judge, Path(place) / "judge.npz"),
                    steps=row.steps,
                    seed=seed,
                    learning_rate=rate,
                )
            return scores_of(result)

        decides = (code, _digest(samples), _digest(judge), row.steps, rate, seed)
        before, after = store.kept(f"{row.key}-device", decides, find)
        return before, after

    return learn


def scores_of(result: SimulationResult) -> tuple[float, float]:
    """Before and after: accuracies, or the mean squared errors of a regression."""
    if result.accuracy_before is not None and result.accuracy_after is not None:
        return result.accuracy_before, result.accuracy_after
    assert result.mse_before is not None and result.mse_after is not None
    return result.mse_before, result.mse_after


def _digest(samples: Samples) -> str:
    y = b"" if samples.y is None else samples.y.tobytes()
    return store.digest((*(x.tobytes() for x in samples.inputs), y))
