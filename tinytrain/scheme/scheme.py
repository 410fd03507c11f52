"""Update schemes: which biases, which weights, and which of their input channels are trained.

A scheme is a small TOML file:

    biases = 22           # of the last 22 layers; or "all", or a list of layer names; default 0
    channels = "largest"  # which input channels, a word of `ways.WAYS`; default largest
    rate = 2.0            # times the learning rate that is suggested for it; default 1
    [weights]
    conv_21 = 1.0         # fraction of the input channels, in (0, 1]
    conv_36 = 0.125
    conv_39 = { channels = [0, 5, 7] }
    [rates]
    conv_21 = 0.5         # times the learning rate, for weights and bias of that layer
    head = 2.0

Layers with weights are counted in execution order, the head (the last one) not; the head is always
trained. Presets stand for a file: `head` (nothing else), `bias` (all biases), `last-K` (weights and
biases of the last K layers), `full`. `none` trains nothing, not even the head: for a model that
learns classes by enrolling samples alone.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tinytrain.errors import SchemeError, Where
from tinytrain.scheme.ways import WAYS
from tinytrain.toml_reader import read_toml

NOTHING = "none"
"""The preset that trains nothing."""

AUTO = "auto"
"""Stands for a scheme that the compiler chooses for a budget."""

PRESETS = ("head", "bias", "last-K", "full", NOTHING)
MAX_RATE_FACTOR = 1024


@dataclass(frozen=True)
class Share:
    """What is trained of one layer's weights: a fraction of its input channels, or listed ones."""

    fraction: float = 1.0
    channels: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Scheme:
    """A scheme resolved against the layers of a model.

    Attributes:
        name: preset or file name.
        biases: layers whose bias is trained, in order, the head left out.
        weights: layers whose weights are trained, the head left out.
        choice: how channels are chosen where a share does not list them.
        rates: factors on the learning rate by layer, the head under its own name; 1 where absent.
        rate: factor on the learning rate that is suggested for the scheme.
        trains_head: whether anything is trained at all: the head is whenever something is.
    """

    name: str
    biases: tuple[str, ...] = ()
    weights: Mapping[str, Share] = field(default_factory=dict)
    choice: str = next(iter(WAYS))
    rates: Mapping[str, float] = field(default_factory=dict)
    rate: float = 1.0
    trains_head: bool = True

    @property
    def trains_body(self) -> bool:
        """Whether anything before the head trains."""
        return bool(self.biases or self.weights)


def load_scheme(spec: str, layers: Sequence[str]) -> Scheme:
    """Reads a preset or a scheme file.

    Args:
        spec: a preset, or the path of a TOML file.
        layers: names of the layers with weights in execution order; the last one is the head.

    Raises:
        SchemeError: no such preset or file, a field of the wrong kind, a layer that the model
            lacks.
    """
    body = list(layers[:-1])
    if spec == "head":
        return Scheme(spec)
    if spec == NOTHING:
        return Scheme(spec, trains_head=False)
    if spec == "bias":
        return Scheme(spec, tuple(body))
    if spec == "full":
        return Scheme(spec, tuple(body), {layer: Share() for layer in body})
    last = re.fullmatch(r"last-([0-9]{1,9})", spec)
    if last:
        count = int(last.group(1))
        _known_count(count, body, spec, "preset 'last-K'")
        chosen = body[len(body) - count :]
        return Scheme(spec, tuple(chosen), {layer: Share() for layer in chosen})
    if spec == AUTO:
        raise SchemeError(
            f"the scheme {AUTO} is chosen for a budget, and there is none here",
            help=f"compile --scheme {AUTO} chooses; here name a preset or a scheme file",
        )
    path = Path(spec)
    if not os.path.isfile(path):
        raise SchemeError(
            f"'{spec}' is neither a preset nor a scheme file",
            help=f"presets are {', '.join(PRESETS)}; or give the path of a TOML file",
        )
    fields = read_toml(
        path,
        where=Where(path.name),
        unreadable="the scheme file cannot be read",
        malformed="the scheme is not a TOML file",
        help=f"presets are {', '.join(PRESETS)}; the examples have scheme files",
        error=SchemeError,
    )
    return scheme_of(fields, path.name, layers)


def scheme_of(fields: Mapping[str, Any], name: str, layers: Sequence[str]) -> Scheme:
    """The scheme of a file's fields.

    Args:
        name: of the file.
        layers: as `load_scheme` takes them.

    Raises:
        SchemeError: a field of the wrong kind, a layer that the model lacks.
    """
    return _SchemeReader(name, list(layers[:-1]), layers[-1]).read(fields)


def _known_count(count: int, body: Sequence[str], file: str, what: str) -> None:
    if not 0 <= count <= len(body):
        raise SchemeError(
            f"{what} asks for {count} layers, the model has {len(body)} before its head",
            where=Where(file),
        )


@dataclass(frozen=True)
class _SchemeReader:
    file: str
    body: Sequence[str]
    head: str

    def read(self, fields: Mapping[str, Any]) -> Scheme:
        unknown = sorted(set(fields) - {"biases", "channels", "rate", "weights", "rates"})
        if unknown:
            raise self._error(
                f"unknown field '{unknown[0]}'",
                "fields are biases, channels, rate, [weights], [rates]",
            )
        choice = fields.get("channels", next(iter(WAYS)))
        if not isinstance(choice, str) or choice not in WAYS:
            raise self._error(
                f"channels = {choice!r} is no way to choose", f"use one of {', '.join(WAYS)}"
            )
        table = fields.get("weights", {})
        if not isinstance(table, dict):
            raise self._error(
                "[weights] is not a table", "write one line for each layer: conv_3 = 0.5"
            )
        weights = {self._layer(layer): self._share(layer, share) for layer, share in table.items()}
        ordered = {layer: weights[layer] for layer in self.body if layer in weights}
        biases = self._biases(fields.get("biases", 0))
        rates = self._rates(fields.get("rates", {}), {*ordered, *biases, self.head})
        rate = self._factor("rate", fields.get("rate", 1.0), "leave it out for the suggested rate")
        return Scheme(self.file, biases, ordered, choice, rates, rate)

    def _rates(self, table: Any, trained: set[str]) -> dict[str, float]:
        if not isinstance(table, dict):
            raise self._error(
                "[rates] is not a table", "write one line for each layer: conv_3 = 0.5"
            )
        rates: dict[str, float] = {}
        for name, rate in table.items():
            layer = self.head if name in ("head", self.head) else self._layer(name)
            if layer not in trained:
                raise self._error(
                    f"[rates] names '{layer}', of which this scheme trains nothing",
                    "train its weights or bias, or leave it out of [rates]",
                )
            if layer in rates:
                raise self._error(
                    f"[rates] names the head twice, as 'head' and as '{layer}'", "keep one of them"
                )
            way_out = "to freeze a layer, leave it out of the scheme"
            rates[layer] = self._factor(f"[rates] {name}", rate, way_out)
        return rates

    def _factor(self, what: str, value: Any, way_out: str) -> float:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or not 0 < value <= MAX_RATE_FACTOR:
            raise self._error(
                f"{what} = {value!r} makes no sense",
                f"give a factor above 0, at most {MAX_RATE_FACTOR}; {way_out}",
            )
        return float(value)

    def _biases(self, biases: Any) -> tuple[str, ...]:
        if biases == "all":
            return tuple(self.body)
        if isinstance(biases, int) and not isinstance(biases, bool):
            _known_count(biases, self.body, self.file, "'biases'")
            return tuple(self.body[len(self.body) - biases :])
        if isinstance(biases, list) and all(isinstance(layer, str) for layer in biases):
            chosen = {self._layer(layer) for layer in biases}
            return tuple(layer for layer in self.body if layer in chosen)
        raise self._error(
            f"biases = {biases!r} makes no sense", 'give a number, "all" or a list of layers'
        )

    def _layer(self, layer: str) -> str:
        if layer == self.head:
            raise self._error(f"'{layer}' is the head", "leave it out: the head is always trained")
        if layer not in self.body:
            known = f"{self.body[0]} to {self.body[-1]}" if self.body else "no layer but its head"
            raise self._error(
                f"the model has no layer '{layer}' with weights",
                f"it has {known}; `tinytrain inspect MODEL` lists them",
            )
        return layer

    def _share(self, layer: str, share: Any) -> Share:
        if isinstance(share, (int, float)) and not isinstance(share, bool) and 0 < share <= 1:
            return Share(float(share))
        if (
            isinstance(share, dict)
            and set(share) == {"channels"}
            and isinstance(share["channels"], list)
        ):
            listed = share["channels"]
            if listed and all(type(c) is int and c >= 0 for c in listed):
                return Share(channels=tuple(sorted(set(listed))))
        raise self._error(
            f"{layer} = {share!r} makes no sense",
            "give a fraction in (0, 1] or { channels = [0, 5, 7] }; leave a layer out to freeze "
            "its weights",
        )

    def _error(self, what: str, help: str) -> SchemeError:
        return SchemeError(what, where=Where(self.file), help=help)
