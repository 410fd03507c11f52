"""The model's own C files: walks the scheduled graph and fills the templates in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from tinytrain.emit.anomaly import Anomaly, AnomalyRequest
from tinytrain.emit.c_text import float_literal, schedule_fields, used_accessors
from tinytrain.emit.calls_loss import LOSS_CALLS
from tinytrain.emit.class_weights import class_counts, class_text
from tinytrain.emit.concurrent import ConcurrentText
from tinytrain.emit.context import EmitContext
from tinytrain.emit.enrol import Enrol
from tinytrain.emit.follow import follow_text
from tinytrain.emit.follow_fields import Following
from tinytrain.emit.frozen import FrozenPart, frozen_part
from tinytrain.emit.guard import GuardPart, guard_text
from tinytrain.emit.kept import KeptPortion
from tinytrain.emit.learning import gradient_text, state_fields, trained_text
from tinytrain.emit.line_buffer import chain_text
from tinytrain.emit.model_hash import model_hash
from tinytrain.emit.parts import StepParts
from tinytrain.emit.pseudo import Pseudo
from tinytrain.emit.rehearsal import Rehearsal, put_rehearsal
from tinytrain.emit.replay import Replay
from tinytrain.emit.sample import input_texts, output_order
from tinytrain.emit.self_test import SelfTest
from tinytrain.emit.state_text import state_text
from tinytrain.emit.steps import backward_steps, frozen_steps, node_steps, split_at_loss
from tinytrain.emit.switches import Switching
from tinytrain.errors import InternalError
from tinytrain.ir.graph import Graph
from tinytrain.ir.operations import head_input, role_of
from tinytrain.ir.ops import Role
from tinytrain.ir.trained import trained_tensors
from tinytrain.kernel.constants import c_constant
from tinytrain.kernel.sources import kernel_sets
from tinytrain.losses import SampleTarget
from tinytrain.manifest.interface import ModelInterface
from tinytrain.manifest.portions import PortionsRecord
from tinytrain.plan.plan import Plan
from tinytrain.plan.portions import cut_step
from tinytrain.plan.proof.plan import check_kept
from tinytrain.reference.enrol import Enrolment
from tinytrain.reference.machine import Scale, rounding_nodes
from tinytrain.reference.packed import packed_size
from tinytrain.reference.pseudo import PseudoLabels
from tinytrain.reference.rehearsal import RehearsalSet
from tinytrain.reference.schedule import RateSchedule, describe, step_rate
from tinytrain.saved_file import PARTS, layout, saved_bytes
from tinytrain.toolchain.template import render
from tinytrain.version import __version__

RUNTIME_VERSION = c_constant("tinytrain.h", "TINYTRAIN_RUNTIME_VERSION")


@dataclass(frozen=True)
class ModelFiles:
    """What emission yields.

    Attributes:
        files: text by name, for the folder `src`.
        functions: names of the runtime's functions that they call.
        model_hash: SHA-256 that a parameter file must carry.
        weights_bytes: of all trained parameters.
        interface: what a program around the model has to know.
        constants: bytes of the arrays in flash by layer, those that serve none under "".
        replay: the replay buffer, if there is one.
        rehearsal: the rehearsal set, if there is one.
        guard: the guard, if there is one.
        enrol: the classes that can be enrolled, if they can.
        following: the convolutions that follow drift, if any do.
        anomaly: how the model tells what is not normal, if it does.
        portions: of a step, if it runs in portions.
        concurrent: the forward pass between them, if one may run there.
    """

    files: Mapping[str, str]
    functions: frozenset[str]
    model_hash: bytes
    weights_bytes: int
    interface: ModelInterface
    constants: Mapping[str, int]
    replay: Replay | None
    rehearsal: Rehearsal | None
    guard: GuardPart | None
    enrol: Enrol | None
    following: Following | None
    anomaly: Anomaly | None
    portions: PortionsRecord | None
    concurrent: ConcurrentText | None


# house(function): it gathers what the templates name, a line for each
# house(parameters): all that a model consists of
def emit_model(
    graph: Graph,
    plan: Plan,
    *,
    scales: Mapping[str, Scale],
    rate: float,
    rate_limit: float,
    schedule: RateSchedule,
    seed: int,
    classes: int,
    wants: SampleTarget,
    pixels: int = 1,
    summary: str,
    slots: int = 0,
    slots_in: str = "ram",
    health: bool = True,
    rehearsal: RehearsalSet | None = None,
    guard_interval: int = 0,
    enrolment: Enrolment | None = None,
    fade: float = 0.0,
    anomaly: AnomalyRequest | None = None,
    switched: bool = False,
    pseudo: PseudoLabels | None = None,
    self_test: SelfTest | None = None,
    portions: float = 0.0,
    concurrent: Plan | None = None,
) -> ModelFiles:
    """Writes the C of a scheduled and planned training graph.

    Args:
        graph: that the plan was made for. What runs is `plan.graph`, which computes the same.
        scales: initial scales of the gradients.
        rate: initial learning rate.
        rate_limit: the largest that the device takes.
        schedule: of the learning rate.
        seed: of the random numbers that round updates.
        classes: that a sample is labelled with; 0 where its target is no label.
        wants: what that target is.
        pixels: labels of a sample where each pixel has one.
        summary: one line for the header.
        slots: of the replay buffer; 0 leaves it out.
        slots_in: ram or flash.
        health: whether the model counts what goes wrong.
        rehearsal: samples that lie in flash.
        guard_interval: steps between two checks of a guard; 0 leaves it out.
        enrolment: how classes are learned from a few samples, if they are.
        fade: steps at a learning rate of 1 after which a class that does not come fades.
        anomaly: how the model tells what is not normal; None leaves it out.
        switched: whether a session says what of all this trains: for a library of this machine
            that tries many schemes, never for a device.
        pseudo: when a sample without a label is trained on; None leaves it out.
        self_test: how the model tests itself; None leaves it out.
        portions: the largest share of a step that runs at once; 0 leaves portions out.
        concurrent: of the forward pass between portions; None leaves it out.
    """
    name, digest, whole, graph = graph.name, model_hash(graph, enrolment), graph, plan.graph
    health = health and bool(graph.updates)
    switching = Switching(graph) if switched else None
    cut = cut_step(plan, 0.0 if switched else portions)
    context = EmitContext(
        graph, plan, name, health=health, switching=switching, portions=cut, whole=whole
    )
    forward, rest = split_at_loss(graph)
    loss, trains = rest[0], bool(graph.updates)
    backward = [node for node in rest[2:] if role_of(node) is not Role.APPLY]
    apply = [node for node in rest[2:] if role_of(node) is Role.APPLY]
    # With switches the session says which layers are frozen.
    frozen = kept = FrozenPart(0, ()) if switched else frozen_part(graph, plan, forward)
    chains = [chain_text(context, chain) for chain in plan.chains]
    if any(chain.last >= frozen.nodes for chain in chains):
        raise InternalError("a line-buffered chain is not frozen")
    follow = follow_text(context, forward[: frozen.nodes])
    observe = follow.observe if follow else {}
    frozen_text = frozen_steps(context, forward[: frozen.nodes], chains, observe)
    if not frozen_text and not chains:
        frozen = FrozenPart(0, ())
    forward_text = [step for node in forward[frozen.nodes :] for step in node_steps(context, node)]
    backward_text = backward_steps(context, backward)
    apply_text = [step for node in apply for step in node_steps(context, node)]
    step = frozen_text, forward_text, backward_text, apply_text
    beside = ConcurrentText.of(context, None if cut is None else concurrent)
    fields = state_fields(context)
    x, output = graph.sample, loss.inputs[0]
    replay = Replay.of(slots, slots_in, classes, loss.inputs[1].type, kept)
    held = put_rehearsal(context, rehearsal, kept)
    between = KeptPortion.of(replay, held)
    if between is not None:
        check_kept(plan, kept.nodes, kept.spans)
    parts = StepParts.of(cut, loss.name, *step, concurrent.cost if concurrent else 0, between)
    guard = GuardPart.of(guard_interval, classes)
    enrol = Enrol.of(enrolment, context, head_input(graph))
    unlabelled = Pseudo.of(pseudo, enrol, context, head_input(graph))
    watched = Anomaly.of(anomaly, wants, kept)
    kept_parts = replay, held, guard, enrol, watched
    counts = class_counts(loss)
    added = [field for part in kept_parts if part for field in part.fields()]
    added += [*counts, *(follow.fields() if follow else ())]
    fields += [{**asdict(field), "is_bias": 0} for field in added]
    weights = sum(data.nbytes for data in graph.parameters.values())
    regions = weights + sum(field.nbytes for field in added if not field.is_samples)
    following = context.following
    saved = saved_bytes(regions, len(context.scales))
    # What frozen layers give for a sample changes where they follow drift: nothing may keep it.
    frozen_bytes = plan.nbytes if switched else 0 if follow else frozen.nbytes
    text = {
        "name": name,
        "NAME": name.upper(),
        "summary": summary,
        "version": __version__,
        "runtime_version": RUNTIME_VERSION,
        "input_size": packed_size(x),
        "inputs": input_texts(context, x),
        "output_size": output.type.size,
        "output_order": output_order(graph, output),
        "output": context.place(output),
        "loss_call": LOSS_CALLS[loss.op](context, loss),
        "loss_gradient": context.place(loss.outputs[1]),
        **gradient_text(context, rest[1:2]),
        "classes": classes,
        **class_text(counts, classes if health else 0, fade),
        "wants": wants,
        "pixels": pixels,
        "fields": fields,
        "scale_count": len(context.scales),
        "initial_scales": [scales.get(key, Scale()) for key in context.scales],
        "arena_bytes": plan.nbytes,
        "state_bytes_text": state_text(plan.nbytes, weights, (*kept_parts, following, beside)),
        "weights_bytes": weights,
        "saved_bytes": saved,
        "saved_sizes": {part: layout(part).nbytes for part in PARTS},
        "health": health,
        "gradient_names": [node.name for node in rounding_nodes(graph).values()],
        "trained": [trained_text(context, tensor) for tensor in trained_tensors(graph) if health],
        "rate": float_literal(step_rate(rate, context.accumulation_window)),
        "rate_text": f"{rate:g}",
        "rate_limit": float_literal(rate_limit, in_header=True),
        "state_rate_limit": float_literal(step_rate(rate_limit, context.accumulation_window)),
        "schedule": None if schedule.is_constant or not trains else schedule_fields(schedule),
        "schedule_text": describe(schedule),
        "seed": seed,
        "hash_bytes": ", ".join(str(byte) for byte in digest),
        "hash_short": digest.hex()[:12],
        "locals": context.locals,
        "chains": chains,
        "feed": next((chain.feed for chain in chains if chain.feed is not None), None),
        "has_frozen": frozen.nodes > 0,
        "frozen": frozen_text,
        "frozen_spans": kept.spans,
        "replay": replay,
        "rehearsal": held,
        **guard_text(context, graph, guard),
        "enrol": enrol,
        "coded": unlabelled.known if unlabelled else enrol,
        "pseudo": unlabelled,
        "follow": follow,
        "anomaly": watched,
        "self_test": self_test,
        "portions": parts,
        "concurrent": beside,
        "switched": switched,
        "frozen_bytes": frozen_bytes,
        "forward": forward_text,
        "backward": backward_text,
        "apply": apply_text,
        "unit_step": any(node.attrs.get("unit_rate") for node in backward),
        "accumulation_window": context.accumulation_window,
        "saves": any(step["training_only"] for step in forward_text),
        "constants": sorted(context.constants.values(), key=lambda constant: constant.name),
    }
    text["accessors"] = used_accessors(text)
    text["kernel_sets"] = kernel_sets(context.functions)
    text["runtime"] = context.function
    files = {
        f"{name}.h": render("codegen", "model.h.j2", **text),
        f"{name}.c": render("codegen", "model.c.j2", **text),
        f"{name}_constants.h": render("codegen", "constants.h.j2", **text),
        f"{name}_constants.c": render("codegen", "constants.c.j2", **text),
    }
    interface = ModelInterface(
        name=name,
        classes=classes,
        wants=wants,
        pixels=pixels,
        input_sizes=tuple(value.type.size for value in x),
        output_size=output.type.size,
        saved_bytes=saved,
        frozen_bytes=frozen_bytes,
        feed_rows=x[0].type.shape[1] if text["feed"] else 0,
        trains=trains,
        replay=None if replay is None else replay.record(),
        rehearsal=None if held is None or rehearsal is None else held.record(rehearsal),
        guard=None if guard is None else guard.record(),
        enrolment=None if enrol is None else enrol.record(),
        pseudo=None if unlabelled is None else unlabelled.record(),
        follow=None if following is None else following.record(),
        anomaly=None if watched is None else watched.record(),
    )
    functions = frozenset(context.functions)
    constants = context.bytes_by_layer()
    found = replay, held, guard, enrol, following, watched, parts.record if parts else None, beside
    return ModelFiles(files, functions, digest, weights, interface, constants, *found)
