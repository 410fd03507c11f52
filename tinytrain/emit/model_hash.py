"""What a saved file must carry: the hash of the model that wrote it."""

from __future__ import annotations

import hashlib

import numpy as np

from tinytrain.ir.graph import Graph
from tinytrain.ir.text import format_graph
from tinytrain.reference.enrol import Enrolment


def model_hash(graph: Graph, enrolment: Enrolment | None = None) -> bytes:
    """SHA-256 over the graph's text, its exact types and attributes, and all of its data.

    Models with the same hash compute the same from the same trained parameters.

    Args:
        enrolment: what gives the samples that are enrolled their meaning.
    """
    digest = hashlib.sha256(format_graph(graph).encode())
    # The text is made for reading: it shortens scales and long attributes.
    for value in graph.values():
        digest.update(f"{value.name}:{value.type}".encode())
    for node in graph.nodes:
        digest.update(f"{node.name}:{sorted(node.attrs.items())}".encode())
    if graph.accumulate > 1:
        digest.update(f"accumulate:{graph.accumulate}".encode())
    for held in (graph.constants, graph.parameters):
        for value, data in held.items():
            digest.update(f"{value.name}:{data.dtype}:{data.shape}".encode())
            digest.update(np.ascontiguousarray(data).tobytes())
    if enrolment is not None:
        digest.update(enrolment.identity())
    return digest.digest()
