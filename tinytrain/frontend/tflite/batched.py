"""Dilation as TFLite writes it: a map cut into batches, a plain convolution, and joined again.

SPACE_TO_BATCH_ND pads a map and puts every block-th row and column into a batch of its own; a
convolution of the batches without padding is one of the whole map with dilation `block`. A
`Batched` stands for such a tensor and holds the whole map; nothing is moved.
"""

from __future__ import annotations

from dataclasses import dataclass

from tinytrain.frontend.builder import ProgramBuilder, Tensor
from tinytrain.frontend.program import Call


@dataclass(frozen=True, eq=False)
class Batched:
    """A map in batches.

    Attributes:
        whole: the padded map that the batches are cut from.
        blocks: into how many pieces each axis is cut; 1 for axes that are not.
    """

    whole: Tensor
    blocks: tuple[int, ...]

    @property
    def dilation(self) -> tuple[int, ...]:
        """Of a window over the whole map: the blocks of its spatial axes, as (H, W)."""
        inner = self.blocks[1:-1]
        return inner if len(inner) == 2 else (1, *inner)


def unread(builder: ProgramBuilder, batched: Batched) -> Call:
    """Refuses an operator that reads batches and does not know of them."""
    raise builder.error(
        "an operation between SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND is not supported",
        "convert the model with dilated convolutions alone between them",
    )
