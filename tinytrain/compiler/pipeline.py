"""The whole compiler on one page.

`PIPELINE` lists every step in order. Most are passes, from graph to graph, in three runs:
`quantization` from an imported model to s8, `selection` of what is trained, `training` from a
forward graph to a training step. The `Runner` verifies the graph after each. The other steps read a
model (`IMPORT`), prove that it was read right (`PROVE`), look at a graph (`GUIDE`, `WARM_UP`), plan
its memory (`PLAN`) and write its C (`EMIT`, `MEASURE`, in `compile`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from tinytrain.autodiff.differentiate import Differentiate
from tinytrain.compiler.class_weights import resolved
from tinytrain.compiler.compiled import Compiled
from tinytrain.compiler.guidance import guidance_for
from tinytrain.compiler.inference import inferring
from tinytrain.compiler.model_end import with_loss
from tinytrain.compiler.options import GRADIENTS, Options
from tinytrain.emit.c_text import model_name
from tinytrain.errors import UsageError
from tinytrain.ir.graph import Graph
from tinytrain.passes.base import Pass, Runner, Stage, stage_of
from tinytrain.passes.dead_code import DeadCode
from tinytrain.passes.dense_to_conv import DenseToConv
from tinytrain.passes.follow import Follow
from tinytrain.passes.fuse_updates import FuseUpdates
from tinytrain.passes.prove_ranges import ProveRanges
from tinytrain.passes.replace_head import ReplaceHead
from tinytrain.passes.saved_activations import SavedActivations
from tinytrain.passes.select_trainable import SelectTrainable, weighted_layers
from tinytrain.passes.update import Update
from tinytrain.plan.plan import Plan
from tinytrain.plan.proof.plan import check_plan
from tinytrain.plan.schedule import ScheduleNodes
from tinytrain.plan.within import MemoryOptimization, plan_within
from tinytrain.quantize.head import FreeOutput, PrepareHead
from tinytrain.quantize.passes import Integerize, Quantize, WidenScales
from tinytrain.reference.warm_up import warm_up
from tinytrain.scheme.scheme import Scheme, load_scheme

IMPORT = Stage(
    "import",
    "frontend",
    "reads a model file or an nn.Module into f32 operations, with the quantize nodes that it has",
)
PROVE = Stage(
    "prove", "frontend", "runs the import beside the format's own reference, node by node"
)
CHOOSE = Stage(
    "choose",
    "compiler",
    "reads the update scheme; where it leaves something open, labelled samples and the RAM budget "
    "decide",
)
GUIDE = Stage("guide", "compiler", "measures which learning rate suits what is trained")
WARM_UP = Stage("warm_up", "reference", "runs steps at rate 0 for the gradients' initial scales")
PLAN = Stage(
    "plan",
    "plan",
    "chooses kernels, memory optimizations and offsets in the arena; a checker of its own proves "
    "the plan",
)
EMIT = Stage("emit", "emit", "writes the C and everything that makes it a folder")
MEASURE = Stage(
    "measure", "toolchain", "builds the folder for its target and holds it to the budget"
)


def quantization(options: Options, samples: np.ndarray | None) -> list[Pass]:
    """From an imported model to an s8 forward graph; see `to_integers`.

    The first makes the head ready, the last makes s8 operations.
    """
    return [
        PrepareHead(options.loss, options.classes is not None),
        Quantize(samples, options.ranges),
        WidenScales(options.headroom, options.scheme),
        FreeOutput(),
        Integerize(),
    ]


def selection(options: Options, scheme: Scheme) -> list[Pass]:
    """From an s8 forward graph to one with the head and the parameters that are trained."""
    return [
        DenseToConv(),
        ReplaceHead(options.classes, options.seed),
        SelectTrainable(scheme, options.fraction_bits, options.seed),
    ]


def training(
    options: Options,
    scheme: Scheme,
    samples: np.ndarray | None = None,
    moves: Mapping[str, float] | None = None,
) -> list[Pass]:
    """From a forward graph with parameters to a training step in the order on the device.

    Args:
        samples: s8 [N,...] inputs that what is followed is measured on; noise where there are none.
        moves: of `Tangent`; needed where the step is emitted.
    """
    return [
        Differentiate(options.objective, GRADIENTS[options.gradient], scheme.trains_head),
        Update(options.update_rule, scheme.rates, moves or {}),
        FuseUpdates(),
        DeadCode(),
        SavedActivations(),
        ScheduleNodes(),
        Follow(options.follow, samples),
        ProveRanges(),
    ]


def _pipeline() -> tuple[Stage, ...]:
    options, scheme = Options(), Scheme("full")
    return (
        IMPORT,
        PROVE,
        *map(stage_of, quantization(options, None)),
        CHOOSE,
        *map(stage_of, selection(options, scheme)),
        GUIDE,
        *map(stage_of, training(options, scheme)),
        WARM_UP,
        PLAN,
        EMIT,
        MEASURE,
    )


PIPELINE = _pipeline()
"""Every step of the compiler in order."""


def to_integers(
    model: Graph, samples: np.ndarray | None, options: Options, runner: Runner
) -> Graph:
    """The s8 forward graph of an imported model.

    Args:
        model: from `frontend.load_model`.
        samples: f32 [N,H,W,C] in the model's units; needed if the model is not quantized already.
    """
    return runner.run(model, quantization(options, samples))


def select_trainable(
    forward: Graph, options: Options, runner: Runner, scheme: Scheme | None = None
) -> tuple[Graph, Scheme]:
    """An s8 forward graph with its head and with the parameters of the scheme, and the scheme.

    Args:
        scheme: in the place of the one that the options name.
    """
    if scheme is None:
        scheme = load_scheme(options.scheme, weighted_layers(forward))
    return runner.run(forward, selection(options, scheme)), scheme


def build_step(
    forward: Graph,
    options: Options,
    runner: Runner,
    samples: np.ndarray | None = None,
    isa: str = "portable",
    scheme: Scheme | None = None,
) -> Compiled:
    """From an s8 forward graph to a scheduled, planned and proved training step.

    Args:
        forward: from `to_integers`.
        samples: s8 [N,...] inputs for the initial scales of the gradients; noise where there are
            none.
        isa: the richest instruction set of the core, one of `isa.ISAS`.
        scheme: in the place of the one that the options name.
    """
    options = with_loss(options, forward)
    if options.follow is not None and samples is None:
        raise UsageError(
            "--follow brings channels back to what they were in training, and there are no "
            "samples to say what that is",
            help="add --calibration FILE.npz with a few hundred inputs of the training",
        )
    named = replace(forward, name=model_name(options.name or forward.name))
    graph, scheme = select_trainable(named, options, runner, scheme)
    weights = resolved(options.class_weights, options.loss, graph.outputs[0].type.shape)
    options = replace(options, class_weights=weights)
    runner.begin(GUIDE)
    guidance = guidance_for(graph, scheme, options, samples)
    graph = runner.run(graph, training(options, scheme, samples, guidance.tangent.moves))
    runner.begin(WARM_UP)
    scales = warm_up(graph, samples, options.seed)
    plan, optimizations = _proved_plan(graph, isa, None, options, runner)
    return Compiled(
        graph,
        plan,
        optimizations,
        scales,
        options,
        guidance,
        forward,
        scheme,
        calibrated=0 if samples is None else len(samples),
    )


def for_isa(compiled: Compiled, isa: str, runner: Runner | None = None) -> Compiled:
    """The same training step with the kernels of another instruction set."""
    if compiled.plan.isa == isa:
        return compiled
    plan, optimizations = _proved_plan(compiled.graph, isa, None, compiled.options, runner)
    return replace(compiled, plan=plan, optimizations=optimizations)


def within(compiled: Compiled, nbytes: int, runner: Runner | None = None) -> Compiled:
    """The same training step in an arena of at most so many bytes, or the smallest there is."""
    isa = compiled.plan.isa
    plan, optimizations = _proved_plan(compiled.graph, isa, nbytes, compiled.options, runner)
    return replace(compiled, plan=plan, optimizations=optimizations)


def unbounded(compiled: Compiled) -> Compiled:
    """The same training step for a machine that has memory: nothing runs in parts or twice."""
    plan, optimizations = _proved_plan(compiled.graph, "portable", None, compiled.options, None)
    return replace(compiled, plan=plan, optimizations=optimizations)


def _proved_plan(
    graph: Graph, isa: str, nbytes: int | None, options: Options, runner: Runner | None
) -> tuple[Plan, tuple[MemoryOptimization, ...]]:
    runner = runner or Runner()
    runner.begin(PLAN)
    graph = inferring(graph) if options.inference else graph
    plan, optimizations = plan_within(
        graph, isa, nbytes, fed=options.feed == "rows", recompute=options.recompute
    )
    runner.check(plan.graph, PLAN.name)
    check_plan(plan)
    return plan, optimizations
