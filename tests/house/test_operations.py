"""Every operation has its row in every table that asks for it: a hole is a line that fails."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest

from tests.support.paths import ROOT
from tinytrain.autodiff.derivatives import DERIVATIVES
from tinytrain.emit import steps  # noqa: F401  (fills the tables of calls)
from tinytrain.emit.calls import CALLS
from tinytrain.emit.calls_loss import LOSS_CALLS
from tinytrain.experiments.baseline.torch_float import FloatArithmetic
from tinytrain.experiments.baseline.torch_masters import MasterArithmetic
from tinytrain.ir.operations import OPS
from tinytrain.ir.ops import Integers, Op, Role
from tinytrain.reference import float_forward, interpret  # noqa: F401  (fill the evaluations)
from tinytrain.reference.evaluation import EVALUATE, FLOAT_FORMS


def documented() -> set[str]:
    """The operations in the first column of the table of the forward pass."""
    text = (ROOT / "docs" / "arithmetic.md").read_text(encoding="utf-8")
    forward = text.partition("## 2. ")[2].partition("## 3. ")[0]
    cells = re.findall(r"^\|([^|]*)\|", forward, re.MULTILINE)
    return {word for cell in cells for word in re.findall(r"\w+", cell)}


def derived() -> set[str]:
    """The operations with a derivative, of their own or of what is trained in their place."""
    return {name for name, op in OPS.items() if (op.traits.trained_as or name) in DERIVATIVES}


TABLES: Mapping[str, set[str]] = {
    "derivative": derived(),
    "reference": set(EVALUATE),
    "float form": set(FLOAT_FORMS),
    "PyTorch form, float": set(FloatArithmetic().operations),
    "PyTorch form, masters": set(MasterArithmetic(qas=True).operations),
    "call in C": {*CALLS, *LOSS_CALLS},
    "s8 form": {name for name, op in OPS.items() if op.traits.integers is not Integers.NONE},
    "docs/arithmetic.md": documented(),
}

NEEDED: Mapping[Role, set[str]] = {
    Role.FORWARD: set(TABLES),
    Role.VIEW: {"derivative", "reference", "call in C"},
    **{
        role: {"reference", "call in C"}
        for role in (Role.TRAINING, Role.LOSS, Role.GRADIENT, Role.UPDATE, Role.APPLY)
    },
}
"""The tables that ask for the operations of a role."""

_HOST = "a model holds it, the device never does: it becomes part of integers, or goes"
_INSIDE = "stands between float and integers, and is none itself"
_SHARED = "comes with the integers of layers that share a bias, which the PyTorch forms refuse"
_FUSED = "is fused with its update before anything runs on the device"
EXCEPTIONS: Mapping[tuple[str, str], str] = {
    **{("quantize", table): _HOST for table in set(TABLES) - {"float form", "s8 form"}},
    ("quantize", "s8 form"): _INSIDE,
    ("dequantize", "s8 form"): _INSIDE,
    ("dequantize", "derivative"): "the loss reads it, and its gradient begins before it",
    **{("softmax", table): _HOST for table in set(TABLES) - {"float form"}},
    **{
        ("dense", table): "a convolution takes its place before anything trains"
        for table in ("reference", "call in C", "PyTorch form, float", "PyTorch form, masters")
    },
    **{
        ("max_pool2d_winner", table): "takes the place of max_pool2d in a training graph"
        for table in ("float form", "docs/arithmetic.md")
    },
    **{
        ("rescale_bias", table): _SHARED
        for table in ("float form", "s8 form", "PyTorch form, float", "PyTorch form, masters")
    },
    ("conv2d_grad_weight", "call in C"): _FUSED,
    ("bias_grad", "call in C"): _FUSED,
    ("quantize_gradient", "call in C"): "the template of the training step calls its kernel",
    **{
        (op, table): _FUSED
        for op in ("sgd_weight", "sgd_bias")
        for table in ("reference", "call in C")
    },
}
"""Rows that are left out on purpose, and why."""

ASKED = [(name, table) for name, op in OPS.items() for table in sorted(NEEDED[op.traits.role])]


@pytest.mark.parametrize(("name", "table"), ASKED)
def test_every_operation_is_in_every_table(name: str, table: str) -> None:
    if (name, table) in EXCEPTIONS:
        assert name not in TABLES[table], f"{name} has a row in {table}: it is no exception"
    else:
        assert name in TABLES[table], f"operation {name} has no row in the table: {table}"


def test_exceptions_are_asked_for() -> None:
    assert set(EXCEPTIONS) <= set(ASKED)


@pytest.mark.parametrize("table", [table for table in TABLES if table != "docs/arithmetic.md"])
def test_no_table_names_what_is_no_operation(table: str) -> None:
    assert TABLES[table] <= set(OPS)


@pytest.mark.parametrize("op", OPS.values(), ids=lambda op: op.name)
def test_traits_agree_with_each_other(op: Op) -> None:
    traits = op.traits
    assert not traits.trained_as or traits.trained_as in OPS
    assert not (traits.rounds and traits.role is not Role.GRADIENT)
    assert not (traits.overwrites and traits.role not in (Role.UPDATE, Role.APPLY))
    assert traits.integers is Integers.NONE or traits.role is Role.FORWARD
    assert not traits.same_bytes or (traits.moves and traits.in_place == (0,))
    assert traits.integers is not Integers.SAME or traits.within_range
    assert not traits.saves or traits.role in (Role.GRADIENT, Role.UPDATE)
