"""stream.bin: what a session feeds to a model, as the generated main.c reads it."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from tinytrain.data.dataset import CHUNK
from tinytrain.simulation.frozen_cache import LEFT_OUT, FrozenCache
from tinytrain.simulation.stream import SampleStream, sample_bytes, target_bytes

MAGIC = b"TTSS"
FORMAT = 1
FLAG_LEARNING_RATE = 1
FLAG_PARAMETERS_IN = 2
FLAG_FROZEN_CACHE = 4
FLAG_REPLAY = 8
FLAG_FILL = 16
FLAG_REHEARSE = 32
FLAG_ENROL = 64
FLAG_UNLABELLED = 512
FLAG_FOLLOW = 1024
FLAG_WATCH = 256
FLAG_GUARD = 128
FORMAT_EVALUATIONS = 2
"""With two more words after the header: `evaluate_every` and `patience`."""
FORMAT_OLD = 3
"""With a third one: how many of the evaluation samples are judged by; the others are of an old
task."""

HEADER = struct.Struct("<4s7If")
"""Magic, format, input size, output size, classes, evaluation samples, steps, flags, rate."""

_WORD = struct.Struct("<I")

Record = tuple[bytes, np.ndarray | None, np.ndarray]
"""Entry of the frozen cache (empty without one), input (None where it is left out), target."""


def write_stream(
    stream: SampleStream,
    path: Path,
    progress: Callable[[int, int], None],
    cache: FrozenCache | None = None,
) -> None:
    """Writes stream.bin.

    Args:
        progress: gets samples done and all samples.
        cache: of frozen activations; the program must have been built for it.
    """
    with path.open("wb") as file:
        file.write(_header(stream, cache))
        count = stream.eval_count + stream.fill_count + stream.step_count
        for done, (entry, x, target) in enumerate(_records(stream, cache), start=1):
            file.write(entry)
            if x is not None:
                file.write(x.tobytes())
            file.write(target_bytes(target))
            progress(done, count)


def write_kept(stream: SampleStream, path: Path) -> None:
    """Writes kept.bin: how many samples are kept apart for the guard, and the samples."""
    samples = list(stream.kept_samples())
    with path.open("wb") as file:
        file.write(_WORD.pack(len(samples)))
        for x, target in samples:
            file.write(sample_bytes(x, target))


def _header(stream: SampleStream, cache: FrozenCache | None) -> bytes:
    spec = stream.train.spec
    flags = FLAG_LEARNING_RATE if stream.learning_rate is not None else 0
    flags |= FLAG_PARAMETERS_IN if stream.parameters_in is not None else 0
    flags |= FLAG_FROZEN_CACHE if cache is not None else 0
    flags |= FLAG_REPLAY if stream.replay_steps is not None else 0
    flags |= FLAG_FILL if stream.fill_count else 0
    flags |= FLAG_REHEARSE if stream.rehearsal_steps is not None else 0
    flags |= FLAG_ENROL if stream.enrols else 0
    flags |= FLAG_FOLLOW if stream.follows else 0
    flags |= FLAG_UNLABELLED if stream.unlabelled else 0
    flags |= FLAG_WATCH if stream.watches else 0
    flags |= FLAG_GUARD if stream.is_guarded else 0
    header = HEADER.pack(
        MAGIC,
        _format(stream),
        spec.size,
        spec.output_size,
        spec.classes or spec.pixel_classes,
        stream.eval_count,
        stream.step_count,
        flags,
        stream.learning_rate or 0.0,
    )
    found = _format(stream)
    words = [] if found == FORMAT else [stream.evaluate_every, stream.patience]
    words += [stream.judged_count] if found == FORMAT_OLD else []
    words += [cache.slots] if cache is not None else []
    words += [stream.replay_steps] if stream.replay_steps is not None else []
    words += [stream.fill_count] if stream.fill_count else []
    words += [stream.rehearsal_steps] if stream.rehearsal_steps is not None else []
    return header + b"".join(map(_WORD.pack, words))


def _format(stream: SampleStream) -> int:
    """The first that says all: programs of older versions read what older versions wrote."""
    if stream.old is not None:
        return FORMAT_OLD
    return FORMAT_EVALUATIONS if stream.evaluate_every else FORMAT


def _records(stream: SampleStream, cache: FrozenCache | None) -> Iterator[Record]:
    if cache is None:
        whole = stream.eval_samples(), stream.fill_samples(), stream.train_samples()
        for x, target in itertools.chain(*whole):
            yield b"", x, target
        return
    for entry, (x, target) in zip(cache.evaluation, stream.eval_samples(), strict=True):
        yield _WORD.pack(int(entry)), x, target
    for x, target in stream.fill_samples():
        yield b"", x, target
    samples = _first_samples(stream, cache.steps)
    for entry, (found, target) in zip(cache.steps, samples, strict=True):
        yield _WORD.pack(int(entry)), found, target


def _first_samples(
    stream: SampleStream, entries: np.ndarray
) -> Iterator[tuple[np.ndarray | None, np.ndarray]]:
    """As `SampleStream.train_samples`, without the inputs that the entries leave out."""
    for start in range(0, stream.step_count, CHUNK):
        order = stream.order[start : start + CHUNK]
        is_there = entries[start : start + CHUNK] < LEFT_OUT
        inputs = iter(stream.train_inputs(start + np.flatnonzero(is_there)))
        for there, target in zip(is_there, stream.train_targets(order), strict=True):
            yield next(inputs) if there else None, target
