"""The C of a compiled folder beside the reference, on this machine, to the bit."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tinytrain.compiler.options import OPTIONS, Options, make_options
from tinytrain.compiler.pipeline import select_trainable, training
from tinytrain.errors import ToolchainError, UsageError, Where
from tinytrain.ir.graph import Graph
from tinytrain.ir.operations import loss_index
from tinytrain.passes.base import Runner
from tinytrain.reference.interpret import Machine
from tinytrain.reference.packed import quantized, unpacked
from tinytrain.scheme.scheme import AUTO
from tinytrain.simulation.device import host_library
from tinytrain.simulation.folder import GeneratedFolder


@dataclass(frozen=True)
class DeviceCheck:
    """The C equals the reference.

    Attributes:
        samples: how many inputs were run.
        outputs: how many numbers were compared.
    """

    samples: int
    outputs: int


def options_of(folder: GeneratedFolder) -> Options:
    """The options that decide what a folder's model computes before it has learned anything.

    Raises:
        UsageError: a scheme file decides ranges, and is not at hand.
    """
    held = folder.manifest.options
    given = {name: held[row.manifest or name] for name, row in OPTIONS.items()}
    if held["scheme_sha256"] is not None:
        # What trains decides nothing else of the first outputs.
        given["scheme"] = "head"
        if make_options(given).headroom.asked:
            raise UsageError(
                "the folder was compiled with headroom for what a scheme file trains, and holds no "
                "copy of that file",
                where=Where(str(folder.path)),
                help="compile with a preset, such as --scheme last-4, to verify it",
            )
    elif held["scheme"] == AUTO:
        given["scheme"] = "full"  # whose ranges it has
    return make_options(given)


def check_device(folder: GeneratedFolder, forward: Graph, samples: np.ndarray) -> DeviceCheck:
    """Runs both on every sample, with the parameters that the folder starts with.

    Args:
        forward: the s8 graph of the folder's model.
        samples: f32 [N,H,W,C] in the model's units.

    Raises:
        ToolchainError: an output differs, or the C cannot be built.
        UsageError: the graph is of another output of the model.
    """
    options, runner = options_of(folder), Runner()
    graph, scheme = select_trainable(forward, options, runner)
    graph = training(options, scheme)[0](graph)
    machine = Machine(replace(graph, nodes=graph.nodes[: loss_index(graph)], updates={}))
    target = graph.target
    assert target is not None, "a training graph has a target"
    nothing = {target.name: np.zeros(target.type.shape, target.type.dtype.numpy)}
    given = np.ascontiguousarray(quantized(graph.sample, samples))
    wanted = np.array(
        [
            machine.run({**unpacked(graph.sample, q[None]), **nothing})[graph.outputs[1]]
            for q in given
        ],
        dtype=np.float32,
    ).reshape(len(given), -1)
    found = host_library(folder).infer(given)
    if wanted.shape != found.shape:
        raise UsageError(
            f"the folder's model has {found.shape[1]} outputs, and the model file gives "
            f"{wanted.shape[1]}",
            where=Where(str(folder.path)),
            help="give the output that was compiled with --model-output",
        )
    unlike = np.argwhere(wanted.view(np.uint32) != found.view(np.uint32))
    if len(unlike):
        sample, place = unlike[0]
        raise ToolchainError(
            f"the C on this machine gives {found[sample, place]:.9g} where the reference gives "
            f"{wanted[sample, place]:.9g}: output {place} of sample {sample}, and "
            f"{len(unlike) - 1} more",
            where=Where(str(folder.path)),
            help="give --model-output as compile was given it, or compile again; if it stays, "
            "report it with the model and `cc --version`",
        )
    return DeviceCheck(len(given), found.size)
