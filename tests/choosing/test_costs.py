"""What schemes cost by the planner, beside the folders that are really built."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from tests.support.paths import SHARED_MODELS
from tests.support.random_networks import network
from tinytrain.compiler.budget import Budget
from tinytrain.compiler.cost_lines import RAM, CostLines
from tinytrain.compiler.costs import Costs
from tinytrain.compiler.folder import Product, write_folder
from tinytrain.compiler.head_alone import check_head
from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import build_step, to_integers
from tinytrain.errors import BudgetError
from tinytrain.frontend import import_model
from tinytrain.ir.graph import Graph
from tinytrain.passes.base import Runner
from tinytrain.scheme.scheme import Scheme
from tinytrain.target import load_target

TARGET = "mps2-an500"
AMPLE = 1 << 25
STACK = 128
"""Bytes by which the deepest path of a scheme takes more than that of the reference, at most."""

CASES = (
    (2, Options(learning_rate=0.01)),
    (3, Options(learning_rate=0.01, momentum=0.5, gradient="s16", replay=3)),
    (5, Options(learning_rate=0.01, optimizer="adam", guard=8)),
)


@cache
def costs_of(case: int) -> Costs:
    seed, options = CASES[case]
    return Costs(network(seed), options, load_target(TARGET))


def real(forward: Graph, options: Options, scheme: Scheme, ram: int, at: Path) -> Product:
    where = load_target(TARGET)
    compiled = build_step(forward, options, Runner(), None, where.isa, scheme=scheme)
    return write_folder(compiled, at, target=where, budget=Budget(ram, AMPLE))


def some_schemes(costs: Costs, seed: int, count: int) -> list[Scheme]:
    choices, rng, found = costs.choices, random.Random(seed), []
    for _ in range(count):
        biases = rng.choice(choices.counts)
        able = [layer for layer in choices.ratios if choices.reach(layer) <= biases]
        ratios = {layer: rng.choice(choices.ratios[layer]) for layer in able}
        found.append(choices.scheme(biases, ratios))
    return found


def compare(costs: Costs, forward: Graph, options: Options, scheme: Scheme, at: Path) -> None:
    """Plain and smallest plan of a scheme: all but the stack is known to the byte."""
    plain = costs.of(scheme)
    for ram in (AMPLE, costs.of(scheme, 1).ram + STACK):
        product = real(forward, options, scheme, ram, at)
        stack = product.memory.ram["stack"] - costs.reference.ram["stack"]
        found = costs.of(scheme, ram - stack)
        assert stack <= STACK
        assert product.memory.ram["total"] == found.ram + stack
        assert product.memory.ram["arena"] == found.arena <= plain.arena
        assert product.memory.ram["trained parameters"] == found.trained
        assert product.compiled.plan.cost == found.instructions
        assert found.flash == pytest.approx(product.memory.flash["total"], rel=0.25)


@pytest.mark.parametrize("case", range(len(CASES)))
def test_the_real_folder_takes_what_the_planner_says(case: int, tmp_path: Path) -> None:
    seed, options = CASES[case]
    costs = costs_of(case)
    for scheme in some_schemes(costs, case, 1):
        compare(costs, network(seed), options, scheme, tmp_path / "own")


@pytest.mark.slow
@pytest.mark.skipif(not SHARED_MODELS.is_dir(), reason="needs ../shared with models/")
@pytest.mark.parametrize("file", ["resnet8_int8.tflite", "mcunet-5fps-int8.onnx"])
def test_so_do_real_models(file: str, tmp_path: Path) -> None:
    options = Options(learning_rate=0.01, feed="rows" if "mcunet" in file else "whole")
    forward = to_integers(import_model(SHARED_MODELS / file).graph, None, options, Runner())
    costs = Costs(forward, options, load_target(TARGET))
    for scheme in some_schemes(costs, 1, 2):
        compare(costs, forward, options, scheme, tmp_path / "own")


def test_costs_grow_with_what_trains() -> None:
    costs = costs_of(0)
    choices = costs.choices
    head, whole = (
        choices.scheme(0, {}),
        choices.scheme(choices.counts[-1], dict.fromkeys(choices.ratios, 1.0)),
    )
    small, large = costs.of(head), costs.of(whole)
    assert small.ram < large.ram
    assert small.instructions < large.instructions
    assert small.trained < large.trained
    assert costs.least(head).ram <= costs.of(head, 1).ram


def test_sums_are_those_of_single_choices_and_lines_hold() -> None:
    costs = costs_of(0)
    lines = CostLines(costs)
    choices = costs.choices
    first, steps = lines.lines
    for scheme in some_schemes(costs, 3, 6):
        count, ratios = choices.picked(scheme)
        smallest = costs.of(scheme, 1)
        # What waits for the backward pass is a part of what any plan holds.
        assert first.sum(count, ratios) <= smallest.ram
        assert steps.sum(count, ratios) == pytest.approx(costs.of(scheme).instructions, rel=0.1)
        assert lines.check(scheme, {RAM: smallest.ram}) == []
        for line in lines.check(scheme, {RAM: first.sum(count, ratios) - 1}):
            assert line.holds(count, ratios)
            assert line.sum(count, ratios) >= first.sum(count, ratios)


def test_a_budget_below_the_head_is_refused_with_the_smallest_that_works(tmp_path: Path) -> None:
    costs, (seed, options) = costs_of(0), CASES[0]
    head = costs.choices.scheme(0, {})
    with pytest.raises(BudgetError, match="nothing fits: the head alone takes ") as caught:
        check_head(costs, Budget(4000, AMPLE))
    found = re.search(r"--ram (\d+)", str(caught.value.help))
    assert found is not None
    ram = int(found[1])
    assert real(network(seed), options, head, ram, tmp_path / "own").memory.ram["total"] <= ram
    check_head(costs, Budget(ram, AMPLE))
    with pytest.raises(BudgetError, match="1 more than the"):
        check_head(costs, Budget(ram - 1, AMPLE))
    flash = costs.measured(head, ram).flash
    check_head(costs, Budget(ram, flash))
    with pytest.raises(BudgetError, match=f"takes {flash:,} bytes of flash, 1 more"):
        check_head(costs, Budget(ram, flash - 1))


def test_estimates_follow_the_planner() -> None:
    costs = costs_of(1)
    lines = CostLines(costs)
    for scheme in some_schemes(costs, 4, 4):
        low = lines.ram(scheme)
        assert low <= costs.of(scheme, 0).ram
        lines.lines += lines.check(scheme, {RAM: low - 1})
        assert lines.ram(scheme) >= low


def test_a_scheme_costs_the_same_whoever_chooses_its_channels() -> None:
    costs = costs_of(0)
    scheme = some_schemes(costs, 2, 1)[0]
    measured = replace(scheme, choice="fisher")
    assert costs.of(measured, 0) == costs.of(scheme, 0)
    assert costs.least(measured) == costs.least(scheme)
