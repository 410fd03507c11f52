"""How uint8 images become the input of a model: as its user says, or as its quantization does."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tinytrain.compiler.samples import map_shape
from tinytrain.data import Preprocess
from tinytrain.data.preprocess import Numbers, preprocess_images
from tinytrain.errors import UsageError
from tinytrain.frontend.imported import Imported
from tinytrain.ir.graph import Graph
from tinytrain.ir.types import Quantization

CHANNELS = (1, 3, 4)
"""Of images: grey, RGB, RGBA."""

TOLERANCE = 1 / 128
"""Of a scale, as a share: calibration on images without a pixel of 255 makes it that much finer."""


@dataclass(frozen=True)
class Convention:
    """A range that people scale pixels to, as the quantization of an input shows it.

    Attributes:
        words: what becomes of a pixel v.
        scale: of the quantization.
        zero_points: any of them, of s8.
    """

    words: str
    scale: float
    zero_points: tuple[int, ...]


CONVENTIONS = (
    Convention("v / 255", 1 / 255, (-128,)),
    Convention("v / 127.5 - 1", 1 / 127.5, (-1, 0)),
    Convention("v, as it is", 1.0, (-128,)),
)
"""All that is clear: any other scale may be that of a mean and a deviation, or of no image."""


def image_preprocess(
    imported: Imported, mean: Numbers | None, std: Numbers | None
) -> tuple[Imported, Preprocess | None]:
    """The preprocessing of uint8 images, and the model with a note on it where it is derived.

    Args:
        mean, std: as `compile_model` takes them.

    Returns:
        None where neither they nor the input's quantization say what uint8 images mean.
    """
    graph = imported.graph
    if len(graph.inputs) > 1:
        if mean is not None or std is not None:
            raise UsageError(
                "--mean and --std are for uint8 images, and a model with several inputs takes none",
                help="leave them out, and give all inputs as float32 in the model's units",
            )
        return imported, None
    size = map_shape(graph.inputs[0].type.shape)[1:3]
    if mean is not None or std is not None:
        return imported, preprocess_images(mean, std, size)
    derived = _derived(graph, size)
    if derived is None:
        return imported, None
    preprocess, words = derived
    note = (
        f"uint8 images become {words}, as the input's scale and zero point say: s8 is v - 128; "
        "--mean and --std say otherwise"
    )
    source = replace(graph.source, notes=(*graph.source.notes, note))
    return replace(imported, graph=replace(graph, source=source)), preprocess


def _derived(graph: Graph, size: tuple[int, int]) -> tuple[Preprocess, str] | None:
    _, height, width, channels = map_shape(graph.inputs[0].type.shape)
    meaning = _input_quantization(graph)
    if meaning is None or channels not in CHANNELS or min(height, width) == 1:
        return None
    scale, zero = meaning.scale[0], meaning.zero_point
    found = next(
        (
            convention.words
            for convention in CONVENTIONS
            if abs(scale / convention.scale - 1) <= TOLERANCE and zero in convention.zero_points
        ),
        "the model's own uint8 input" if graph.source.dtype == "uint8" else None,
    )
    if found is None:
        return None
    # So that s8 = v - 128: real = scale * (v - 128 - zero).
    return Preprocess(size, ((128 + zero) / 255,), (1 / (255 * scale),)), found


def _input_quantization(graph: Graph) -> Quantization | None:
    """Of a model that came quantized."""
    for node in graph.nodes:
        if node.op == "quantize" and node.inputs[0] in graph.inputs:
            return node.output.type.quantization
    return None
