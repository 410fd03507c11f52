"""What is normal, learned on the device: its fields in the state, and what the templates need."""

from __future__ import annotations

from dataclasses import dataclass

from tinytrain.emit.frozen import FrozenPart
from tinytrain.emit.replay import StateField
from tinytrain.errors import UsageError
from tinytrain.ir.types import DType
from tinytrain.losses import SampleTarget
from tinytrain.manifest.anomaly import AnomalyRecord
from tinytrain.reference.anomaly import BINS, WARM_UPS, AnomalyRule
from tinytrain.saved_file import layout

ANOMALY_FIELDS = (
    "anomaly",
    "anomaly_scores",
    "anomaly_mean",
    "anomaly_spread",
    "anomaly_factor",
    "anomaly_work",
)
"""Names in the state that no parameter may have."""

KINDS = ("error", "diagonal", "covariance")
"""What a score is: the loss, or the distance of the features with a variance each or all
covariances."""

MAX_COVARIANCE = 1024
"""Features whose covariances are held: those of more take megabytes."""

WARM_UP = 256
"""Samples of the warm-up where nothing else is asked for; four times as many as features where
covariances are learned."""

_HEADER = "tt_anomaly.h"


@dataclass(frozen=True)
class AnomalyRequest:
    """What the user asks for.

    Attributes:
        kind: one of `KINDS`.
        warm_up: samples; None takes what suits.
        quantile, in_a_row: as in `AnomalyRule`.
    """

    kind: str
    warm_up: int | None
    quantile: float
    in_a_row: int


@dataclass(frozen=True)
class Anomaly:
    """How a model is watched.

    Attributes:
        kind: one of `KINDS`.
        rule: of the verdict.
        spans: (offset, bytes) in the arena of the features; none where the loss is the score.
    """

    kind: str
    rule: AnomalyRule
    spans: tuple[tuple[int, int], ...]

    @classmethod
    def of(
        cls,
        asked: AnomalyRequest | None,
        wants: SampleTarget,
        part: FrozenPart,
    ) -> Anomaly | None:
        """None where nothing is asked for.

        Args:
            wants: what the target of a sample is.
            part: the frozen part, whose outputs are the features.

        Raises:
            UsageError: the model cannot be watched in that way.
        """
        if asked is None:
            return None
        if asked.kind == "error":
            _check_error(wants)
            return cls(asked.kind, _rule(asked, 0), ())
        values = part.whole_values()
        if values is None or any(value.type.dtype is not DType.S8 for value in values):
            raise UsageError(
                f"--anomaly {asked.kind} needs what the frozen layers give as whole tensors of s8, "
                "and this scheme freezes up to the middle of one",
                help="take --scheme head, or --anomaly error with a model that gives back its "
                "input",
            )
        if asked.kind == "covariance" and part.nbytes > MAX_COVARIANCE:
            raise UsageError(
                f"the frozen layers give {part.nbytes:,} features, and --anomaly covariance takes "
                f"{MAX_COVARIANCE:,} at most: it holds a number for each pair",
                help="use --anomaly diagonal, or a scheme that freezes up to a smaller tensor",
            )
        return cls(asked.kind, _rule(asked, part.nbytes), part.spans)

    @property
    def of_error(self) -> bool:
        """Whether the score is the loss."""
        return self.kind == "error"

    @property
    def features(self) -> int:
        """Elements that are scored; 0 where the loss is."""
        return sum(size for _, size in self.spans)

    @property
    def placed_spans(self) -> tuple[tuple[int, int, int], ...]:
        """(offset in the arena, features, index of the first among all features) of each span."""
        starts = [0]
        for _, size in self.spans:
            starts.append(starts[-1] + size)
        return tuple((*span, start) for span, start in zip(self.spans, starts, strict=False))

    def fields(self) -> tuple[StateField, ...]:
        """What the state holds of it and a saved file too, in order; zeros are the factory state.

        Of several features every field has at least one element.
        """
        fields = [
            StateField("anomaly", "tt_anomaly", 1, layout("tt_anomaly", _HEADER).nbytes),
            StateField("anomaly_scores", "uint16_t", BINS, 2 * BINS),
        ]
        size = self.features
        if not self.of_error:
            fields += [_floats("anomaly_mean", size), _floats("anomaly_spread", size)]
        if self.kind == "covariance" and size > 1:
            fields.append(_floats("anomaly_factor", size * (size - 1) // 2))
        return tuple(fields)

    @property
    def saved_bytes(self) -> int:
        """What it adds to a saved file."""
        return sum(field.nbytes for field in self.fields())

    @property
    def work_size(self) -> int:
        """Floats in the state that no saved file has."""
        return self.features if self.kind == "covariance" else 0

    @property
    def ram_bytes(self) -> int:
        """What it adds to the state."""
        return self.saved_bytes + 4 * self.work_size

    def record(self) -> AnomalyRecord:
        """What the manifest says of it."""
        return AnomalyRecord(
            kind=self.kind,
            features=self.features,
            warm_up=self.rule.warm_up,
            quantile=self.rule.quantile,
            in_a_row=self.rule.in_a_row,
            ram=self.ram_bytes,
        )


def _floats(name: str, size: int) -> StateField:
    return StateField(name, "float", size, 4 * size)


def _rule(asked: AnomalyRequest, features: int) -> AnomalyRule:
    suited = max(WARM_UP, 4 * features if asked.kind == "covariance" else 0)
    warm_up = asked.warm_up or min(suited, WARM_UPS[-1])
    return AnomalyRule(warm_up, asked.quantile, asked.in_a_row)


def _check_error(wants: SampleTarget) -> None:
    if wants is not SampleTarget.VALUES:
        raise UsageError(
            "--anomaly error takes the loss of a model that gives numbers, such as an autoencoder, "
            "and this one is trained toward labels, which nobody gives on the device",
            help="use --anomaly diagonal or covariance, or --loss mean_squared_error with an "
            "autoencoder",
        )
