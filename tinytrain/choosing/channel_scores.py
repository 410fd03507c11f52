"""Schemes whose channels labelled samples choose."""

from __future__ import annotations

from dataclasses import replace

from tinytrain.choosing.fisher import Worth
from tinytrain.scheme.channels import channel_count, highest, is_open
from tinytrain.scheme.scheme import Scheme, Share


def with_channels(scheme: Scheme, worth: Worth) -> Scheme:
    """The scheme with a list of channels in the place of each fraction.

    Args:
        scheme: that chooses by any way of `ways.WAYS`.
        worth: measured on labelled samples of the model.
    """
    weights = {
        layer: _listed(layer, share, scheme.choice, worth)
        for layer, share in scheme.weights.items()
    }
    return replace(scheme, weights=weights)


def _listed(layer: str, share: Share, choice: str, worth: Worth) -> Share:
    # What gradients do not reach is refused where the step is differentiated, by name and reason.
    if not is_open(share) or layer not in worth.facts:
        return replace(share, fraction=1.0)
    facts = worth.facts[layer]
    count = channel_count(share, facts.size.size)
    if count == facts.size.size:
        return Share()
    return Share(channels=highest(choice, facts, count))
