"""Which learning rate suits what a scheme trains, and which options are known to fail.

The rule is that of normalised least mean squares (Nagumo and Noda 1967; Haykin, Adaptive Filter
Theory): a step that removes the share `mu` of a sample's own error converges for 0 < mu < 2. Here
mu = rate·K·h, with K from `reference.tangent` and h the largest curvature of the loss by the
outputs. docs/training.md states the criteria, and with which networks they were tried.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from tinytrain.autodiff.differentiate import Differentiate, Loss
from tinytrain.compiler.options import Options
from tinytrain.compiler.step_share import DOUBT, LIMIT, PLAIN, Aim
from tinytrain.ir.graph import Graph
from tinytrain.ir.rounding import Rounding
from tinytrain.ir.types import DType
from tinytrain.losses import LOSSES
from tinytrain.manifest.rates import GuidanceRecord
from tinytrain.reference.lowering import quantization
from tinytrain.reference.significant import rounded
from tinytrain.reference.tangent import Tangent, measure_tangent
from tinytrain.scheme.scheme import Scheme

LOST = 0.5
"""Share of the gradient that may be lost to rounding without a warning."""

DOMINANT = 10.0
"""How many times larger the suggestion would be without one layer, for a warning."""

BLIND = 0.1
"""Share of what the head reads that has to differ between samples, or nothing is learned."""

LEARNED = 0.2
"""The same for a network that has learned: below it K will grow, by orders of magnitude."""

UNLEARNED_RATE = 0.01
"""The largest rate to suggest before K has grown; the limit is four times that."""

LARGEST_RATE = 1024.0

ADAM_RATE = 0.003
"""Suggested with Adam, whose steps have the same length on every network: docs/training.md."""

ADAM_LIMIT = 0.032
"""Adam's limit: by one step every weight would move as far as weights of a trained layer reach."""

NOISE = "noise"


@dataclass(frozen=True, eq=False)
class Guidance:
    """What is known of a scheme before it trains.

    Attributes:
        tangent: measured at the weights as compiled.
        curvature: h, of the loss by its outputs.
        source: of the samples that it was measured on: `calibration samples` or `noise`.
        momentum: that steps are prolonged by.
        largest: rate that is suggested without momentum at most.
        aim: what the rate is for.
        is_adam: whether steps have the length of the rate, whatever the gradient is.
        factor: on the rate that is suggested, as the scheme asks.
    """

    tangent: Tangent
    curvature: float
    source: str
    momentum: float = 0.0
    largest: float = LARGEST_RATE
    aim: Aim = PLAIN
    is_adam: bool = False
    factor: float = 1.0

    @property
    def share(self) -> float:
        """mu of the suggested rate, at the largest curvature."""
        return self.factor * self.aim.share(self.curvature)

    @property
    def kernel(self) -> float:
        """K; 0 if no sample had a gradient."""
        return self.tangent.kernel()

    @property
    def suggested(self) -> float | None:
        """The rate to begin with, the peak of a schedule; None if nothing could be measured."""
        if self.is_adam:
            return rounded(self.factor * ADAM_RATE, 2)
        return self._suggested_for(self.kernel)

    @property
    def rehearsed(self) -> Guidance:
        """With a rehearsal set, which keeps the old task: the rate need not be small for it."""
        return replace(self, aim=replace(self.aim, keep="new"))

    @property
    def limit(self) -> float | None:
        """The rate from which on a step overshoots; None if nothing could be measured.

        A scheme may ask for more: its factor was tried, and the rate that it asks for is the limit.
        """
        plain = self._rate(LIMIT / self.aim.heaviest, self.kernel, 4.0 * self.largest)
        limit = ADAM_LIMIT if self.is_adam else plain
        return limit if limit is None or self.suggested is None else max(limit, self.suggested)

    def record(self) -> GuidanceRecord:
        """What the manifest says of it."""
        return GuidanceRecord(
            suggested_rate=self.suggested,
            rate_limit=self.limit,
            kernel=rounded(self.kernel, 3),
            curvature=self.curvature,
            share=rounded(self.share, 3),
            margin=rounded(self.aim.margin, 3),
            fresh_head=self.aim.fresh_classes > 0,
            contrast=rounded(self.tangent.contrast, 3),
            samples=self.tangent.samples,
            measured_on=self.source,
        )

    def rate_text(self, rate: float) -> str:
        """A learning rate beside the suggested one, and what that was measured on."""
        if self.suggested is None:
            return f"{rate:g}; none could be suggested"
        source = f"measured on {self.tangent.samples} {self.source}"
        if self.source == NOISE:
            source = "a guess from noise, as there are no calibration samples"
        if rate == self.suggested:
            return f"{rate:g}, as suggested ({source})"
        return f"{rate:g}; {self.suggested:g} is suggested ({source})"

    def warnings(self, rate: float, rounding: str, fraction_bits: int) -> tuple[str, ...]:
        """Plain sentences on what is known to fail.

        Args:
            rate, rounding: the learning rate, and of updates a `Rounding`.
            fraction_bits: of the tensor that gradients are added to.
        """
        found = (
            self._overshoots(rate),
            None if self.is_adam else self._dominated(),
            None if self.is_adam else self._lost(rate, rounding, fraction_bits),
            self._blind(),
        )
        return tuple(warning for warning in found if warning is not None)

    def _suggested_for(self, kernel: float) -> float | None:
        return self._rate(self.share, kernel, self.factor * self.largest)

    def _rate(self, mu: float, kernel: float, most: float) -> float | None:
        if kernel == 0.0:
            return None
        rate = mu / (kernel * self.curvature)
        rate = min(rate, most)
        return rounded(min(rate * (1.0 - self.momentum), LARGEST_RATE), 2)

    def _overshoots(self, rate: float) -> str | None:
        if self.limit is None or rate <= self.limit:
            return None
        rest = f"; {self.suggested:g} is suggested"
        what = "overshoots the error of its own sample"
        if self.is_adam:
            what = "moves every weight as far as weights reach"
        if self.momentum and not self.is_adam and rate * (1.0 - self.momentum) <= self.limit:
            longer = 1.0 / (1.0 - self.momentum)
            return (
                f"learning rate {rate:g} is above {self.limit:g}, from where on training may "
                f"diverge, because momentum {self.momentum:g} makes steps {longer:.3g} times as "
                f"long{rest}"
            )
        return (
            f"learning rate {rate:g} is above {self.limit:g}, from where on a step {what} and "
            f"training may diverge{rest}"
        )

    def _dominated(self) -> str | None:
        *layers, _ = self.tangent.kernels.items()  # the head always trains
        if not layers or self.suggested is None:
            return None
        layer = max(layers, key=lambda entry: float(np.median(entry[1])))[0]
        rest = self._suggested_for(self.tangent.kernel(without=layer))
        if rest is None or rest < DOMINANT * self.suggested:
            return None
        return (
            f"layer '{layer}' alone keeps the suggested learning rate at {self.suggested:g}; the "
            f"others could take {rest:g}: leave '{layer}' out of the scheme, or give it a smaller "
            "rate of its own in [rates]"
        )

    def _lost(self, rate: float, rounding: str, fraction_bits: int) -> str | None:
        lost = self.tangent.lost(rate, fraction_bits)
        if rounding != Rounding.NEAREST or lost <= LOST or rate == 0.0:
            return None
        return (
            f"{lost:.0%} of the gradient is lost at learning rate {rate:g}, as nearest rounding "
            f"with {fraction_bits} fraction bits drops updates below half a unit: take stochastic "
            "rounding or more fraction bits"
        )

    def _blind(self) -> str | None:
        contrast = self.tangent.contrast
        # Noise looks the same to any network behind a pooling over its whole map.
        if self.source == NOISE or self.tangent.samples < 2 or contrast >= BLIND:
            return None
        return (
            f"only {contrast:.1%} of what the head reads differs between samples, which is known "
            "not to learn, as in a deep network without normalisation from random weights: train "
            "or initialise it better (He et al. 2015), or prepare the samples as it expects them"
        )


def guide(
    graph: Graph,
    loss: str,
    samples: np.ndarray | None,
    seed: int,
    *,
    rates: Mapping[str, float] | None = None,
    qas: bool = True,
    momentum: float = 0.0,
    aim: Aim = PLAIN,
) -> Guidance:
    """Measures what a scheme trains.

    Args:
        graph: s8 forward graph with parameters, from `SelectTrainable`.
        loss: a name of `LOSSES`.
        samples: s8 [N,...]; noise where there are none.
        seed: of noise and targets.
        rates: factors on the learning rate by layer; 1 for those that it leaves out.
        qas: with quantization-aware scaling.
        momentum: share of a velocity that the next step keeps.
        aim: what the rate is for; how certain the network is is found here.
    """
    training = Differentiate(Loss(loss), DType.F32, bool(graph.parameters))(graph)
    producers = training.producers()
    factors = {}
    for trained, sums in training.gradients.items():
        scale = quantization(trained).scales(trained.type.shape[0])
        # Without it a step moves the integer by its own gradient, the real one times the scale.
        factor = np.ones_like(scale) if qas else np.square(scale)
        factors[trained] = factor * (rates or {}).get(producers[sums[0]].layer, 1.0)
    tangent = measure_tangent(training, factors, samples, seed)
    assert training.target is not None
    curvature = LOSSES[loss].curvature(training.target.type.size)
    source = NOISE if samples is None else "calibration samples"
    # Without QAS a rate is in other units, and nothing is known of what is too large at first.
    largest = UNLEARNED_RATE if qas and tangent.contrast < LEARNED else LARGEST_RATE
    if samples is not None:  # noise says nothing of how certain a network is
        classes = training.outputs[1].type.size if tangent.doubt >= DOUBT else aim.fresh_classes
        aim = replace(aim, fresh_classes=classes, margin=tangent.margin)
    return Guidance(tangent, curvature, source, momentum, largest, aim)


def guidance_for(
    graph: Graph, scheme: Scheme, options: Options, samples: np.ndarray | None
) -> Guidance:
    """What is known of a graph from `select_trainable`, measured on s8 samples or on noise."""
    found = guide(
        graph,
        options.objective.kind,
        samples,
        options.seed,
        rates=scheme.rates,
        qas=options.qas,
        momentum=options.momentum,
        aim=options.aim,
    )
    return replace(found, is_adam=options.optimizer == "adam", factor=scheme.rate)
