"""What the state holds of the convolutions that follow drift."""

from __future__ import annotations

from dataclasses import dataclass

from tinytrain.emit.replay import StateField
from tinytrain.ir.graph import Graph, Node
from tinytrain.manifest.follow import FollowRecord

FOLLOW_FIELDS = ("follow_moments", "follow_samples", "follow_bias", "follow_multiplier")
"""Names in the state that no parameter may have."""

_MOMENTS_BYTES = 8
_FOLLOWING_BYTES = 8
"""The bias and the multiplier of a channel."""


@dataclass(frozen=True)
class FollowedLayer:
    """A convolution that follows drift.

    Attributes:
        name: of the layer.
        offset: of its first channel among those of all such layers.
        channels: how many it has.
    """

    name: str
    offset: int
    channels: int


@dataclass(frozen=True)
class Following:
    """All convolutions of a model that follow drift, in execution order."""

    layers: tuple[FollowedLayer, ...]

    @classmethod
    def of(cls, graph: Graph) -> Following | None:
        """None where nothing follows."""
        layers: list[FollowedLayer] = []
        for node in graph.nodes:
            if "follow" in node.attrs and node.name not in graph.rematerialized:
                offset = layers[-1].offset + layers[-1].channels if layers else 0
                layers.append(FollowedLayer(node.layer, offset, len(node.attrs["follow"])))
        return cls(tuple(layers)) if layers else None

    @property
    def channels(self) -> int:
        """Of all layers."""
        return sum(layer.channels for layer in self.layers)

    def offset(self, node: Node) -> int:
        """Of a layer's first channel."""
        return next(layer.offset for layer in self.layers if layer.name == node.layer)

    @property
    def field(self) -> StateField:
        """What the state holds of it and a saved file too."""
        return StateField(
            "follow_moments", "int32_t", 2 * self.channels, _MOMENTS_BYTES * self.channels
        )

    @property
    def ram_bytes(self) -> int:
        """What it adds to the state."""
        return self.samples_field.nbytes + (_MOMENTS_BYTES + _FOLLOWING_BYTES) * self.channels

    @property
    def samples_field(self) -> StateField:
        """How many samples were taken in; it is saved behind the moments."""
        return StateField("follow_samples", "uint32_t", 1, 4)

    def record(self) -> FollowRecord:
        """What the manifest says of it."""
        return FollowRecord(
            layers=tuple(layer.name for layer in self.layers),
            channels=self.channels,
            ram=self.ram_bytes,
        )
