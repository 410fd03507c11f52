"""Convolutions that follow drift: their constants and their calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tinytrain.emit.calls_convolution import convolution_call
from tinytrain.emit.context import EmitContext
from tinytrain.emit.follow_fields import Following
from tinytrain.emit.replay import StateField
from tinytrain.errors import InternalError
from tinytrain.ir.graph import Node
from tinytrain.reference.follow import FollowedChannels, channels_of, probe_requant
from tinytrain.reference.lowering import zero_of


@dataclass(frozen=True)
class FollowText:
    """What the templates write for it.

    Attributes:
        source: the array of all moments in training.
        adjust: lines that bring every channel back.
        observe: for each layer, by the name of its node, the lines that take a sample in.
    """

    following: Following
    source: str
    adjust: tuple[str, ...]
    observe: Mapping[str, Sequence[str]]

    def fields(self) -> tuple[StateField, ...]:
        """What the state holds of it and a saved file too."""
        moments = replace(self.following.field, initial=self.source)
        return moments, self.following.samples_field


def follow_text(context: EmitContext, frozen: Sequence[Node]) -> FollowText | None:
    """The C of what follows drift among the frozen nodes.

    Raises:
        InternalError: a layer that follows is not frozen.
    """
    following = Following.of(context.graph)
    if following is None:
        return None
    nodes = {node.layer: node for node in frozen if "follow" in node.attrs}
    if list(nodes) != [layer.name for layer in following.layers]:
        raise InternalError("a layer that follows drift is not frozen")
    known = {
        name: channels_of(node, context.graph.constants[node.inputs[2]])
        for name, node in nodes.items()
    }
    context.layer = ""
    source = context.array(
        "follow_source",
        np.concatenate([_moments(channels.square) for channels in known.values()]),
    )
    adjust, observe = [], {}
    for layer in following.layers:
        node, channels = nodes[layer.name], known[layer.name]
        context.layer = layer.name
        address = _constants(context, node, channels)
        moments, bias, multiplier = _places(layer.offset)
        adjusted = context.call("tt_follow_adjust", address, moments, bias, multiplier)
        adjust.append(adjusted)
        observe[node.name] = [
            *_probe(context, node, channels),
            context.call(
                "tt_follow_observe", address, "shift", context.place(node.output), moments
            ),
            adjusted,
        ]
    return FollowText(following, source, tuple(adjust), observe)


def _moments(square: np.ndarray) -> np.ndarray:
    return np.stack([np.zeros_like(square), square], axis=1).ravel().astype(np.int32)


def _places(offset: int) -> tuple[str, str, str]:
    return (
        f"state->follow_moments + {2 * offset}",
        f"state->follow_bias + {offset}",
        f"state->follow_multiplier + {offset}",
    )


def _constants(context: EmitContext, node: Node, channels: FollowedChannels) -> str:
    """The address of a `tt_follow`."""
    m, s = channels.mean_factor
    arrays = {
        name: context.array(f"{node.name}_{name}", getattr(channels, name).astype(np.int32))
        for name in ("probe_bias", "center", "unit", "multiplier")
    }
    arrays["spread"] = context.array(f"{node.name}_spread", channels.spread.astype(np.uint16))
    figures = {"channels": len(channels.unit), "positions": channels.positions}
    mean = {"mean_multiplier": m, "mean_shift": s}
    return context.struct("tt_follow", f"{node.name}_follow", {**arrays, **figures, **mean})


def _probe(context: EmitContext, node: Node, channels: FollowedChannels) -> list[str]:
    """The same convolution as its probe; the output lies where the layer's own will."""
    m, s = probe_requant(channels.unit)
    requant = context.struct(
        "tt_requant",
        f"{node.name}_probe",
        {
            "multiplier": context.array(f"{node.name}_probe_multiplier", m.astype(np.int32)),
            "shift": context.array(f"{node.name}_probe_shift", s.astype(np.int8)),
            "input_zero": zero_of(node.inputs[0]),
            "zero": 0,
            "lo": -128,
            "hi": 127,
        },
    )
    bias = context.array(f"{node.name}_probe_bias", channels.probe_bias.astype(np.int32))
    return convolution_call(context, node, requant, bias)
