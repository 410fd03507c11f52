"""A fresh head that learns a few samples, against descent in double precision."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.graphs import GRAPHS
from tinytrain.autodiff.differentiate import Loss
from tinytrain.choosing.fisher import measure_worth
from tinytrain.choosing.learned_head import PASSES, RATE, learn_head
from tinytrain.ir.graph import Graph
from tinytrain.ir.types import DType
from tinytrain.passes.dense_to_conv import DenseToConv
from tinytrain.passes.replace_head import ReplaceHead
from tinytrain.passes.select_trainable import weighted_layers
from tinytrain.reference.interpret import run_forward
from tinytrain.reference.lowering import quantization, zero_of

CLASSES = 4
LOSS = Loss("cross_entropy")


@pytest.fixture(scope="module")
def given() -> tuple[Graph, np.ndarray, np.ndarray]:
    """A network with a fresh head, and samples of four classes that differ by their mean."""
    forward = GRAPHS["convolutions"]()
    rng = np.random.default_rng(5)
    y = np.arange(24, dtype=np.int32) % CLASSES
    x = rng.normal(0, 40, (len(y), *forward.inputs[0].type.shape[1:]))
    x[..., 0] += 60 * (y % 2)[:, None, None] - 30
    x[..., 1] += 60 * (y // 2)[:, None, None] - 30
    return forward, np.clip(np.rint(x), -128, 127).astype(np.int8), y


def in_doubles(graph: Graph, x: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
    """How far the loss falls, and the logits of all samples in the end."""
    head = next(n for n in graph.nodes if n.layer == weighted_layers(graph)[-1])
    features, w = head.inputs[:2]
    scale = quantization(w).scales(CLASSES)[:, None]
    weights = graph.constants[w].reshape(CLASSES, -1) * scale
    bias = np.zeros(CLASSES)
    f = []
    for sample in x:
        known = run_forward(graph, {graph.inputs[0].name: sample[None]})[features]
        f.append(
            (known.ravel().astype(float) - zero_of(features)) * quantization(features).scale[0]
        )
    f = np.array(f)

    def error(k: int) -> np.ndarray:
        z = f[k] @ (np.rint(weights / scale) * scale).T + bias
        p = np.exp(z - z.max())
        return p / p.sum() - np.eye(CLASSES)[y[k]]

    def loss() -> float:
        return float(np.mean([-np.log(1 + error(k)[y[k]]) for k in range(len(y))]))

    before = loss()
    energy = np.mean([np.sum(error(k) ** 2) * (np.sum(f[k] ** 2) + 1) for k in range(len(y))])
    for left in range(PASSES, 0, -1):
        for k in range(len(y)):
            step = RATE / energy * left / PASSES * error(k)
            weights = weights - np.outer(step, f[k])
            bias = bias - step
    return before - loss(), f @ (np.rint(weights / scale) * scale).T + bias


def test_it_learns_as_in_doubles(given: tuple[Graph, np.ndarray, np.ndarray]) -> None:
    forward, x, y = given
    graph = ReplaceHead(CLASSES, 0)(DenseToConv()(forward))
    learned, fallen = learn_head(graph, x, y, LOSS, DType.S8, 0)
    wanted, logits = in_doubles(graph, x, y)
    assert fallen == pytest.approx(wanted, rel=0.01) and fallen > 0.05
    changed = [v for v, held in graph.constants.items() if (held != learned.constants[v]).any()]
    head = next(n for n in graph.nodes if n.layer == weighted_layers(graph)[-1])
    assert set(changed) == set(head.inputs[1:]), "the head alone, its bias, too"
    output = graph.outputs[0]
    found = [
        run_forward(learned, {graph.inputs[0].name: one[None]})[output].ravel() for one in x
    ] * quantization(output).scales(CLASSES)
    assert np.corrcoef(found.ravel(), logits.ravel())[0, 1] > 0.99


def test_what_cannot_be_learned_leaves_the_head(
    given: tuple[Graph, np.ndarray, np.ndarray],
) -> None:
    """One sample under every label: the loss does not fall, whatever is learned."""
    forward, x, y = given
    graph = ReplaceHead(CLASSES, 0)(DenseToConv()(forward))
    same = np.repeat(x[:1], len(y), axis=0)
    known = np.log(CLASSES)
    learned, fallen = learn_head(graph, same, y, LOSS, DType.S8, 0)
    assert (learned is graph and fallen == 0.0) or fallen < 0.5 * known


def test_other_layers_have_larger_gradients_then(
    given: tuple[Graph, np.ndarray, np.ndarray],
) -> None:
    """Of the energy of all layers the head's own share falls."""
    forward, x, y = given
    share = []
    for learned in (False, True):
        found = measure_worth(forward, x, y, loss=LOSS, classes=CLASSES, learned=learned)
        energies = {layer: sum(both) for layer, both in found.spread.items()}
        share.append(energies[list(energies)[-1]] / sum(energies.values()))
        assert (found.fallen > 0.0) is learned
    assert share[1] < share[0]
    kept = [measure_worth(forward, x, y % 5, loss=LOSS, learned=learned) for learned in (0, 1)]
    assert kept[0].spread == kept[1].spread, "a head that is kept learns nothing first"
