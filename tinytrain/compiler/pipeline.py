"""The whole compiler on one page.

    pass               package         what it does
    import             frontend        a model file or an nn.Module to a float graph, with the
                                       quantize nodes that the model brings
    quantize           quantize        a float model gets quantize nodes from calibration samples
    headroom           quantize        coarser scales for what training makes larger, if asked for
    integerize         quantize        dequantize, operate, quantize becomes one s8 operation
    dense_to_conv      passes          one kernel for dense and convolution
    replace_head       passes          a fresh classifier, where `classes` is given
    select_trainable   passes, scheme  the constants that are trained become parameters
    guide              guidance        a learning rate that suits what is trained
    differentiate      autodiff        loss and backward nodes, toward the parameters only
    update             passes          SGD, quantization-aware scaling folded into its constants
    fuse_updates       passes          a gradient is formed and applied in one node
    dead_code          passes          what nothing needs goes
    saved_activations  passes          masks of one bit where the activation is not kept anyway
    schedule           plan            the order on the device: what needs least memory
    prove_ranges       passes          nothing overflows a kernel's sums and fields
    warm_up            reference       initial scales of the gradients
    plan               plan            chains that run row by row, gradients in slices, parts that
                                       run again; offsets in the arena, proved by a checker of its
                                       own
    emit               emit            C, and everything that makes it a folder
    measure            simulate        what the target's compiler makes of it, against the budget

`compile` takes it from emit on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from tinytrain.autodiff.train_step import build_training_graph
from tinytrain.compiler.guidance import Guidance, guide
from tinytrain.compiler.options import GRADIENTS, Options
from tinytrain.emit.c_text import model_name
from tinytrain.ir.graph import Graph, Value
from tinytrain.ir.ops_update import VELOCITY_RESOLUTION
from tinytrain.ir.verify import verify
from tinytrain.passes.base import Pass, Runner
from tinytrain.passes.dead_code import DeadCode
from tinytrain.passes.dense_to_conv import DenseToConv
from tinytrain.passes.fuse_updates import FuseUpdates
from tinytrain.passes.prove_ranges import ProveRanges
from tinytrain.passes.replace_head import ReplaceHead
from tinytrain.passes.saved_activations import SavedActivations
from tinytrain.passes.select_trainable import SelectTrainable, weighted_layers
from tinytrain.passes.update import Update
from tinytrain.plan.arena import Plan
from tinytrain.plan.proof.plan import check_plan
from tinytrain.plan.schedule import Schedule
from tinytrain.plan.within import Way, plan_within
from tinytrain.reference.machine import Scale
from tinytrain.reference.warm_up import warm_up
from tinytrain.scheme.scheme import Scheme, load_scheme

UNGUIDED_RATE = 0.003
"""Learning rate where none was chosen and none can be suggested: near the best of MCUNet-5FPS."""

_MOVES = frozenset({"reshape", "transpose", "max_pool2d"})


@dataclass(frozen=True, eq=False)
class Compiled:
    """A training step ready to be emitted or run by the reference.

    Attributes:
        graph: scheduled; what the device runs, node by node.
        plan: of its arena.
        ways: what was done to make the plan small.
        scales: initial scales of the gradients.
        options: that it was compiled with.
        guidance: what is known of the scheme before it trains.
        forward: the s8 model before anything was trained.
    """

    graph: Graph
    plan: Plan
    ways: tuple[Way, ...]
    scales: Mapping[str, Scale]
    options: Options
    guidance: Guidance
    forward: Graph

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences on what is known to fail, none if nothing is."""
        return setting_warnings(self.options, self.guidance)

    @property
    def rate(self) -> float:
        """The learning rate that the device begins with."""
        return initial_rate(self.options, self.guidance)

    @property
    def classes(self) -> int:
        """Number of classes, 0 for a regression."""
        if self.options.loss == "mean_squared_error":
            return 0
        return self.output_size

    @property
    def output_size(self) -> int:
        """Elements of the network's output."""
        return self.graph.outputs[1].type.size


def to_integers(
    model: Graph, samples: np.ndarray | None, options: Options, runner: Runner
) -> Graph:
    """The s8 forward graph of an imported model.

    Args:
        model: from `frontend.load_model`.
        samples: f32 [N,H,W,C] in the model's units; needed if the model is not quantized already.
    """
    from tinytrain.quantize import Headroom, integerize, quantize_float, with_headroom

    if samples is not None and not is_quantized(model):
        model = runner.check(quantize_float(model, samples, options.ranges), "quantize")
    headroom = Headroom(options.weight_headroom, options.range_headroom)
    if headroom.asked:
        layers = weighted_layers(integerize(model))
        scheme = load_scheme(options.scheme, layers)
        wide = with_headroom(
            model,
            headroom,
            layers=layers,
            weights={*scheme.weights, layers[-1]},
            biases={*scheme.biases, layers[-1]},
        )
        model = runner.check(wide, "headroom")
    return runner.check(integerize(model), "integerize")


def is_quantized(model: Graph) -> bool:
    """Whether every layer with weights reads what the model itself quantized."""
    producers = model.producers()

    def quantized(value: Value) -> bool:
        node = producers.get(value)
        if node is None:
            return False
        return node.op == "dequantize" or (node.op in _MOVES and quantized(node.inputs[0]))

    layers = [node for node in model.nodes if node.op in ("conv2d", "dense")]
    return bool(layers) and all(quantized(node.inputs[0]) for node in layers)


def select_trainable(forward: Graph, options: Options, runner: Runner) -> tuple[Graph, Scheme]:
    """An s8 forward graph with its head and with the parameters of the scheme, and the scheme."""
    graph = runner.run(forward, [DenseToConv()])
    if options.classes is not None:
        graph = runner.run(graph, [ReplaceHead(options.classes, options.seed)])
    scheme = load_scheme(options.scheme, weighted_layers(graph))
    select = SelectTrainable(scheme, options.fraction_bits, options.seed)
    return runner.run(graph, [select]), scheme


def guidance_for(
    graph: Graph, scheme: Scheme, options: Options, samples: np.ndarray | None
) -> Guidance:
    """What is known of a graph from `select_trainable`, measured on s8 samples or on noise."""
    return guide(
        graph,
        options.loss,
        samples,
        options.seed,
        rates=scheme.rates,
        qas=options.qas,
        momentum=options.momentum,
    )


def initial_rate(options: Options, guidance: Guidance) -> float:
    """The learning rate that was chosen, or else the suggested one.

    Where the loss of every sample has no gradient, nothing can be suggested: on noise a network may
    be certain of all. The rate is `UNGUIDED_RATE` then, and a warning says so.
    """
    if options.learning_rate is not None:
        return options.learning_rate
    return UNGUIDED_RATE if guidance.suggested is None else guidance.suggested


def setting_warnings(options: Options, guidance: Guidance) -> tuple[str, ...]:
    """Sentences on what is known to fail, none if nothing is."""
    has_velocity = options.update_rule.has_velocity
    bits = VELOCITY_RESOLUTION if has_velocity else options.fraction_bits
    found = guidance.warnings(initial_rate(options, guidance), options.update, bits)
    if options.learning_rate is None and guidance.suggested is None:
        found = (
            "no learning rate can be suggested, as the loss of every sample has no gradient: it is "
            f"{UNGUIDED_RATE}; give --learning-rate, or --calibration with samples of the model's "
            "own kind",
            *found,
        )
    return found


def build_step(
    forward: Graph,
    options: Options,
    runner: Runner,
    samples: np.ndarray | None = None,
    isa: str = "portable",
) -> Compiled:
    """From an s8 forward graph to a scheduled, planned and proved training step.

    Args:
        forward: from `to_integers`.
        samples: s8 [N,...] inputs for the initial scales of the gradients; noise where there are
            none.
        isa: the richest instruction set of the core, one of `isa.ISAS`.
    """
    graph, scheme = select_trainable(forward, options, runner)
    guidance = guidance_for(graph, scheme, options, samples)
    initial_rate(options, guidance)  # refused now, where it cannot be had
    graph = scheduled(graph, scheme, options, runner)
    graph = replace(graph, name=model_name(options.name or forward.name))
    scales = warm_up(graph, samples, options.seed)
    plan, ways = _proved_plan(graph, isa, None, options)
    return Compiled(graph, plan, ways, scales, options, guidance, forward)


def scheduled(graph: Graph, scheme: Scheme, options: Options, runner: Runner) -> Graph:
    """The training step of a graph from `select_trainable`, in the order on the device."""
    training = build_training_graph(
        graph,
        loss=options.loss,
        gradient=GRADIENTS[options.gradient],
        smoothing=float(np.float32(options.label_smoothing)),
    )
    graph = runner.check(training, "differentiate")
    passes: list[Pass] = [
        Update(options.update_rule, scheme.rates),
        FuseUpdates(),
        DeadCode(),
        SavedActivations(),
        Schedule(),
        ProveRanges(),
    ]
    return runner.run(graph, passes)


def _proved_plan(
    graph: Graph, isa: str, nbytes: int | None, options: Options
) -> tuple[Plan, tuple[Way, ...]]:
    plan, ways = plan_within(
        graph, isa, nbytes, fed=options.feed == "rows", recompute=options.recompute
    )
    if plan.graph is not graph:
        verify(plan.graph, after="recompute")
    check_plan(
        plan.graph,
        plan.offsets,
        plan.scratch,
        plan.scratch_sizes,
        plan.nbytes,
        plan.kernels,
        plan.streams,
        plan.slices,
    )
    return plan, ways


def for_isa(compiled: Compiled, isa: str) -> Compiled:
    """The same training step with the kernels of another instruction set."""
    if compiled.plan.isa == isa:
        return compiled
    plan, ways = _proved_plan(compiled.graph, isa, None, compiled.options)
    return replace(compiled, plan=plan, ways=ways)


def within(compiled: Compiled, nbytes: int) -> Compiled:
    """The same training step in an arena of at most so many bytes, or the smallest there is."""
    plan, ways = _proved_plan(compiled.graph, compiled.plan.isa, nbytes, compiled.options)
    return replace(compiled, plan=plan, ways=ways)
