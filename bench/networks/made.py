"""Signals made by fixed generators: spoken words, and a machine that may have several faults.

The same arguments give the same samples on every machine (NumPy's legacy generator, NEP 19).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

FRAMES, BANDS = 49, 10
"""A second of speech as log energies in bands, as keyword spotters take it."""

LENGTH = 128
"""Samples of a machine's vibration."""

FAULTS = ("hum", "whine", "knock", "rub")

_WORDS = np.random.RandomState(7).uniform(1.0, BANDS - 2.0, (12, 3, 2))
"""Of each word three sounds, of each sound the bands of its two formants."""


@dataclass(frozen=True)
class Speaker:
    """Who speaks, and through what.

    Attributes:
        shift: bands that the formants lie higher.
        tempo: length of a word by that of the mean speaker.
        tilt: what the microphone adds from the lowest to the highest band.
        noise: standard deviation of the room's.
    """

    shift: float
    tempo: float
    tilt: float
    noise: float


STRANGER = Speaker(shift=1.6, tempo=0.7, tilt=-1.0, noise=0.6)
"""Whom the device learns: a higher and faster voice, a duller microphone, a louder room."""


def spoken(words: np.ndarray, speaker: Speaker | None, seed: int) -> np.ndarray:
    """Spectrograms of words.

    Args:
        words: of each sample, 0 to 11; -1 is a word that is none of them.
        speaker: None draws one for each sample.

    Returns:
        float32 [N, 1, FRAMES, BANDS], about -1 to 3.
    """
    rng = np.random.RandomState(seed)
    return np.stack([_one_word(word, speaker or _anyone(rng), rng) for word in words])


def _anyone(rng: np.random.RandomState) -> Speaker:
    return Speaker(
        shift=rng.uniform(-0.7, 0.7),
        tempo=rng.uniform(0.9, 1.15),
        tilt=rng.uniform(-0.3, 0.3),
        noise=rng.uniform(0.2, 0.5),
    )


def _one_word(word: int, speaker: Speaker, rng: np.random.RandomState) -> np.ndarray:
    sounds = _WORDS[word] if word >= 0 else rng.uniform(1.0, BANDS - 2.0, (3, 2))
    sounds = sounds + speaker.shift + rng.normal(0.0, 0.6, sounds.shape)
    lengths = 11.0 * speaker.tempo * rng.uniform(0.8, 1.2, 3)
    start = rng.uniform(1.0, FRAMES - 3.0 - min(lengths.sum(), FRAMES - 5.0))
    middles = start + np.cumsum(lengths) - lengths / 2
    time, band = np.arange(FRAMES)[:, None], np.arange(BANDS)[None, :]
    energy = np.zeros((FRAMES, BANDS))
    for middle, length, formants in zip(middles, lengths, sounds, strict=True):
        envelope = np.exp(-(((time - middle) / (0.5 * length)) ** 4))
        loudness = rng.uniform(0.8, 1.2, 2)
        for formant, loud in zip(formants, loudness, strict=True):
            energy += 2.0 * loud * envelope * np.exp(-0.5 * ((band - formant) / 0.7) ** 2)
    energy += speaker.tilt * band / (BANDS - 1)
    energy += rng.normal(0.0, speaker.noise, energy.shape)
    return energy[None].astype(np.float32)


@dataclass(frozen=True)
class Machine:
    """What a machine sounds like where its sensor sits.

    Attributes:
        speed: frequencies by those of the mean machine.
        echo: share of the signal that comes again four samples later.
        gains: of the two axes.
        noise: standard deviation.
    """

    speed: float
    echo: float
    gains: tuple[float, float]
    noise: float


SITE = Machine(speed=1.35, echo=-0.7, gains=(0.6, 1.3), noise=0.3)
"""Where the device is installed."""


def vibrations(faults: np.ndarray, machine: Machine | None, seed: int) -> np.ndarray:
    """Two axes of a machine's vibration.

    Args:
        faults: of each sample, 0 or 1 for each of `FAULTS`, [N, 4].
        machine: None draws one for each sample.

    Returns:
        float32 [N, 2, LENGTH], about -4 to 4.
    """
    rng = np.random.RandomState(seed)
    return np.stack([_one_vibration(has, machine or _any_machine(rng), rng) for has in faults])


def _any_machine(rng: np.random.RandomState) -> Machine:
    gains = rng.uniform(0.8, 1.2, 2)
    return Machine(
        rng.uniform(0.85, 1.15), rng.uniform(-0.2, 0.2), (gains[0], gains[1]), rng.uniform(0.2, 0.3)
    )


def _one_vibration(has: np.ndarray, machine: Machine, rng: np.random.RandomState) -> np.ndarray:
    time = np.arange(LENGTH) / LENGTH
    phase = 2 * np.pi * rng.uniform(size=3)
    turns = machine.speed * rng.uniform(0.93, 1.07)
    knocks = np.cos(2 * np.pi * 6 * turns * time + phase[2]) > 0.93
    parts = np.stack(
        [
            np.sin(2 * np.pi * 5 * turns * time + phase[0]),
            0.7 * np.sin(2 * np.pi * 23 * turns * time + phase[1]),
            3.0 * knocks * rng.choice((-1.0, 1.0), LENGTH),
            rng.normal(0.0, 0.9, LENGTH) * (np.sin(2 * np.pi * 2 * turns * time + phase[0]) > 0),
        ]
    )
    loud = has * rng.uniform(0.5, 1.2, len(FAULTS))
    heard = (loud[:, None] * parts).sum(0)
    echoed = heard.copy()
    echoed[4:] += machine.echo * heard[:-4]
    # The second axis hears the slow parts less.
    axes = np.stack([echoed, np.append(np.diff(echoed), 0.0)]) * np.array(machine.gains)[:, None]
    return (axes + rng.normal(0.0, machine.noise, axes.shape)).astype(np.float32)
