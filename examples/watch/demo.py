"""The watch demo: an emulated Cortex-M7 learns how a new person moves.

.venv/bin/python -m examples.watch.demo
"""

from __future__ import annotations

import sys
from pathlib import Path

from examples.demonstration import Story, spread, tell
from examples.watch import data
from examples.watch.story import LEARNING_RATE, MODEL, PERSON, STEPS

CALIBRATION = 512
"""Windows that the quantizer sees."""


def story(person: int = PERSON, model: Path = MODEL) -> Story:
    """The demo's story with its data; of another person with a network that never saw that one."""
    known, first, second = data.others(person), data.first_half(person), data.second_half(person)
    seen = spread(len(known.y), CALIBRATION)
    return Story(
        name="watch",
        text=(
            "A smartwatch tells seven shoulder exercises apart; its network has learned from nine "
            "people, and now a tenth wears it whose movements it often mistakes. The watch goes on "
            "learning from the first half of that person's exercises, one window at a time, and is "
            "judged by the second half."
        ),
        model=model,
        target="mps2-an500",
        ram="256K",
        flash="1M",
        scheme="full",
        learning_rate=LEARNING_RATE,
        steps=STEPS,
        calibration=(known.x[seen], known.y[seen]),
        learn=(first.x, first.y),
        judge=(second.x, second.y),
        past=(known.x, known.y),
        judge_is="the tenth person, held out",
        past_is="the nine people before",
    )


if __name__ == "__main__":
    sys.exit(tell(story()))
