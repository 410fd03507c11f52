"""What the manifest says of how a model tells what is not normal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from tinytrain.manifest.records import Share
from tinytrain.manifest.schema import Count, OneOf, Positive, Whole


@dataclass(frozen=True, kw_only=True)
class AnomalyRecord:
    """How the model tells what is not normal.

    Attributes:
        kind: what is scored: the loss, or the distance of the features with a variance each or
            with all covariances.
        features: number of features; 0 where the loss is scored.
        warm_up: number of samples that are taken as normal at first.
        quantile: share of the normal scores below the quantile that the threshold is made of.
        in_a_row: number of samples in a row that change the verdict.
        ram: bytes of RAM for what is learned.
    """

    kind: Annotated[str, OneOf(("error", "diagonal", "covariance"))]
    features: Count
    warm_up: Annotated[int, Whole(16, 16_383)]
    quantile: Share
    in_a_row: Positive
    ram: Positive
