"""The model of fake_model/fake.c once more, in NumPy: the reference that firmware must equal."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

import numpy as np

from tests.support.saved_files import FORMAT, HEADER
from tinytrain.reference.metrics import EarlyStop, Metrics
from tinytrain.saved_file import read_saved
from tinytrain.simulation.engine import Checkpoint, Evaluation, Progress, RawOutcome
from tinytrain.simulation.stream import SampleStream

INPUT_SIZE = 40
OUTPUT_SIZE = 20


def _divided(value: np.ndarray, by: int) -> np.ndarray:
    """C's division: toward zero."""
    return np.sign(value) * (np.abs(value) // by)


@dataclass
class FakeEngine:
    """Runs a stream as fake.c does; an `Engine`."""

    classes: int

    def run(self, stream: SampleStream, progress: Progress) -> RawOutcome:
        self.weights = np.zeros((OUTPUT_SIZE, INPUT_SIZE), dtype=np.int64)
        self.rate = 16
        if stream.parameters_in is not None:
            saved = read_saved(stream.parameters_in)
            self.weights[:] = np.frombuffer(saved.weights, "<i4").reshape(self.weights.shape)
            (self.rate,) = struct.unpack("<i", saved.state)
        if stream.learning_rate is not None:
            self.rate = int(np.float32(stream.learning_rate) * 256)
        before = self._evaluate(stream)
        steps: list[tuple[np.float32, int]] = []
        checkpoints: list[Checkpoint] = []
        early_stop = EarlyStop(stream.patience)
        for x, target in stream.train_samples():
            steps.append(self._step(x.astype(np.int64).ravel(), target))
            if stream.evaluate_every and len(steps) % stream.evaluate_every == 0:
                checkpoints.append(self._checkpoint(stream, len(steps), early_stop))
                if checkpoints[-1].verdict == "stop":
                    break
        after = self._evaluate(stream)
        progress("train", len(steps), stream.step_count, "")
        weights = self.weights.astype("<i4").tobytes()
        payload = weights + struct.pack("<i", self.rate)
        model_hash = b"fake" + bytes([self.classes]) + bytes(27)
        saved_file = HEADER.pack(b"TTRN", FORMAT, model_hash, len(payload), len(weights)) + payload
        return RawOutcome(
            losses=np.array([loss for loss, _ in steps], dtype=np.float32),
            predictions=tuple(best for _, best in steps) if self.classes else (),
            before=before,
            after=after,
            weights=weights,
            saved=saved_file + struct.pack("<I", zlib.crc32(saved_file)),
            checkpoints=tuple(checkpoints),
        )

    def _checkpoint(self, stream: SampleStream, step: int, early_stop: EarlyStop) -> Checkpoint:
        metrics, predictions = Metrics(), []
        for x, target in stream.eval_samples():
            output = self._forward(x.astype(np.int64).ravel())
            best = int(np.argmax(output))
            if self.classes:
                loss = output[best] - output[int(target)]
                predictions.append(best)
            else:
                error = self._error(output, target)
                loss = _divided(error * error, 256).sum()
            is_correct = bool(self.classes) and best == int(target)
            metrics.add(np.float32(loss) / np.float32(512), is_correct=is_correct)
        verdict = early_stop.add(metrics.accuracy if self.classes else -metrics.loss)
        found = float(metrics.loss)
        return Checkpoint(step, metrics.correct, found, verdict, tuple(predictions))

    def _error(self, output: np.ndarray, target: np.ndarray) -> np.ndarray:
        return (target * np.float32(256)).astype(np.int32).astype(np.int64) - output

    def _forward(self, x: np.ndarray) -> np.ndarray:
        return _divided(self.weights @ x, 256)

    def _evaluate(self, stream: SampleStream) -> Evaluation:
        predictions, squares = [], []
        for x, target in stream.eval_samples():
            output = self._forward(x.astype(np.int64).ravel())
            if self.classes:
                predictions.append(int(np.argmax(output)))
            else:
                real = output.astype(np.float32) / np.float32(256)
                difference = (real - target).astype(np.float64)
                squares.append(float(np.cumsum(difference * difference)[-1]))
        return Evaluation(tuple(predictions), tuple(squares))

    def _step(self, x: np.ndarray, target: np.ndarray) -> tuple[np.float32, int]:
        output = self._forward(x)
        best = int(np.argmax(output))
        if self.classes:
            label = int(target)
            loss = output[best] - output[label]
            if best != label:
                for row, rate in ((label, 16 * self.rate), (best, -16 * self.rate)):
                    self.weights[row] += _divided(rate * x, 256)
        else:
            error = self._error(output, target)
            loss = _divided(error * error, 256).sum()
            rates = _divided(error * self.rate, 256)
            self.weights += _divided(rates[:, None] * x[None, :], 256)
        return np.float32(loss) / np.float32(256), best
