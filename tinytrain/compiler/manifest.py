"""What stands in the manifest.json of a generated folder."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

from tinytrain.compiler.budget import MemoryUse
from tinytrain.compiler.compiled import Compiled
from tinytrain.compiler.options import MANIFEST_KEYS, Options
from tinytrain.data import SampleSpec
from tinytrain.emit.model_files import ModelFiles
from tinytrain.ir.graph import Graph
from tinytrain.ir.operations import role_of, traits_of
from tinytrain.ir.ops import Role
from tinytrain.ir.trained import trained_tensors
from tinytrain.plan.chain import LineBufferedChain
from tinytrain.plan.record import arena_record, layers_record
from tinytrain.plan.tiling import ChannelTiling
from tinytrain.reference.health import ends_of
from tinytrain.reference.machine import rounding_nodes
from tinytrain.version import __version__


def _chain(graph: Graph, chain: LineBufferedChain) -> dict[str, Any]:
    """A line-buffered chain, for the manifest."""
    return {
        "nodes": [node.name for node in graph.nodes[chain.first : chain.last + 1]],
        "source": chain.source.name,
        "rows": chain.rows_per_step,
        "turns": chain.steps,
        "buffers": {buffer.value.name: buffer.nbytes for buffer in chain.buffers},
    }


def _tiling(graph: Graph, tiling: ChannelTiling) -> dict[str, Any]:
    """A channel tiling, for the manifest."""
    return {
        "nodes": [node.name for node in tiling.nodes(graph)],
        "channels": tiling.channels,
        "slices": tiling.count,
        "sums": tiling.sums,
    }


def manifest_of(
    compiled: Compiled,
    files: ModelFiles,
    memory: MemoryUse,
    sample: SampleSpec,
) -> dict[str, Any]:
    """All but what depends on the target and on how the model came."""
    graph = compiled.plan.graph
    source = compiled.forward.source
    arena = arena_record(graph, compiled.plan)
    return {
        "format": 1,
        "tinytrain": __version__,
        "name": graph.name,
        "model": {"file": source.file, "sha256": source.sha256},
        "model_hash": files.model_hash.hex(),
        "options": options_record(compiled.options),
        "trained": trained_record(compiled.graph),
        "kernels": kernels_record(compiled),
        "versions": _versions(),
        "loss": compiled.options.loss,
        "input": {
            "shape": list(sample.shape),
            "scale": sample.scale,
            "zero_point": sample.zero_point,
            "source_shape": list(sample.source_shape),
            "source_layout": sample.source_layout,
        },
        "output": {"size": sample.output_size, "classes": sample.classes},
        "preprocess": sample.preprocess.to_manifest() if sample.preprocess else None,
        "learning_rate": compiled.rate,
        "guidance": dict(compiled.guidance.to_manifest()),
        "warnings": list(compiled.warnings),
        "ram": memory.ram,
        "flash": memory.flash,
        "arena": {
            **arena,
            "ways": [each.to_manifest() for each in compiled.optimizations],
            "chains": [_chain(graph, chain) for chain in compiled.plan.chains],
            "slices": [_tiling(graph, tiling) for tiling in compiled.plan.tilings],
            "again": [node.name for node in graph.nodes if node.name in graph.rematerialized],
        },
        "layers": layers_record(graph, arena, files.constants),
        "parameters": [
            {"name": value.name, "dtype": value.type.dtype.value, "bytes": data.nbytes}
            for value, data in graph.parameters.items()
        ],
        "health": health_record(compiled),
        "saved_bytes": files.saved_bytes,
        "frozen_bytes": files.frozen_bytes,
        "feed_rows": files.feed_rows,
        "replay": files.replay and files.replay.to_manifest(),
    }


def _versions() -> dict[str, str]:
    """What else decides the bytes of the folder."""
    packages = ("numpy", "onnx", "apache-tvm", "jinja2", "ortools")
    return {"tinytrain": __version__, **{name: metadata.version(name) for name in packages}}


def options_record(options: Options) -> dict[str, Any]:
    """The options for the manifest; a scheme file by its name and hash."""
    path = Path(options.scheme)
    digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
    fields = {MANIFEST_KEYS.get(name, name): value for name, value in asdict(options).items()}
    return {**fields, "scheme": path.name, "scheme_sha256": digest}


def trained_record(graph: Graph) -> dict[str, Any]:
    """For each layer that trains: whether its bias does, and which channels of its weights."""
    record: dict[str, Any] = {}
    parameters = graph.parameters
    chosen = {node.output: node for node in graph.nodes if role_of(node) is Role.VIEW}
    for node in graph.nodes:
        if not traits_of(node).has_weights:
            continue
        _, w, b = node.inputs
        channels: Any = "all" if w in parameters else None
        if w in chosen:
            channels = list(chosen[w].attrs["channels"])
        if channels is not None or b in parameters:
            record[node.layer] = {"bias": b in parameters, "channels": channels}
    return record


def health_record(compiled: Compiled) -> dict[str, Any] | None:
    """Whose health is counted, in the order of the counters; None where nothing is counted."""
    if not compiled.options.health:
        return None
    graph = compiled.graph
    return {
        "gradients": [
            {"name": node.name, "layer": node.layer} for node in rounding_nodes(graph).values()
        ],
        "updates": [
            {
                "name": tensor.name,
                "layer": tensor.update.layer,
                "elements": tensor.parameter.type.size,
                "at_end": ends_of(tensor, graph.parameters),
            }
            for tensor in trained_tensors(graph)
        ],
    }


def kernels_record(compiled: Compiled) -> list[dict[str, Any]]:
    """The kernel of each node that has a choice, with its estimated instructions."""
    return [
        {
            "node": node.name,
            "kernel": choice.kernel,
            "instructions": choice.cost,
            "scratch": choice.scratch,
            "considered": dict(choice.considered),
        }
        for node in compiled.plan.graph.nodes
        if (choice := compiled.plan.choices.get(node.name))
    ]
