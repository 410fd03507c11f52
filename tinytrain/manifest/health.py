"""What the manifest says of the health counters: whose they are."""

from __future__ import annotations

from dataclasses import dataclass

from tinytrain.manifest.schema import Count, Positive


@dataclass(frozen=True, kw_only=True)
class GradientCounterRecord:
    """A gradient whose health is counted.

    Attributes:
        name: node that computes it.
        layer: layer of the node.
    """

    name: str
    layer: str


@dataclass(frozen=True, kw_only=True)
class UpdateCounterRecord:
    """A trained tensor whose updates are counted.

    Attributes:
        name: such as "weights of conv_3".
        layer: layer of the tensor.
        elements: number of elements.
        at_end: elements at an end of their range before training.
        is_logits: whether its layer gives the logits.
    """

    name: str
    layer: str
    elements: Positive
    at_end: Count
    is_logits: bool


@dataclass(frozen=True, kw_only=True)
class HealthRecord:
    """Meaning of the health counters, in the order of the C API.

    Attributes:
        gradients: gradients that have counters.
        updates: trained tensors that have counters.
        classes: number of classes that have counters; 0 where none have.
    """

    gradients: tuple[GradientCounterRecord, ...]
    updates: tuple[UpdateCounterRecord, ...]
    classes: Count
