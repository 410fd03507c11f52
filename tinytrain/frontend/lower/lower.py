"""From an imported program to a graph of ours, in f32 with quantize nodes.

Every reader ends here. The steps, each a module of its own: bring integers to s8 (`integers`), find
layers (`layers`), activations (`activations`) and expressions of one number (`expressions`), join
what belongs to a layer (`fuse`), and write the graph in our layout (`graph`, `nodes`).
"""

from __future__ import annotations

from dataclasses import replace

from tinytrain.errors import ModelError
from tinytrain.frontend.imported import Imported, Missing, Reference
from tinytrain.frontend.lower.activations import find_activations
from tinytrain.frontend.lower.expressions import find_expressions
from tinytrain.frontend.lower.fuse import fuse_layers
from tinytrain.frontend.lower.graph import GraphImporter
from tinytrain.frontend.lower.integers import normalise_integers
from tinytrain.frontend.lower.layers import find_layers
from tinytrain.frontend.lower.lengths import find_lengths
from tinytrain.frontend.lower.nodes import NODE_RULES
from tinytrain.frontend.program import Program
from tinytrain.frontend.refusals import in_its_layer
from tinytrain.ir.source import ModelSource

STEPS = (
    find_lengths,
    normalise_integers,
    find_layers,
    find_activations,
    find_expressions,
    fuse_layers,
)
"""Each takes a program and gives one."""


def lower(
    program: Program, *, name: str, source: ModelSource, reference: Reference | Missing
) -> Imported:
    """The graph of a program.

    Args:
        name: of the graph, a C identifier.
        source: the file and its hash; the rest is filled in.
        reference: what the import can be compared with.

    Raises:
        ModelError: anything that cannot be imported, with the node and what helps.
    """
    dtypes = {call.dtype for call in program.inputs}
    source = replace(source, dtype=dtypes.pop() if len(dtypes) == 1 else "")
    # Before anything is joined: what a person looks for in the file.
    nodes = {call.tensor: call.name for call in program.calls if call.tensor and call.name}
    try:
        for step in STEPS:
            program = step(program)
        importer = GraphImporter(program, name, source, NODE_RULES)
        graph = importer.run()
    except ModelError as error:
        node = error.where.node if error.where else None
        what, help = in_its_layer(error.what, node, error.help)
        raise ModelError(what, where=error.where, help=help, detail=error.detail) from error
    named = [(call.tensor, call) for call in importer.tensors if call.tensor is not None]
    return Imported(
        graph,
        {tensor: importer.tensors[call] for tensor, call in named},
        nodes,
        reference,
        importer.builder.requantized,
        program.unrounded,
        importer.sources,
        other_rounding=program.other_rounding,
    )
