"""Counts of classes in a model's state: those that weights in the loss follow, those of health."""

from __future__ import annotations

from tinytrain.emit.c_text import float_literal
from tinytrain.emit.replay import StateField
from tinytrain.errors import UsageError
from tinytrain.ir.graph import Node
from tinytrain.reference.class_health import MOST_CLASSES
from tinytrain.reference.class_weights import BALANCED, MAX_CLASSES

CLASS_COUNTS = "class_counts"
"""Name in the state that no parameter may have."""


def class_counts(loss: Node) -> tuple[StateField, ...]:
    """The fields for a loss; none where its weights are not counted.

    Raises:
        UsageError: there are more classes than the counts can add up.
    """
    if loss.attrs.get("class_weights") != BALANCED:
        return ()
    classes = max(2, loss.inputs[0].type.size)
    if classes > MAX_CLASSES:
        raise UsageError(
            f"balanced class weights count {MAX_CLASSES} classes at most, and the model has "
            f"{classes}",
            help="give --class-weights a file with labels",
        )
    return (StateField(CLASS_COUNTS, "uint16_t", classes, 2 * classes),)


def class_text(counts: tuple[StateField, ...], classes: int, fade: float) -> dict[str, object]:
    """What the templates know of classes.

    Args:
        counts: from `class_counts`.
        classes: of a model with health counters; 0 without.
        fade: steps at a learning rate of 1 after which a class that does not come fades.
    """
    return {
        "counts_classes": bool(counts),
        "class_health": 0 < classes <= MOST_CLASSES,
        "fade": float_literal(fade),
    }
