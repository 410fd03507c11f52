"""The model's own C files: walks the scheduled graph and fills the templates in."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import jinja2
import numpy as np

from tinytrain import __version__, resources
from tinytrain.emit import calls_training  # noqa: F401  (fills the table)
from tinytrain.emit.c_text import C_TYPES, float_literal
from tinytrain.emit.calls_forward import CALLS
from tinytrain.emit.context import Constant, EmitContext
from tinytrain.errors import InternalError
from tinytrain.ir.graph import Graph, Node
from tinytrain.ir.text import format_graph, format_type
from tinytrain.ir.types import DType
from tinytrain.plan.arena import Plan
from tinytrain.reference.gradients import limit
from tinytrain.reference.interpret import Scale
from tinytrain.reference.lowering import scale_of, zero_of

RUNTIME_VERSION = 1
_ACCESSORS = {"s8": "int8_t", "u8": "uint8_t", "s16": "int16_t", "s32": "int32_t", "f32": "float"}
_LOSSES = ("softmax_cross_entropy", "mean_squared_error")
_TRAINING_ONLY = frozenset({"clamp_mask", "gather_channels"})


@dataclass(frozen=True)
class ModelFiles:
    """What emission yields.

    Attributes:
        files: text by name, for the folder `src`.
        constants: everything in flash.
        model_hash: SHA-256 that a parameter file must carry.
        weights_bytes: of all trained parameters.
        saved_bytes: of a saved file.
        state_bytes: of the state, without the arena.
    """

    files: Mapping[str, str]
    constants: tuple[Constant, ...]
    model_hash: bytes
    weights_bytes: int
    saved_bytes: int
    state_bytes: int


def model_hash(graph: Graph) -> bytes:
    """SHA-256 over the graph's text and all of its data: equal only for equal models with equal options."""
    digest = hashlib.sha256(format_graph(graph).encode())
    for held in (graph.constants, graph.parameters):
        for value, data in held.items():
            digest.update(f"{value.name}:{data.dtype}:{data.shape}".encode())
            digest.update(np.ascontiguousarray(data).tobytes())
    return digest.digest()


def emit_model(
    graph: Graph,
    plan: Plan,
    *,
    scales: Mapping[str, Scale],
    rate: float,
    seed: int,
    classes: int,
    summary: str,
) -> ModelFiles:
    """Writes the C of a scheduled and planned training graph.

    Args:
        scales: initial scales of the gradients.
        rate: initial learning rate.
        seed: of stochastic rounding.
        classes: 0 for a regression.
        summary: one line for the header.
    """
    name = graph.name
    context = EmitContext(graph, plan, name)
    forward, rest = _split(graph)
    loss, quantize = rest[0], rest[1]
    backward = rest[2:]
    forward_steps = [_step(context, node) for node in forward]
    backward_steps = [_step(context, node) for node in backward]
    fields = [
        {
            "name": context.fields[value],
            "c_type": C_TYPES[data.dtype],
            "size": data.size,
            "initial": "NULL"
            if not data.any()
            else context.array(f"{value.name}_initial", data, ""),
        }
        for value, data in graph.parameters.items()
    ]
    digest = model_hash(graph)
    weights = sum(data.nbytes for data in graph.parameters.values())
    saved = 48 + weights + 8 * len(context.scales) + 12 + 4
    state = weights + 12 * len(context.scales) + 24
    x, output = graph.inputs[0], loss.inputs[0]
    dtype = quantize.output.type.dtype
    text = {
        "name": name,
        "NAME": name.upper(),
        "summary": summary,
        "version": __version__,
        "runtime_version": RUNTIME_VERSION,
        "input_size": x.type.size,
        "input_shape": "x".join(map(str, x.type.shape[1:])),
        "input_scale": float_literal(scale_of(x)),
        "input_zero": zero_of(x),
        "input": context.place(x),
        "output_size": output.type.size,
        "output": context.place(output),
        "loss_gradient": context.place(loss.outputs[1]),
        "seed_gradient": context.place(quantize.output),
        "gradient": dtype.value,
        "limit": 0 if dtype is DType.F32 else limit(dtype.numpy),
        "classes": classes,
        "fields": fields,
        "scale_count": len(context.scales),
        "initial_scales": [scales.get(key, Scale()) for key in context.scales],
        "arena_bytes": plan.nbytes,
        "state_bytes_text": f"{plan.nbytes} bytes of arena, {weights} of trained parameters",
        "weights_bytes": weights,
        "saved_bytes": saved,
        "rate": float_literal(rate),
        "rate_text": f"{rate:g}",
        "seed": seed,
        "hash_bytes": ", ".join(str(byte) for byte in digest),
        "hash_short": digest.hex()[:12],
        "locals": context.locals,
        "forward": forward_steps,
        "backward": backward_steps,
        "saves": any(step["training_only"] for step in forward_steps),
        "constants": sorted(context.constants.values(), key=lambda constant: constant.name),
    }
    text["accessors"] = _used_accessors(text)
    files = {
        f"{name}.h": _render("model.h.j2", text),
        f"{name}.c": _render("model.c.j2", text),
        f"{name}_constants.h": _render("constants.h.j2", text),
        f"{name}_constants.c": _render("constants.c.j2", text),
    }
    return ModelFiles(files, tuple(context.constants.values()), digest, weights, saved, state)


def _split(graph: Graph) -> tuple[list[Node], list[Node]]:
    """Nodes before the loss, and from the loss on; the loss gradient is quantized right after it."""
    for index, node in enumerate(graph.nodes):
        if node.op in _LOSSES:
            rest = list(graph.nodes[index:])
            if len(rest) < 2 or rest[1].op != "quantize_gradient":
                raise InternalError("the loss is not followed by quantize_gradient")
            return list(graph.nodes[:index]), rest
    raise InternalError("the graph has no loss")


def _step(context: EmitContext, node: Node) -> dict[str, object]:
    return {
        "comment": f"{node.name}: {node.op} -> {format_type(node.outputs[0].type)}",
        "lines": CALLS[node.op](context, node),
        "training_only": node.op in _TRAINING_ONLY,
    }


def _used_accessors(text: Mapping[str, object]) -> list[tuple[str, str]]:
    """Accessors that the model calls; clang warns of an unused one."""
    everything = str(text)
    return [(dtype, c_type) for dtype, c_type in _ACCESSORS.items() if f"at_{dtype}(" in everything]


def _render(template: str, text: Mapping[str, object]) -> str:
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    source = (resources.folder("codegen") / template).read_text(encoding="utf-8")
    return environment.from_string(source).render(**text)
