"""How fast the host simulation trains, beside PyTorch on the same machine; `make bench-host`.

    .venv/bin/python -m bench.host_speed [--steps N] [--rounds N]

MCUNet-5FPS, the update scheme of 100 KB, batch 1, data that repeats, so that the layers before the
first one that trains are computed once for each sample and kept, on both sides. tinytrain runs one
thread and counts everything that a session does, reading samples and reporting losses included.
PyTorch trains the same layers in float, with the best of one or two threads and of its two memory
formats; layers that we train in part it trains whole, because a part would cost it more. Each
figure is the best of the rounds, which take turns: a machine is never quite idle. Needs
`../shared/models`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from rich.console import Console
from rich.table import Table

from tinytrain.compiler.compile import compile_model
from tinytrain.compiler.folder import Product
from tinytrain.emit.frozen import frozen_part
from tinytrain.ir.graph import Graph, Node, Value
from tinytrain.ir.operations import loss_index
from tinytrain.reference.lowering import quantization, scale_of, zero_of
from tinytrain.simulation.session import simulate

ROOT = Path(__file__).resolve().parent.parent
MODEL = ROOT.parent / "shared" / "models" / "mcunet-5fps-int8.onnx"
SCHEME = ROOT / "examples" / "schemes" / "mcunet-5fps-100kb.toml"
CLASSES = 10
SAMPLES = 16
THREADS = (1, 2)


class FloatModel:
    """The forward pass of a compiled graph in float, by PyTorch.

    Args:
        graph: a training graph whose forward part is convolutions, additions and mean pooling.
        frozen: how many of its nodes are computed once for each sample.
    """

    def __init__(self, graph: Graph, frozen: int, memory_format: torch.memory_format) -> None:
        self._format = memory_format
        self._producers = graph.producers()
        loss = loss_index(graph)
        self._frozen, self._rest = graph.nodes[:frozen], graph.nodes[frozen:loss]
        self._input, self._logits = graph.inputs[0], graph.nodes[loss].inputs[0]
        held = {**graph.constants, **graph.parameters}
        self._values: dict[Value, torch.Tensor] = {}
        self.trained: list[torch.Tensor] = []
        for node in graph.nodes[:loss]:
            if node.op != "conv2d":
                continue
            _, w, b = node.inputs
            parts = self._producers[w].inputs if w in self._producers else (w,)
            weights = np.zeros(w.type.shape, np.float32)
            if len(parts) == 1:
                weights[:] = held[w]
            else:
                chosen = self._producers[w].attrs["channels"]
                others = sorted(set(range(w.type.shape[3])) - set(chosen))
                weights[..., chosen], weights[..., others] = (held[part] for part in parts)
            scale = np.array(quantization(w).scale, np.float32)
            real = weights * scale[:, None, None, None]
            bias = held[b] * scale * np.float32(scale_of(node.inputs[0]))
            trains = any(part in graph.parameters for part in parts)
            self._keep(w, np.ascontiguousarray(real.transpose(0, 3, 1, 2)), trains)
            self._keep(b, bias.astype(np.float32), b in graph.parameters)

    def _keep(self, value: Value, array: np.ndarray, trains: bool) -> None:
        tensor = torch.from_numpy(array)
        if tensor.ndim == 4:
            tensor = tensor.contiguous(memory_format=self._format)
        tensor.requires_grad_(trains)
        self._values[value] = tensor
        if trains:
            self.trained.append(tensor)

    def frozen(self, x: np.ndarray) -> dict[Value, torch.Tensor]:
        """What the frozen layers give for a sample, float32 [1, C, H, W]."""
        with torch.no_grad():
            start = torch.from_numpy(x).contiguous(memory_format=self._format)
            found = self._run(self._frozen, {self._input: start})
            used = {value for node in self._rest for value in node.inputs}
            return {value: tensor for value, tensor in found.items() if value in used}

    def logits(self, kept: dict[Value, torch.Tensor]) -> torch.Tensor:
        """From what `frozen` gave to the logits, [1, classes]."""
        return self._run(self._rest, dict(kept))[self._logits].reshape(1, -1)

    def _run(
        self, nodes: tuple[Node, ...], found: dict[Value, torch.Tensor]
    ) -> dict[Value, torch.Tensor]:
        for node in nodes:
            if node.op == "conv2d":
                found[node.output] = self._convolution(node, found[node.inputs[0]])
            elif node.op == "add":
                found[node.output] = found[node.inputs[0]] + found[node.inputs[1]]
            elif node.op == "avg_pool2d":
                found[node.output] = found[node.inputs[0]].mean((2, 3), keepdim=True)
            elif node.op in ("dequantize", "reshape"):
                found[node.output] = found[node.inputs[0]]
            elif node.op not in ("clamp_mask", "gather_channels", "merge_channels"):
                raise NotImplementedError(f"no float form of {node.op}")
        return found

    def _convolution(self, node: Node, x: torch.Tensor) -> torch.Tensor:
        top, left, bottom, right = node.attrs["padding"]
        if (top, left) != (bottom, right):
            x, top, left = F.pad(x, (left, right, top, bottom)), 0, 0
        w, b = (self._values[value] for value in node.inputs[1:])
        y = F.conv2d(
            *(x, w, b, node.attrs["strides"], (top, left)),
            *(node.attrs.get("dilation", (1, 1)), node.attrs["groups"]),
        )
        out = node.output
        lo, hi = node.attrs["clamp"]
        if out.type.dtype.value != "s8" or zero_of(out) != lo:
            return y
        # The clamp begins at zero: an activation.
        return torch.clamp(y, 0.0, float(scale_of(out)) * (hi - lo))


def main() -> int:
    """Print both speeds; 2 if the model is not there."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=200, help="that are timed in a round")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    if not MODEL.is_file():
        print("needs ../shared with models/", file=sys.stderr)
        return 2
    version = torch.__version__.split("+")[0]
    with tempfile.TemporaryDirectory(prefix="tinytrain-") as place:
        product = compile_model(
            MODEL, output=Path(place) / "model", target="host", scheme=str(SCHEME), classes=CLASSES
        )
        rng = np.random.default_rng(0)
        x = rng.normal(size=(SAMPLES, 3, 128, 128)).astype(np.float32)
        y = np.arange(SAMPLES) % CLASSES
        data = Path(place) / "data.npz"
        np.savez(data, x=x, y=y)
        sides: dict[str, Callable[[], float]] = {
            "tinytrain, s8, 1 thread": lambda: _session(product, data, options.steps),
            f"PyTorch {version}, float, 1 or 2 threads": lambda: min(
                _torch(product, x, y, options.steps, layout, threads)
                for layout in (torch.contiguous_format, torch.channels_last)
                for threads in THREADS
            ),
        }
        best = dict.fromkeys(sides, float("inf"))
        for _ in range(options.rounds):
            for name, measure in sides.items():
                best[name] = min(best[name], measure())
    table = Table("", "ms a step", "steps a second", title="MCUNet-5FPS, 100 KB scheme, batch 1")
    for name, seconds in best.items():
        table.add_row(name, f"{1000 * seconds:.2f}", f"{1 / seconds:.0f}")
    Console().print(table)
    ours, theirs = best.values()
    print(f"tinytrain trains {theirs / ours:.2f} times as fast")
    return 0


def _session(product: Product, data: Path, steps: int) -> float:
    """Seconds a step once every sample was seen."""
    times: list[float] = []

    def note(stage: str, done: int, total: int, text: str) -> None:
        if stage == "train":
            times.append(time.perf_counter())

    simulate(product.directory, data=data, steps=2 * SAMPLES + steps, progress=note)
    return (times[-1] - times[2 * SAMPLES - 1]) / steps


def _torch(
    product: Product,
    x: np.ndarray,
    y: np.ndarray,
    steps: int,
    layout: torch.memory_format,
    threads: int,
) -> float:
    """Seconds a step of plain SGD."""
    torch.set_num_threads(threads)
    graph, plan = product.compiled.graph, product.compiled.plan
    loss = loss_index(graph)
    model = FloatModel(graph, frozen_part(graph, plan, graph.nodes[:loss]).nodes, layout)
    optimizer = torch.optim.SGD(model.trained, lr=1e-4)
    kept = [model.frozen(sample[None]) for sample in x]
    labels = [torch.tensor([int(label)]) for label in y]

    def step(index: int) -> None:
        optimizer.zero_grad()
        F.cross_entropy(model.logits(kept[index % SAMPLES]), labels[index % SAMPLES]).backward()
        optimizer.step()

    for index in range(2 * SAMPLES):
        step(index)
    start = time.perf_counter()
    for index in range(steps):
        step(index)
    return (time.perf_counter() - start) / steps


if __name__ == "__main__":
    sys.exit(main())
