"""The digits demo: an emulated Cortex-M7 learns to read through a camera that was knocked.

.venv/bin/python -m examples.digits.demo
"""

from __future__ import annotations

import sys

from examples.demonstration import Story, tell
from examples.digits import data
from examples.digits.story import LEARNING_RATE, MODEL, STEPS


def story() -> Story:
    """The demo's story with its data."""
    clean = data.as_trained(data.TRAIN)
    learn, judge = data.as_it_is_now(data.ADAPT), data.as_it_is_now(data.TEST)
    past = data.as_trained(data.TEST)
    return Story(
        name="digits",
        text=(
            "A small camera reads handwritten digits, until a knock leaves it tilted by 30 degrees "
            "behind a hazy lens, and it reads fewer than half of them. The camera goes on learning "
            "from digits as it sees them now, one at a time, and is judged by others."
        ),
        model=MODEL,
        target="mps2-an500",
        ram="256K",
        flash="1M",
        scheme="full",
        learning_rate=LEARNING_RATE,
        steps=STEPS,
        rehearsal_slots=0,
        calibration=(clean.x, clean.y),
        learn=(learn.x, learn.y),
        judge=(judge.x, judge.y),
        past=(past.x, past.y),
        judge_is="digits as they look now, held out",
        past_is="digits as they looked before, held out",
    )


if __name__ == "__main__":
    sys.exit(tell(story()))
