"""Runs an exported program with PyTorch, call by call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinytrain.frontend.imported import Reference
from tinytrain.frontend.importing import quiet


def reference(program: Any) -> Reference:
    """The program itself."""
    import torch

    def run(inputs: Sequence[np.ndarray], tensors: Sequence[str]) -> Mapping[str, np.ndarray]:
        wanted = set(tensors)
        found: dict[str, np.ndarray] = {}

        class Observer(torch.fx.Interpreter):  # type: ignore[misc]
            def run_node(self, node: Any) -> Any:
                result = super().run_node(node)
                if node.name in wanted and isinstance(result, torch.Tensor):
                    # A copy: what follows may work in place, as ReLU(inplace=True) does.
                    found[node.name] = result.detach().cpu().clone().numpy()
                return result

        with quiet(), torch.no_grad():
            Observer(program.graph_module).run(*_arguments(program, inputs))
        return found

    return Reference("PyTorch", run)


def _arguments(program: Any, inputs: Sequence[np.ndarray]) -> list[Any]:
    """Weights, buffers and inputs in the order of the placeholders."""
    import torch

    nodes = {node.name: node for node in program.graph.nodes if node.op == "placeholder"}
    given = iter(inputs)
    arguments = []
    for spec in program.graph_signature.input_specs:
        if spec.target is not None:
            held = program.state_dict.get(spec.target, program.constants.get(spec.target))
            arguments.append(held)
            continue
        value = nodes[spec.arg.name].meta["val"]
        arguments.append(torch.from_numpy(np.ascontiguousarray(next(given))).to(value.dtype))
    return arguments
