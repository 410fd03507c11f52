"""Costs as sums for the knapsack, and what the planner says where they are too low."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tinytrain.choosing.choices import Choices
from tinytrain.choosing.knapsack import Line
from tinytrain.compiler.costs import Costs, Least
from tinytrain.ir.graph import Graph
from tinytrain.ir.operations import loss_index
from tinytrain.kernel.choose import choose_kernels
from tinytrain.plan.liveness import storages
from tinytrain.plan.place import aligned
from tinytrain.scheme.scheme import Scheme

RAM, INSTRUCTIONS = "ram", "instructions"

_NEAR = 3
"""Layers on either side of the peak whose ratios decide what is live there."""

_BY_ORDER = 1.1
"""By what factor a better order makes a step smaller at most, as a rule."""


@dataclass(frozen=True)
class Added:
    """What a choice adds to a training step.

    Attributes:
        trained: bytes of parameters with all that belongs to them in the state.
        saved: bytes that wait in the arena for the backward pass.
        instructions: of a step in the fastest plan.
    """

    trained: int
    saved: int
    instructions: int

    def beyond(self, other: Added) -> Added:
        """The difference."""
        return Added(
            self.trained - other.trained,
            self.saved - other.saved,
            self.instructions - other.instructions,
        )

    @property
    def ram(self) -> int:
        """Bytes of RAM."""
        return self.trained + self.saved


class CostLines:
    """Costs of the schemes that can be chosen, as far as they add up.

    Attributes:
        choices: those schemes.
        biases: what so many last biases add to the head alone.
        weights: what a layer at a ratio adds to the biases of all layers, by both.
        lines: for a knapsack: the first ones hold for all schemes, the others for those that they
            say. The planner adds them, and they serve for all budgets and values.
        plans: how often `check` asked the planner for a plan, which takes the longest.
    """

    def __init__(self, costs: Costs) -> None:
        self.choices = choices = costs.choices
        self.plans = 0
        self._costs = costs
        self._place = _places(costs.selected(choices.scheme(0, {})))
        head = self._measured(choices, 0, {})
        self.biases = {n: self._measured(choices, n, {}).beyond(head) for n in choices.counts}
        most = choices.counts[-1]
        all_biases = self._measured(choices, most, {})
        self.weights = {
            (layer, ratio): self._measured(choices, most, {layer: ratio}).beyond(all_biases)
            for layer, ratios in choices.ratios.items()
            for ratio in ratios[1:]
        }
        self.lines = [
            Line(
                RAM,
                head.ram + costs.beside,
                {n: added.ram for n, added in self.biases.items()},
                {item: added.ram for item, added in self.weights.items()},
            ),
            Line(
                INSTRUCTIONS,
                head.instructions,
                {n: added.instructions for n, added in self.biases.items()},
                {item: added.instructions for item, added in self.weights.items()},
            ),
        ]

    def check(self, scheme: Scheme, limits: Mapping[str, int]) -> list[Line]:
        """Nothing where a scheme keeps all limits by the planner, else lines that it breaks."""
        most = limits.get(RAM)
        if most is not None:
            least = self._costs.least(scheme)
            if most < least.ram <= most * _BY_ORDER:
                least = self._costs.least_in_order(scheme)
            if least.ram > most:
                return [self._ram_line(scheme, least)]
        self.plans += 1
        cost = self._costs.of(scheme, most)
        found = []
        if most is not None and cost.ram > most:
            found.append(self._ram_line(scheme, Least(cost.ram, self._costs.least(scheme).layer)))
        if cost.instructions > limits.get(INSTRUCTIONS, cost.instructions):
            found.append(self._instructions_line(scheme, cost.instructions))
        return found

    def ram(self, scheme: Scheme) -> int:
        """Bytes of RAM of a scheme as far as they add up, and as the planner has said of others:
        an estimate that takes no time, in its smallest plan."""
        count, ratios = self.choices.picked(scheme)
        lines = (line for line in self.lines if line.what == RAM and line.holds(count, ratios))
        return max(line.sum(count, ratios) for line in lines)

    def _measured(self, choices: Choices, count: int, ratios: Mapping[str, float]) -> Added:
        """What a scheme takes that any plan of it takes."""
        graph = self._costs.in_plain_order(choices.scheme(count, ratios))
        kernels = choose_kernels(graph, self._costs.isa)
        loss = loss_index(graph)
        items = storages(graph, kernels)
        saved = sum(aligned(item.nbytes) for item in items if item.first < loss < item.last)
        instructions = sum(choice.cost for choice in kernels.values())
        return Added(self._costs.state_bytes(graph), saved, instructions)

    def _ram_line(self, scheme: Scheme, least: Least) -> Line:
        """What is live at the peak of a scheme, for all schemes that come to the same place."""
        count, ratios = self.choices.picked(scheme)
        # What is no layer of the forward pass stands behind all of them: the loss.
        behind_all = len(self._place)
        at = -1 if least.layer is None else self._place.get(least.layer, behind_all)
        weights = {
            item: added.ram if self._place[item[0]] <= at else added.trained
            for item, added in self.weights.items()
        }
        if least.layer is None:
            # How much the stem needs depends on where it ends.
            biases, given = {count: self.biases[count].trained}, {}
        else:
            layers = self.choices.layers
            behind = sum(self._place[layer] >= at for layer in layers)
            around = layers[max(len(layers) - behind - _NEAR, 0) :][: 2 * _NEAR + 1]
            given = {layer: ratios[layer] for layer in around if layer in ratios}
            # A pass with the biases of all layers behind it comes to the same place.
            first = min(behind, count)
            biases = {n: added.ram for n, added in self.biases.items() if n >= first}
        line = Line(RAM, 0, biases, weights, given)
        return Line(RAM, least.ram - line.sum(count, ratios), biases, weights, given)

    def _instructions_line(self, scheme: Scheme, instructions: int) -> Line:
        """What the plan of a scheme takes beyond the fastest one, for schemes of as many biases."""
        count, ratios = self.choices.picked(scheme)
        first = next(line for line in self.lines if line.what == INSTRUCTIONS)
        biases = {n: added for n, added in first.biases.items() if n >= count}
        given = {layer: ratio for layer, ratio in ratios.items() if ratio > 0.0}
        more = instructions - first.sum(count, ratios)
        return Line(INSTRUCTIONS, first.fixed + more, biases, first.weights, given)


def _places(forward: Graph) -> Mapping[str, int]:
    """Of each layer, its place in the forward pass, counted in layers."""
    return {
        layer: place for place, layer in enumerate(dict.fromkeys(n.layer for n in forward.nodes))
    }
