"""The yardsticks of the integer rule: the same network with float weights, in PyTorch.

`float-masters` computes the forward pass of the device over rounded float32 masters, with f32
gradients: what the integer rule would be if weights were float. `float` has no quantization at all:
what fine-tuning in PyTorch would give.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tinytrain.compiler.compiled import Compiled
from tinytrain.compiler.options import Options
from tinytrain.errors import UsageError
from tinytrain.experiments.baseline.torch_convolution import Motion
from tinytrain.experiments.baseline.torch_float import FloatArithmetic
from tinytrain.experiments.baseline.torch_masters import MasterArithmetic
from tinytrain.experiments.baseline.torch_network import Arithmetic, Network
from tinytrain.experiments.frozen import frozen_identity, shared_rows
from tinytrain.experiments.learner import RateOf, Samples, Score
from tinytrain.reference.class_weights import balanced_weight, count_class, initial_counts

Tensor = Any

MODES = ("float-masters", "float")
FROZEN_MEMORY = 2 * 2**30
"""Bytes of the frozen-activation cache of a learner's training samples at most."""

_EVALUATED = 64
"""Samples that are evaluated at once."""

_FROZEN = 8
"""Samples that go through the frozen layers at once: few, so that large maps stay in cache."""


class FloatLearner:
    """A `Learner` that runs in PyTorch, on one thread.

    Trains what the update scheme trains, by SGD, with the label smoothing, the class weights, the
    weight decay and the rates of single layers that the model was compiled with. `train` takes
    `batch` entries of the order for each update, the last one what is left over; a rate is that of
    a batch's first sample. An update whose loss is not finite is left out, as on the device.
    PyTorch is set to one thread in this process: an experiment spreads its runs over the cores.

    Args:
        compiled: with cross-entropy loss and no clipping.
        samples: as the model takes them.
        rate_of: rate of a step, that is of a sample.
        seed: nothing is drawn at random.
        mode: one of `MODES`.
        qas: with `float-masters`, whether gradients are those of the real weights; if not, the
            masters move by the gradient of the integers, as without quantization-aware scaling.
        batch: samples of an update, whose mean gradient is taken.
        momentum: 0 to 1, as `torch.optim.SGD` has it.
        frozen_memory: bytes of the frozen-activation cache, a file that is mapped to memory;
            samples beyond go through the frozen layers in every step.
        samples_key: cache key of the inputs of `samples`.
        cache: folder where these files are shared with other runs; None keeps them to oneself.

    What `qas`, `batch` and `momentum` do not say (None) is taken from the options of `compiled`:
    `qas`, `accumulate` and `momentum`.

    Raises:
        UsageError: a setting is out of range, or the model was compiled with an option that has no
            counterpart here.
    """

    # house(parameters): each is a choice that an experiment compares
    def __init__(
        self,
        compiled: Compiled,
        samples: Samples,
        rate_of: RateOf,
        seed: int,
        *,
        mode: str = "float-masters",
        qas: bool | None = None,
        batch: int | None = None,
        momentum: float | None = None,
        frozen_memory: int = FROZEN_MEMORY,
        samples_key: str = "",
        cache: Path | None = None,
    ) -> None:
        options = compiled.options
        qas = options.qas if qas is None else qas
        batch = options.accumulate if batch is None else batch
        momentum = options.momentum if momentum is None else momentum
        _check(options, mode, qas, batch, momentum)
        torch.set_num_threads(1)
        arithmetic: Arithmetic = FloatArithmetic() if mode == "float" else MasterArithmetic(qas=qas)
        self._rate_of = rate_of
        self._batch = batch
        self._motion = Motion(momentum, options.weight_decay)
        self._smoothing = options.label_smoothing
        self._weights = options.objective.class_weights
        self._counts = initial_counts(compiled.graph)
        self._steps = 0
        with torch.no_grad():
            self.network = Network(compiled.graph, arithmetic)
            self._train, self._test = (
                _Frozen(self.network, arithmetic, x, frozen_memory)
                for x in (samples.train_x, samples.test_x)
            )
            if cache is not None:
                layers = f"{mode}-{frozen_identity(compiled)}-{samples_key}"
                self._train.share(cache, f"{layers}-train")
                self._test.share(cache, f"{layers}-test")
        self._train_y = torch.from_numpy(np.asarray(samples.train_y).astype(np.int64))
        self._test_y = torch.from_numpy(np.asarray(samples.test_y).astype(np.int64))

    def train(self, order: np.ndarray) -> np.ndarray:
        """See `Learner`. The loss of a sample is that before the update of its batch."""
        losses = np.empty(len(order), np.float32)
        with torch.no_grad():
            self._train.prepare(order)
            for start in range(0, len(order), self._batch):
                chosen = order[start : start + self._batch]
                losses[start : start + len(chosen)] = self._step(chosen)
        return losses

    def _step(self, chosen: np.ndarray) -> np.ndarray:
        losses = self.gradients(chosen)
        if np.isfinite(losses).all():
            rate = self._rate_of(self._steps)
            for layer in self.network.layers:
                layer.update(rate, self._motion)
            if self._counts is not None:
                for label in self._train_y[chosen].tolist():
                    count_class(self._counts, label)
        self._steps += len(chosen)
        return losses

    def gradients(self, chosen: np.ndarray) -> np.ndarray:
        """Leaves in every trained layer the mean gradient of some samples; their losses."""
        with torch.no_grad():
            logits = self.network.forward(self._train.of(chosen))
            labels = self._train_y[chosen][:, None]
            logs = torch.log_softmax(logits, dim=1)
            # The target is `on + off` at the label and `off` elsewhere.
            on, off = 1.0 - self._smoothing, self._smoothing / logits.shape[1]
            losses = logs.gather(1, labels)[:, 0].mul_(-on)
            slopes = logs.exp()
            slopes.scatter_add_(1, labels, torch.full(labels.shape, -on))
            if self._smoothing:
                losses.sub_(logs.sum(1), alpha=off)
                slopes.sub_(off)
            if self._weights is not None:
                weights = torch.from_numpy(self._weights_of(labels[:, 0].tolist()))
                losses.mul_(weights)
                slopes.mul_(weights[:, None])
            self.network.backward(slopes.div_(len(chosen)))
            found: np.ndarray = losses.numpy()
            return found

    def _weights_of(self, labels: list[int]) -> np.ndarray:
        """What samples count for, float32 [n]; where that is counted, each after the other."""
        if self._counts is None:
            weights = np.array(self._weights, np.float32)
            chosen: np.ndarray = weights[labels]
            return chosen
        counts, found = self._counts.copy(), []
        for label in labels:
            found.append(balanced_weight(counts, label))
            count_class(counts, label)
        return np.array(found, np.float32)

    def evaluate(self) -> Score:
        """See `Learner`."""
        count = len(self._test_y)
        losses, predictions = np.empty(count), np.empty(count, np.int64)
        with torch.no_grad():
            self._test.prepare(np.arange(count))
            for start in range(0, count, _EVALUATED):
                chosen = np.arange(start, min(start + _EVALUATED, count))
                logits = self.network.forward(self._test.of(chosen))
                labels = self._test_y[chosen]
                predictions[chosen] = logits.argmax(dim=1).numpy()
                logs = torch.log_softmax(logits.double(), dim=1)
                losses[chosen] = -logs.gather(1, labels[:, None])[:, 0].numpy()
        return Score(self._test_y.numpy(), losses, predictions)


class _Frozen:
    """The outputs of the frozen layers for each sample, computed once and cached in a file."""

    def __init__(
        self, network: Network, arithmetic: Arithmetic, x: np.ndarray, memory: int
    ) -> None:
        self._network = network
        self._x = x
        self._known = np.zeros(len(x), bool)
        size = sum(value.type.size for value in network.frozen_outputs)
        dtype = torch.empty(0, dtype=arithmetic.stored).numpy().dtype
        count = min(len(x), memory // (size * dtype.itemsize)) if network.has_frozen else 0
        # A file without a name: it goes with the process, and only what is used takes memory.
        with tempfile.TemporaryFile() as file:
            self._activations: np.ndarray = np.memmap(
                file, dtype, "w+", shape=(max(count, 1), size)
            )
        self._count = count

    def share(self, cache: Path, key: str) -> None:
        """Takes what another run with the same layers has computed, or computes it for all.

        Args:
            key: names layers and samples; nothing else may have the same.
        """
        if self._count < len(self._x):
            return

        def chunks() -> Iterator[np.ndarray]:
            for start in range(0, self._count, _FROZEN):
                yield self._network.frozen(self._x[start : start + _FROZEN]).numpy()

        self._activations = shared_rows(
            chunks, self._activations.dtype, self._activations.shape, key, cache
        )
        self._known[:] = True

    def prepare(self, order: np.ndarray) -> None:
        """Computes what is missing of the samples that `order` names."""
        wanted = np.unique(order)
        wanted = wanted[wanted < self._count]
        missing = wanted[~self._known[wanted]]
        for start in range(0, len(missing), _FROZEN):
            chosen = missing[start : start + _FROZEN]
            self._activations[chosen] = self._network.frozen(self._x[chosen]).numpy()
            self._known[chosen] = True

    def of(self, chosen: np.ndarray) -> Tensor:
        """Of some samples, in their order."""
        if self._known[chosen].all():
            return torch.from_numpy(self._activations[chosen])
        return self._network.frozen(self._x[chosen])


def _check(options: Options, mode: str, qas: bool, batch: int, momentum: float) -> None:
    if mode not in MODES:
        raise UsageError(f"mode '{mode}' is unknown", help=f"use {' or '.join(MODES)}")
    if mode == "float" and not qas:
        raise UsageError(
            "'float' has no integers whose gradient could be taken",
            help="leave qas as it is, or use float-masters",
        )
    # From a file they may be of any type, and a bool is an int.
    if not isinstance(qas, bool):
        raise UsageError(f"qas is {qas!r}", help="use true or false")
    if not isinstance(batch, int) or isinstance(batch, bool) or batch < 1:
        raise UsageError(f"a batch of {batch!r} samples", help="use a whole number from 1 on")
    if isinstance(momentum, bool) or not 0.0 <= momentum < 1.0:
        raise UsageError(f"momentum {momentum!r} is not between 0 and 1", help="use 0.9, say")
    if options.loss != "cross_entropy":
        raise UsageError(
            f"float baselines know cross_entropy only, not {options.loss}",
            help="compile with --loss cross_entropy, or with a fresh head",
        )
    if options.clip_norm is not None:
        raise UsageError("float baselines clip no gradient", help="leave clip_norm out for them")
