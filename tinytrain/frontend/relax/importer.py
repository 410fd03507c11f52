"""The one importer: a TVM Relax module becomes a graph of ours, in f32 with quantize nodes.

Every front end ends here. The steps, each a module of its own: read the calls (`relax_calls`), fold
constants (`relax_fold`), bring integers to s8 (`relax_integers`), find layers (`relax_layers`) and
activations (`relax_activations`), join what belongs to a layer (`relax_fuse`), and write the graph
in our layout (`relax_graph`, `relax_nodes`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tinytrain.errors import ModelError, Where
from tinytrain.frontend.relax.activations import find_activations
from tinytrain.frontend.relax.calls import Program, read_module
from tinytrain.frontend.relax.fold import fold_constants
from tinytrain.frontend.relax.fuse import fuse_layers
from tinytrain.frontend.relax.graph import GraphImporter
from tinytrain.frontend.relax.integers import normalise_integers
from tinytrain.frontend.relax.layers import find_layers
from tinytrain.frontend.relax.nodes import NODE_RULES
from tinytrain.ir.graph import Graph
from tinytrain.ir.source import ModelSource

LayerNames = Mapping[tuple[str, ...], Sequence[str]]
"""For some operations of Relax: the names that their calls have in the user's file, in order."""


def import_relax(
    module: Any,
    *,
    name: str,
    source: ModelSource,
    channels_last: bool = False,
    layer_names: LayerNames | None = None,
) -> Graph:
    """Imports function `main` of a Relax module with one input and one output.

    Args:
        name: name of the graph, a C identifier.
        source: the file, for errors too, and its hash; the rest is filled in.
        channels_last: whether maps have their channels last where nothing else tells.
        layer_names: used in errors, for each group of operations where their number fits.

    Raises:
        ModelError: anything that cannot be imported, with the node and what helps.
    """
    from tvm import relax

    module = relax.transform.DecomposeOpsForInference()(module)
    module = relax.transform.DeadCodeElimination()(module)
    program = read_module(module, source.file)
    _name_calls(program, layer_names or {})
    if len(program.inputs) != 1:
        names = ", ".join(str(call.name) for call in program.inputs)
        raise ModelError(
            f"the model has {len(program.inputs)} inputs ({names}); tinytrain takes one",
            where=Where(source.file),
            help="export the model with one input and the others as constants",
        )
    program = fold_constants(program)
    program = normalise_integers(program)
    program = find_layers(program)
    program = find_activations(program)
    program = fuse_layers(program, channels_last)
    return GraphImporter(program, name, source, channels_last, NODE_RULES).run()


def _name_calls(program: Program, layer_names: LayerNames) -> None:
    for ops, names in layer_names.items():
        calls = [call for call in program.calls if call.op in ops]
        if len(calls) == len(names):
            for call, name in zip(calls, names, strict=True):
                call.name = name
    latest = None
    for call in program.calls:
        # Without a name of its own, a call is placed by the named one before it.
        if call.name is None:
            call.name = f"{call.op} after {latest}" if latest else None
        else:
            latest = call.name
