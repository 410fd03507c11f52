"""PyTorch's own samples of its modules: what is taken computes what the module does, none wrong.

Each sample gets a batch of one. docs/models.md has which layers are taken.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from tests.support.imported import users_output
from tinytrain.errors import ModelError, UsageError
from tinytrain.frontend import load_model

pytest.importorskip("expecttest", reason="PyTorch's samples need the package expecttest")
from torch.testing._internal.common_modules import module_db

SAMPLES = 6
"""Of a module at most: most differ in one argument."""

LOG_SOFTMAX = {"nn.LogSoftmax"}
"""A log of a softmax is left out of what runs on the device, as a softmax is."""


def samples(info: Any) -> Iterator[tuple[torch.nn.Module, torch.Tensor, np.ndarray]]:
    """Modules in evaluation mode, each with an input and its output."""
    torch.manual_seed(0)
    found = 0
    made = info.module_inputs_func(
        info, device="cpu", dtype=torch.float32, requires_grad=False, training=False
    )
    for sample in made:
        how, given = sample.constructor_input, sample.forward_input
        x = given.args[0] if len(given.args) == 1 and not given.kwargs else None
        if not isinstance(x, torch.Tensor) or x.dtype != torch.float32 or x.ndim < 2:
            continue
        module = info.module_cls(*how.args, **how.kwargs).eval()
        try:
            with torch.no_grad():
                y = module(x[:1])
        except (RuntimeError, ValueError):
            continue  # its first axis is no batch
        if isinstance(y, torch.Tensor) and found < SAMPLES:
            found += 1
            yield module, x[:1].contiguous(), y.numpy()


@pytest.mark.parametrize("info", module_db, ids=lambda info: info.name)
def test_none_is_wrong(info: Any) -> None:
    for module, x, wanted in samples(info):
        try:
            graph = load_model(module, example=x)
        except (ModelError, UsageError) as error:
            assert error.help is not None
            continue
        ours = users_output(graph, x.numpy())
        ours = np.log(ours) if info.name in LOG_SOFTMAX else ours
        assert ours.shape == wanted.shape
        np.testing.assert_allclose(ours, wanted, rtol=1e-4, atol=1e-5, err_msg=str(module))
