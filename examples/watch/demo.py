"""The watch demo: an emulated Cortex-M7 learns how a new person moves.

.venv/bin/python -m examples.watch.demo
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from examples.demonstration import Story, spread, tell
from examples.watch import data
from examples.watch.story import LEARNING_RATE, MODEL, PERSON, REHEARSAL_SLOTS, STEPS

CALIBRATION = 512
"""Windows that the quantizer sees, and of which the rehearsal set takes some."""


def story(person: int = PERSON, model: Path = MODEL) -> Story:
    """The demo's story with its data; of another person with a network that never saw that one."""
    known, first, second = data.others(person), data.first_half(person), data.second_half(person)
    seen = spread(len(known.y), CALIBRATION)
    unseen = np.setdiff1d(np.arange(len(known.y)), seen)
    return Story(
        name="watch",
        text=(
            "A smartwatch tells seven shoulder exercises apart; its network has learned from nine "
            "people, and now a tenth wears it whose movements it often mistakes. The watch goes on "
            "learning from the first half of that person's exercises, one window at a time, and is "
            "judged by the second half. After each it rehearses a window of the nine, a few of "
            "which lie in its flash."
        ),
        model=model,
        target="mps2-an500",
        ram="256K",
        flash="1M",
        scheme="full",
        learning_rate=LEARNING_RATE,
        steps=STEPS,
        rehearsal_slots=REHEARSAL_SLOTS,
        calibration=(known.x[seen], known.y[seen]),
        learn=(first.x, first.y),
        judge=(second.x, second.y),
        past=(known.x[unseen], known.y[unseen]),
        judge_is="the tenth person, held out",
        past_is="the nine people before",
    )


if __name__ == "__main__":
    sys.exit(tell(story()))
