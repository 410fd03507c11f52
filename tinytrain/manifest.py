"""What stands in the manifest.json of a generated folder."""

from __future__ import annotations

from importlib import metadata
from typing import Any

from tinytrain.budget import Memory
from tinytrain.data import SampleSpec
from tinytrain.emit.model_files import ModelFiles
from tinytrain.ir.graph import Graph
from tinytrain.pipeline import (
    Compiled,
    health_record,
    kernels_record,
    options_record,
    trained_record,
)
from tinytrain.plan.record import arena_record, layers_record
from tinytrain.plan.stream import Stream
from tinytrain.version import __version__


def _chain(graph: Graph, chain: Stream) -> dict[str, Any]:
    """A chain that runs row by row, for the manifest."""
    return {
        "nodes": [node.name for node in graph.nodes[chain.first : chain.last + 1]],
        "source": chain.source.name,
        "rows": chain.step,
        "turns": chain.turns,
        "buffers": {buffer.value.name: buffer.nbytes for buffer in chain.buffers},
    }


def manifest_of(
    compiled: Compiled,
    files: ModelFiles,
    memory: Memory,
    sample: SampleSpec,
) -> dict[str, Any]:
    """All but what depends on the target and on how the model came."""
    graph = compiled.graph
    arena = arena_record(graph, compiled.plan)
    return {
        "format": 1,
        "tinytrain": __version__,
        "name": graph.name,
        "model": {"file": compiled.info.get("file"), "sha256": compiled.info.get("sha256")},
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
            "ways": [way.to_manifest() for way in compiled.ways],
            "chains": [_chain(graph, chain) for chain in compiled.plan.streams],
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
    packages = ("numpy", "onnx", "apache-tvm", "jinja2")
    return {"tinytrain": __version__, **{name: metadata.version(name) for name in packages}}
