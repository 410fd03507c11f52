"""How a model trains, as far as its hash leaves that open: rate, schedule, generator, replay."""

from __future__ import annotations

import zlib

import numpy as np

from tinytrain.reference.schedule import RateSchedule


def settings_crc(
    *, trains: bool, rate: float, schedule: RateSchedule, seed: int, slots: int, rehearsed: int = 0
) -> int:
    """A number that tells programs of one model apart that train from one state to different
    weights: the CRC-32 of what the hash of the model does not cover.

    Args:
        trains: whether anything trains; 0 is the number of all models where nothing does.
        rate: learning rate that the device begins with, 0 to 1024.
        schedule: of the rate.
        seed: of the random numbers that round updates, 0 to 2^32 - 1.
        slots: of the replay buffer.
        rehearsed: CRC-32 of the rehearsal set; 0 without one.
    """
    if not trains:
        return 0
    numbers = (np.float32(rate), schedule.period, schedule.factor, schedule.warm_up, seed, slots)
    text = ":".join((schedule.kind, *(repr(float(number)) for number in numbers)))
    text += f":{rehearsed}" if rehearsed else ""
    return zlib.crc32(text.encode())
